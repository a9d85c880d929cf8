"""OpenAI Responses end to end: the official client over a whole cortex, whose model says what its script has."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel
from stack import Stack

pytestmark = pytest.mark.system

MODEL = "scripted"
LOOK: dict[str, Any] = {
    "type": "function",
    "name": "look",
    "description": "Look at a file.",
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    "strict": False,
}
CALL = '<tool_call>\n{"name": "look", "arguments": {"path": "a.py"}}\n</tool_call>'
LONG = "word " * 200
HUGE = "word " * 40_000
"""Settings with this one do not fit into an argument of a process."""


class City(BaseModel):
    name: str


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    replies = {
        "hi": "Hello there.",
        "look": "<think>I must look.</think>I look." + CALL,
        "seen: print(1)": "It prints 1.",
        "city": '{"name": "Rome"}',
        "long": LONG,
        "huge": HUGE,
        "cut": CALL.replace("a.py", "x" * 400),
    }
    sim = {
        "tokens_per_s": 2000,
        "scripts": {MODEL: {"family": "hermes", "replies": replies, "otherwise": "More."}},
    }
    data: Path = tmp_path_factory.mktemp("responses") / "r"
    with Stack(data, sim=sim, models=(MODEL,)) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> OpenAI:
    return OpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0)


def test_a_response_and_what_can_be_done_with_it(client: OpenAI) -> None:
    """Made, read again, listed, gone on from, not cancelled, deleted, gone."""
    made = client.responses.create(model=MODEL, input="hi", metadata={"a": "b"})
    assert (made.output_text, made.status, made.metadata) == ("Hello there.", "completed", {"a": "b"})
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
    assert client.responses.retrieve(made.id).model_dump() == made.model_dump()
    again = client.responses.create(model=MODEL, input="and?", previous_response_id=made.id)
    assert (again.output_text, again.previous_response_id) == ("More.", made.id)
    assert again.usage.input_tokens > made.usage.input_tokens
    items = list(client.responses.input_items.list(again.id, order="asc", limit=2))
    assert [item.content[0].text for item in items] == ["hi", "Hello there.", "and?"]
    with pytest.raises(BadRequestError, match="background"):
        client.responses.cancel(made.id)
    client.responses.delete(made.id)
    for gone in (lambda: client.responses.retrieve(made.id), lambda: client.responses.delete(made.id)):
        with pytest.raises(NotFoundError):
            gone()
    with pytest.raises(NotFoundError) as caught:
        client.responses.create(model=MODEL, input="and?", previous_response_id=made.id)
    assert caught.value.code == "previous_response_not_found"


def test_the_clients_helper_hears_what_stands_in_the_answer(client: OpenAI) -> None:
    """Text as it comes, reasoning, a call; then the loop goes on with the output alone, streamed and not."""
    with client.responses.stream(model=MODEL, input="look", tools=[LOOK]) as stream:
        types = [event.type for event in stream]
        made = stream.get_final_response()
    assert types[:2] == ["response.created", "response.in_progress"]
    assert types[-1] == "response.completed"
    thought, message, call = made.output
    assert thought.summary[0].text == "I must look."
    assert message.content[0].text == "I look."
    assert (call.name, json.loads(call.arguments), call.status) == ("look", {"path": "a.py"}, "completed")
    assert made.usage.output_tokens_details.reasoning_tokens > 0
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "seen: print(1)"}
    done = client.responses.create(model=MODEL, input=[output], previous_response_id=made.id, tools=[LOOK])
    assert done.output_text == "It prints 1."
    history: list[Any] = [
        {"role": "user", "content": "look"},
        *(item.model_dump() for item in made.output),
        output,
    ]
    replayed = client.responses.create(model=MODEL, input=history, tools=[LOOK], store=False)
    assert replayed.output_text == "It prints 1."
    with pytest.raises(NotFoundError):
        client.responses.retrieve(replayed.id)


def test_a_form_is_parsed(client: OpenAI) -> None:
    """`parse` sends a schema and reads an object."""
    parsed = client.responses.parse(model=MODEL, input="city", text_format=City)
    assert parsed.output_parsed == City(name="Rome")


def test_what_is_cut_is_incomplete(client: OpenAI) -> None:
    """A text with its reason; a call that nobody may run."""
    cut = client.responses.create(model=MODEL, input="long", max_output_tokens=5)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert LONG.startswith(cut.output_text)
    events = list(
        client.responses.create(model=MODEL, input="cut", max_output_tokens=40, tools=[LOOK], stream=True)
    )
    assert events[-1].type == "response.incomplete"
    assert [item.status for item in events[-1].response.output] == ["incomplete"]
    assert "response.output_item.done" not in [event.type for event in events]


def test_a_limit_beyond_the_room_is_no_error(client: OpenAI) -> None:
    """Agents ask for more than any context holds, and get what there is."""
    assert (
        client.responses.create(model=MODEL, input="hi", max_output_tokens=10**6).output_text
        == "Hello there."
    )


def test_input_is_counted_without_generating(client: OpenAI) -> None:
    """As many tokens as the same request then has, give or take an estimate."""
    counted = client.responses.input_tokens.count(model=MODEL, input="hi " * 100)
    assert counted.object == "response.input_tokens"
    assert counted.input_tokens > 20


def test_log_probabilities_come_with_text(client: OpenAI) -> None:
    """One for each token."""
    made = client.responses.create(
        model=MODEL, input="hi", include=["message.output_text.logprobs"], top_logprobs=1, store=False
    )
    [part] = made.output[0].content
    assert "".join(one.token for one in part.logprobs) == "Hello there."
    assert all(len(one.top_logprobs) == 1 for one in part.logprobs)


def test_many_at_once_each_with_its_own(stack: Stack) -> None:
    """The asynchronous client: streams side by side, each of them kept."""

    async def scenario() -> None:
        async with AsyncOpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0) as client:

            async def one() -> str:
                async with client.responses.stream(model=MODEL, input="long") as stream:
                    async for _ in stream:
                        pass
                    made = await stream.get_final_response()
                kept = await client.responses.retrieve(made.id)
                assert kept.output_text == made.output_text == LONG
                return made.id

            ids = await asyncio.gather(*(one() for _ in range(6)))
            assert len(set(ids)) == 6

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_another_client_finds_nothing(stack: Stack, client: OpenAI) -> None:
    """What a key left is that key's."""
    made = client.responses.create(model=MODEL, input="hi")
    other = OpenAI(base_url=f"{stack.url}/v1", api_key="other", max_retries=0)
    with pytest.raises(NotFoundError):
        other.responses.retrieve(made.id)


def test_a_websocket_is_refused_at_once(stack: Stack) -> None:
    """With 426 over a real connection, as an agent asks for it, whatever its key and version say."""
    for more in ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}, {}):
        connection = HTTPConnection("127.0.0.1", stack.port, timeout=2)
        try:
            connection.request(
                "GET", "/v1/responses", headers={"Upgrade": "websocket", "Connection": "Upgrade", **more}
            )
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["error"]["code"]) == (426, "upgrade_required")
            assert answer.headers["Upgrade"] == "HTTP/1.1"
            assert answer.reason == "Upgrade Required"
        finally:
            connection.close()


def test_a_connection_that_is_said_to_close_closes(stack: Stack) -> None:
    """At once: an agent may wait for it before it goes on."""
    asked = b"GET /v1/responses HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stack.port), timeout=2) as connection:
        connection.sendall(asked)
        heard = b""
        while more := connection.recv(65536):
            heard += more
    assert heard.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")


def test_codex_is_answered(stack: Stack) -> None:
    """A request as it sends one: hosted tools, developer messages, a limit on nothing, nothing kept."""
    body = {
        "model": MODEL,
        "input": [
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "You are Codex."}],
            },
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment>"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "look"}]},
        ],
        "tools": [LOOK, {"type": "namespace", "name": "mcp", "tools": []}, {"type": "web_search"}],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "client_metadata": {"x": "y"},
    }
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=10)
    try:
        headers = {"content-type": "application/json", "session-id": "s", "originator": "codex_exec"}
        connection.request("POST", "/v1/responses", json.dumps(body), headers)
        answer = connection.getresponse()
        blocks = [block for block in answer.read().decode().split("\n\n") if block.startswith("event: ")]
    finally:
        connection.close()
    assert (answer.status, answer.getheader("content-type")) == (200, "text/event-stream; charset=utf-8")
    told = [json.loads(block.partition("\ndata: ")[2]) for block in blocks]
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert [item["type"] for item in done] == ["reasoning", "message", "function_call"]
    assert told[-1]["type"] == "response.completed"
    assert told[-1]["response"]["usage"]["output_tokens"] > 0
