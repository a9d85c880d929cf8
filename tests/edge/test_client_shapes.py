"""What each client was seen to send, and the normalized request that it becomes: nothing that it says is lost on the way."""

import json
from typing import Any

import msgspec
import pytest
from client_shapes import SCHEMA, Shape
from client_shapes_chat import CHAT
from client_shapes_messages import MESSAGES
from client_shapes_responses import RESPONSES

from cortex.edge.billing import without_billing
from cortex.edge.dialects import (
    anthropic,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from cortex.protocol.codec import decode_request, encode_request
from cortex.protocol.request import Chat, Text, Turn

SHAPES = [*CHAT, *MESSAGES, *RESPONSES]
PARSE: dict[str, Any] = {
    "chat": openai_chat.parse,
    "messages": anthropic.parse,
    "responses": openai_responses.parse,
}


def read(shape: Shape) -> tuple[Chat, dict[str, Any]]:
    """The request as it travels, and how its client wants the answer, where that is not by default."""
    parsed = PARSE[shape.dialect](json.dumps({"model": "demo", **shape.body}).encode())
    travelled = decode_request(encode_request(parsed.request))
    assert travelled == parsed.request
    chat = without_billing(travelled)
    assert isinstance(chat, Chat)
    wants = {name: True for name in ("stream", "include_usage") if getattr(parsed, name, False)}
    return chat, wants


def told(turn: Turn) -> str:
    """ROLE CALL (REASONING): PART|PART > CALL NAME ARGUMENTS."""
    said = "|".join(part.text if isinstance(part, Text) else "<image>" for part in turn.parts)
    calls = "".join(f" > {call.id} {call.name} {call.arguments.decode()}" for call in turn.tool_calls)
    answers = f" {turn.tool_call_id}" if turn.tool_call_id else ""
    thought = f" ({turn.reasoning})" if turn.reasoning else ""
    return f"{turn.role}{answers}{thought}: {said}{calls}"


def rest_of(chat: Chat) -> dict[str, Any]:
    """All of it but model and turns, where it is not as by default; tools by their names."""
    found: dict[str, Any] = msgspec.to_builtins(chat, builtin_types=(bytes,))
    for name in ("type", "model", "turns"):
        found.pop(name)
    if chat.tools:
        found["tools"] = [tool.name for tool in chat.tools]
    if "response_format" in found and chat.response_format.definition:
        found["response_format"]["definition"] = chat.response_format.definition.decode()
    found["template_options"] = chat.template_options.decode()
    return {name: value for name, value in found.items() if value not in ({}, "{}")}


@pytest.mark.parametrize("shape", SHAPES, ids=[f"{one.dialect}, {one.client}" for one in SHAPES])
def test_all_that_a_client_says_arrives(shape: Shape) -> None:
    """Turns with their thoughts, calls and results, tools, choice, sampling, format and how to answer; and nothing else."""
    chat, wants = read(shape)
    assert [told(turn) for turn in chat.turns] == shape.turns
    assert {**rest_of(chat), **wants} == shape.more
    for tool in chat.tools:
        assert (tool.description, json.loads(tool.schema)) == ("Reads.", SCHEMA)


def test_one_conversation_is_the_same_in_every_dialect() -> None:
    """As one client sends it through its three adapters: nobody can tell afterwards which it was."""
    chat, messages, responses = (read(shape)[0] for shape in SHAPES if shape.client == "opencode")
    assert [told(turn) for turn in messages.turns] == [told(turn) for turn in responses.turns]
    assert rest_of(chat) == rest_of(messages) == rest_of(responses)
    assert chat.tools == messages.tools == responses.tools


@pytest.mark.parametrize(
    ("client", "body", "prompts", "limit"),
    [
        ("the openai SDK", {"prompt": "hi", "max_tokens": 5, "stream": True}, ["hi"], 5),
        ("litellm", {"prompt": ["hi"], "max_tokens": 5, "stop": None, "logprobs": None}, ["hi"], 5),
        ("LangChain", {"prompt": ["a", "b"], "n": 1, "best_of": 1, "logit_bias": None, "max_tokens": 256}, ["a", "b"], 256),
    ],
)  # fmt: skip
def test_prompts_arrive(client: str, body: dict[str, Any], prompts: list[str], limit: int) -> None:
    """Alone or in a list, with nulls for what is left open."""
    parsed = openai_completions.parse(json.dumps({"model": "demo", **body}).encode())
    assert [one.prompt for one in parsed.requests] == prompts, client
    assert {one.sampling.max_tokens for one in parsed.requests} == {limit}
    assert parsed.stream is body.get("stream", False)


@pytest.mark.parametrize(
    ("client", "body", "inputs", "encoding"),
    [
        ("the openai SDK", {"input": "hi", "encoding_format": "base64"}, ("hi",), "base64"),
        ("LangChain", {"input": [[1, 2], [3]], "encoding_format": "base64"}, ((1, 2), (3,)), "base64"),
        ("LangChain, of texts", {"input": ["a", "b"], "encoding_format": "base64"}, ("a", "b"), "base64"),
        ("litellm", {"input": ["hi"], "encoding_format": None}, ("hi",), "float"),
    ],
)
def test_inputs_of_embeddings_arrive(
    client: str, body: dict[str, Any], inputs: tuple[object, ...], encoding: str
) -> None:
    """Texts or token ids, with either writing of the vectors."""
    parsed = openai_embeddings.parse(json.dumps({"model": "demo", **body}).encode())
    assert (parsed.embed.inputs, parsed.encoding) == (inputs, encoding), client


def test_a_count_of_a_context_arrives() -> None:
    """As Claude Code asks for fifteen at once: messages or tools alone, and no limit."""
    tool = {"name": "read", "description": "Reads.", "input_schema": SCHEMA}
    body = {"model": "demo", "messages": [{"role": "user", "content": "foo"}], "tools": [tool]}
    chat = anthropic.parse_count(json.dumps(body).encode())
    assert ([told(turn) for turn in chat.turns], [one.name for one in chat.tools]) == (
        ["user: foo"],
        ["read"],
    )
    assert anthropic.parse_count(json.dumps({**body, "tools": []}).encode()).tools == ()
