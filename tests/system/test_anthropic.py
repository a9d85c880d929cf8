"""Anthropic's official SDK, and requests as Claude Code makes them, against real processes with a scripted model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from anthropic import (
    Anthropic,
    APIStatusError,
    AsyncAnthropic,
    BadRequestError,
    NotFoundError,
)
from stack import Stack
from toolcall_vectors import AGENT_TOOLS

pytestmark = pytest.mark.system

TOOLS: list[Any] = [
    {"name": tool.name, "description": "A tool.", "input_schema": json.loads(tool.schema)}
    for tool in AGENT_TOOLS
]


def called(*calls: tuple[str, dict[str, str]]) -> str:
    bodies = (json.dumps({"name": name, "arguments": arguments}) for name, arguments in calls)
    return "\n".join(f"<tool_call>\n{body}\n</tool_call>" for body in bodies)


LS, CAT = ("bash", {"command": "ls"}), ("bash", {"command": "cat é.txt"})
REPLIES = {
    "hi": "Hello there, 你好!",
    "think": "<think>Let me see.</think>It is four.",
    "look": "I look. " + called(LS, CAT),
    "[error]\nno such file": "I saw both.",
    "broken": '<tool_call>{"name": "bash", "arguments": {"command": "ls" oops}}</tool_call>',
    "cut": called(("write_file", {"path": "a.py", "content": "x" * 400})),
    "nothing": "",
}
CONTEXT = 256


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    scripts = {"scripted": {"family": "hermes", "replies": REPLIES, "otherwise": "As you wish."}}
    sim = {"tokens_per_s": 2000, "prefill_per_s": 1e6, "scripts": scripts}
    data: Path = tmp_path_factory.mktemp("anthropic") / "a"
    models = ("scripted", {"id": "org/narrow", "context": CONTEXT})
    with Stack(data, sim=sim, models=models) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> Anthropic:
    return Anthropic(base_url=stack.url, api_key="none", max_retries=0)


def ask(what: Any, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": what}] if isinstance(what, str) else what
    return {"model": "scripted", "max_tokens": 1024, "messages": messages, **more}


def both(client: Anthropic, asked: dict[str, Any]) -> Any:
    """The whole message, which is the one that a stream adds up to."""
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    seen, read = whole.to_dict(), streamed.to_dict()
    assert seen.pop("id") != read.pop("id")
    for told in (seen, read):
        for block in told["content"]:
            block.pop("id", None)  # drawn anew for every answer
        told["usage"].pop("cache_read_input_tokens")
    assert seen == read
    return whole


def test_text_streamed_and_whole(client: Anthropic) -> None:
    """The same message either way, with its usage; the SDK finds the request's id."""
    message = both(client, ask("hi"))
    assert [block.text for block in message.content] == [REPLIES["hi"]]
    assert (message.stop_reason, message.model, message.role) == ("end_turn", "scripted", "assistant")
    assert message.usage.output_tokens > 3
    assert message.usage.input_tokens >= 1
    assert message._request_id == "req_" + message.id.removeprefix("msg_")
    assert both(client, ask("nothing")).content[0].text == ""


def test_thoughts_come_as_a_block_and_go_back(client: Anthropic) -> None:
    """Signed, before the text; sent back as they came they are no error."""
    message = both(client, ask("think", thinking={"type": "adaptive"}))
    thought, text = message.content
    assert (thought.type, thought.thinking, text.text) == ("thinking", "Let me see.", "It is four.")
    assert thought.signature
    history = [*ask("think")["messages"], {"role": "assistant", "content": message.content}]
    again = client.messages.create(**ask([*history, {"role": "user", "content": "hi"}]))
    assert again.content[0].text == REPLIES["hi"]


def test_an_agents_loop(client: Anthropic) -> None:
    """Two calls at once, their results in one message, one of them an error, then the answer."""
    message = both(client, ask("look", tools=TOOLS, tool_choice={"type": "auto"}))
    text, first, second = message.content
    assert (text.text, message.stop_reason) == ("I look. ", "tool_use")
    assert [(one.name, one.input) for one in (first, second)] == [LS, CAT]
    results = [
        {"type": "tool_result", "tool_use_id": first.id, "content": "é.txt"},
        {"type": "tool_result", "tool_use_id": second.id, "content": "no such file", "is_error": True},
    ]
    history = [
        *ask("look")["messages"],
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": results},
    ]
    assert both(client, ask(history, tools=TOOLS)).content[0].text == "I saw both."


def test_the_asynchronous_client(stack: Stack) -> None:
    """Many streams at once, and the events in their order."""

    async def scenario() -> None:
        async with AsyncAnthropic(base_url=stack.url, auth_token="none", max_retries=0) as client:

            async def names(what: str) -> list[str]:
                stream = await client.messages.create(**ask(what, tools=TOOLS, stream=True))
                found = [event.type async for event in stream]
                return [name for at, name in enumerate(found) if at == 0 or name != found[at - 1]]

            answers = await asyncio.gather(*(names(what) for what in ("hi", "look", "think") * 3))
            block = ["content_block_start", "content_block_delta", "content_block_stop"]
            for answer, blocks in zip(answers, (1, 3, 2) * 3, strict=True):
                assert answer == ["message_start", *block * blocks, "message_delta", "message_stop"]

    asyncio.run(scenario())


def test_half_a_call_is_half_a_call(client: Anthropic) -> None:
    """Cut by the limit, streamed or whole, it has what was whole of its arguments, and the limit is told."""
    asked = ask("cut", tools=TOOLS, max_tokens=40)
    message = client.messages.create(**asked)
    [call] = message.content
    assert (call.name, call.input, message.stop_reason) == ("write_file", {"path": "a.py"}, "max_tokens")
    with client.messages.stream(**asked) as stream:
        again = stream.get_final_message()
    assert again.stop_reason == "max_tokens"
    assert [(one.name, one.input) for one in again.content] == [(call.name, call.input)]


def test_a_call_that_breaks_in_a_stream_is_an_error(client: Anthropic) -> None:
    """Nothing is made up for what has left already, and the SDK raises."""
    with (
        pytest.raises(APIStatusError) as caught,
        client.messages.stream(**ask("broken", tools=TOOLS)) as stream,
    ):
        stream.get_final_message()
    error: Any = caught.value.body
    assert error["error"]["details"]["error_code"] == "tool_call_malformed"


def test_a_limit_beyond_the_context_is_clamped(client: Anthropic) -> None:
    """As agents ask, whatever the model's context: the answer has the room that there is."""
    asked = {**ask("x" * 400), "model": "org/narrow", "max_tokens": 64_000}
    with client.messages.stream(**asked) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "model_context_window_exceeded"
    assert message.usage.input_tokens + message.usage.output_tokens == CONTEXT


def test_a_prompt_that_is_too_long_tells_both_numbers(client: Anthropic) -> None:
    """In the words that Claude Code reads them from, and never again by itself."""
    asked = {**ask("x" * 4 * 300), "model": "org/narrow"}
    with pytest.raises(BadRequestError, match="prompt is too long: 301 tokens > 256 maximum") as caught:
        client.messages.create(**asked)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.type == "invalid_request_error"


def test_errors_are_the_sdks_own(client: Anthropic) -> None:
    """Told apart by their status, with the request's id. A fleet that has just begun is not known yet: the SDK waits."""
    with pytest.raises(NotFoundError) as caught:
        client.with_options(max_retries=20).messages.create(**{**ask("hi"), "model": "gpt-9"})
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    assert caught.value.body["request_id"] == caught.value.request_id  # type: ignore[index]
    with pytest.raises(BadRequestError, match="must not end with a message of role assistant"):
        client.messages.create(**ask([*ask("hi")["messages"], {"role": "assistant", "content": "I"}]))
    with pytest.raises(NotFoundError, match="There is nothing at /v1/messages/batches"):
        client.messages.batches.list()


def test_tokens_are_counted_fifteen_at_once(client: Anthropic) -> None:
    """As `/context` does, beside whatever is generated."""

    def count(size: int) -> int:
        asked = {"model": "scripted", "messages": ask("word " * size)["messages"], "tools": TOOLS}
        return client.messages.count_tokens(**asked).input_tokens

    with ThreadPoolExecutor(15) as threads:
        counts = list(threads.map(count, range(10, 1510, 100)))
    assert counts == sorted(counts)
    assert 10 < counts[0] < counts[-1] < 3000


def test_models_by_pages(client: Anthropic) -> None:
    """The SDK goes from page to page by itself, and knows one by its id."""
    found = list(client.models.list(limit=1))
    assert [model.id for model in found] == ["org/narrow", "scripted"]
    narrow = client.models.retrieve("org/narrow")
    assert (narrow.lifecycle, narrow.max_input_tokens) == ("active", CONTEXT)
    assert narrow.capabilities is not None
    with pytest.raises(NotFoundError):
        client.with_options(max_retries=20).models.retrieve("nobody")


def agents_request() -> dict[str, Any]:
    """As Claude Code asks in the middle of its work: about 90 kB."""
    cached = {"cache_control": {"type": "ephemeral"}}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"path": {"type": "string", "description": "Where. " * 40}},
        "required": ["path"],
        "additionalProperties": False,
    }
    tools = [
        {"name": f"Tool{index}", "description": "What it does. " * 180, "input_schema": schema}
        for index in range(28)
    ]
    reminder = {"type": "text", "text": "<system-reminder>\nBe careful.\n</system-reminder>"}
    call = {"type": "tool_use", "id": "toolu_01A", "name": "Tool3", "input": {"path": "/a"}, **cached}
    return {
        "model": "scripted",
        "max_tokens": 32_000,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.f2c; cch=8d9a1;"},
            {"type": "text", "text": "You are an agent.", **cached},
            {"type": "text", "text": "How to work. " * 900, **cached},
        ],
        "messages": [
            {"role": "user", "content": [reminder, {"type": "text", "text": "please", **cached}]},
            {"role": "system", "content": "Tools that are loaded later: none."},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "I read it.", "signature": "EqQBCgIYAhIM"}, call],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_01A", "content": [{"type": "text", "text": "it"}]},
                    {"type": "text", "text": "look", **cached},
                ],
            },
        ],
        "tools": [*tools, *TOOLS],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "medium"},
        "metadata": {"user_id": json.dumps({"device_id": "d", "session_id": "s"})},
    }  # fmt: skip


def test_a_request_as_claude_code_makes_it(client: Anthropic) -> None:
    """28 tools and more, system messages inside, a billing line, thoughts of another server, a limit of 32,000: it is served."""
    asked = agents_request()
    assert len(json.dumps(asked)) > 80_000
    betas = ["claude-code-20250219", "interleaved-thinking-2025-05-14", "context-management-2025-06-27"]
    edits = {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}
    headers = {"x-claude-code-session-id": "s", "x-app": "cli", "anthropic-version": "2023-06-01"}
    more: dict[str, Any] = {"betas": betas, "extra_body": edits, "extra_headers": headers}
    with client.beta.messages.stream(**asked, **more) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert message.stop_reason == "tool_use"
    # After a stream that broke it asks once more without one.
    whole = client.beta.messages.create(**asked, **more, timeout=60)
    assert [block.type for block in whole.content] == ["text", "tool_use", "tool_use"]
    counted = client.beta.messages.count_tokens(
        model="scripted", messages=asked["messages"], tools=[], betas=["token-counting-2024-11-01"]
    )
    assert counted.input_tokens > 10
