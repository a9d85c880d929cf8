"""Whatever a model makes of a tool call, the official SDK sees a well-formed one, or text; through real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, OpenAI
from prometheus_client.parser import text_string_to_metric_families
from stack import Stack
from toolcall_vectors import AGENT_TOOLS

pytestmark = pytest.mark.system

TOOLS: list[Any] = [
    {"type": "function", "function": {"name": tool.name, "parameters": json.loads(tool.schema)}}
    for tool in AGENT_TOOLS
]
MKDIR = {"command": "mkdir -p doc/plan/{01-discovery,02-design}"}
LS = ("bash", {"command": "ls"})
FILE = ("write_file", {"path": "a.py", "content": 'print("hi")\n'})


def hermes(body: str) -> str:
    return f"<tool_call>\n{body}\n</tool_call>"


MENDED: dict[str, tuple[str, tuple[str, dict[str, str]]]] = {
    "as it should be": (hermes('{"name": "bash", "arguments": {"command": "ls"}}'), LS),
    "no name": (hermes(json.dumps({"arguments": MKDIR})), ("bash", MKDIR)),
    "braces too many": (hermes('{"name": "bash", "arguments": {"command": "ls"}}}}'), LS),
    "braces missing": (hermes('{"name": "bash", "arguments": {"command": "ls"}'), LS),
    "name among the arguments": (hermes('{"arguments": {"name": "bash", "command": "ls"}}'), LS),
    "arguments as a string": (hermes('{"name": "bash", "arguments": "{\\"command\\": \\"ls\\"}"}'), LS),
    "single quotes": (hermes("{'name': 'bash', 'arguments': {'command': 'ls'}}"), LS),
    "trailing commas": (hermes('{"name": "bash", "arguments": {"command": "ls",},}'), LS),
    "raw line breaks": (
        hermes('{"name": "write_file", "arguments": {"path": "a.py", "content": "print(\\"hi\\")\n"}}'),
        FILE,
    ),
    "another case and a namespace": (
        hermes('{"name": "functions.Bash", "arguments": {"command": "ls"}}'),
        LS,
    ),
    "several at once": (hermes("{'arguments': {'name': 'functions.Bash', 'command': 'ls',},}}"), LS),
    "no closer": ('<tool_call>{"name": "bash", "arguments": {"command": "ls"}}', LS),
    "inside open reasoning": (
        "<think>I'll look.\n" + hermes('{"name":"bash","arguments":{"command":"ls"}}'),
        LS,
    ),
}
AS_TEXT = {
    "unknown tool": hermes('{"name": "rm", "arguments": {"command": "ls"}}'),
    "ambiguous": hermes('{"arguments": {"path": "a.py"}}'),
    "half a string": '<tool_call>\n{"arguments": {"command": "ls',
    "prose": "A call is written as <tool_call> and </tool_call>; I make none.",
}
BROKEN = '<tool_call>{"name": "bash", "arguments": {"command": "ls" oops}}</tool_call>'
CUT = hermes(json.dumps({"name": "write_file", "arguments": {"path": "a.py", "content": "x" * 400}}))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    replies = {name: text for name, (text, _) in MENDED.items()} | AS_TEXT
    replies |= {"broken": BROKEN, "cut": CUT}
    scripts = {"scripted": {"family": "hermes", "replies": replies}}
    sim = {"tokens_per_s": 2000, "scripts": scripts}
    data: Path = tmp_path_factory.mktemp("calls") / "c"
    with Stack(data, sim=sim, models=("scripted",)) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> OpenAI:
    return OpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0)


def ask(client: OpenAI, what: str, **more: Any) -> Any:
    return client.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": what}], tools=TOOLS, **more
    )


def streamed(client: OpenAI, what: str, **more: Any) -> tuple[str, list[tuple[str, str, str]], str]:
    """What a client gathers from a stream: text, calls as (id, name, arguments), finish reason."""
    text, calls, reason = "", {}, ""
    for chunk in ask(client, what, stream=True, **more):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or ():
                id_, name, arguments = calls.get(call.index, ("", "", ""))
                function = call.function
                calls[call.index] = (
                    id_ + (call.id or ""),
                    name + (function.name or ""),
                    arguments + (function.arguments or ""),
                )
            reason = choice.finish_reason or reason
    return text, list(calls.values()), reason


@pytest.mark.parametrize("what", MENDED)
def test_a_malformed_call_reaches_the_client_well_formed(client: OpenAI, what: str) -> None:
    """Streamed and not, the SDK sees the same one call, with a finish reason that makes an agent go on."""
    expected = MENDED[what][1]
    text, calls, reason = streamed(client, what)
    assert [(name, json.loads(arguments)) for _, name, arguments in calls] == [expected]
    assert (text, reason) == ("", "tool_calls")
    answer = ask(client, what).choices[0]
    [call] = answer.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == expected
    assert answer.finish_reason == "tool_calls"
    assert call.id.startswith("call_")


@pytest.mark.parametrize("what", AS_TEXT)
def test_what_is_no_call_stays_visible(client: OpenAI, what: str) -> None:
    """It reaches the client as text, exactly as it came, with the model's own finish reason."""
    assert streamed(client, what) == (AS_TEXT[what], [], "stop")
    answer = ask(client, what).choices[0]
    assert (answer.message.content, answer.message.tool_calls) == (AS_TEXT[what], None)


def test_a_call_that_breaks_after_it_began_is_an_error(client: OpenAI) -> None:
    """Nothing is made up for what has left already: the stream ends with an error that may be retried."""
    with pytest.raises(APIError) as caught:
        streamed(client, "broken")
    assert caught.value.code == "tool_call_malformed"


def test_half_a_file_is_half_a_call(client: OpenAI) -> None:
    """Cut by the token limit, a call has no end: streamed or whole its arguments are no JSON, and the limit is told."""
    answer = ask(client, "cut", max_tokens=40).choices[0]
    _, calls, reason = streamed(client, "cut", max_tokens=40)
    assert answer.finish_reason == reason == "length"
    [call] = answer.message.tool_calls
    assert call.function.arguments == calls[0][2]
    with pytest.raises(ValueError, match="Unterminated string"):
        json.loads(call.function.arguments)


def test_replayed_arguments_that_are_malformed_are_no_error(client: OpenAI) -> None:
    """A conversation with a broken call in its history goes on."""
    call = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": '{"command": "ls'}}
    answer = client.chat.completions.create(
        model="scripted",
        tools=TOOLS,
        messages=[
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "as it should be"},
        ],
    )
    assert answer.choices[0].message.tool_calls[0].function.name == "bash"


def test_what_was_done_is_counted_and_told(stack: Stack, client: OpenAI) -> None:
    """Metrics count calls, repairs by kind and bodies that stayed text; an event names the request."""
    before = samples(stack)
    ask(client, "no name")
    ask(client, "ambiguous")
    after = samples(stack)
    repair = ("cortex_tool_call_repairs_total", "inferred")
    malformed = ("cortex_tool_calls_malformed_total", "")
    made = ("cortex_tool_calls_total", "")
    for name in (repair, malformed, made):
        assert after[name] == before.get(name, 0) + 1, name


def samples(stack: Stack) -> dict[tuple[str, str], float]:
    connection = HTTPConnection("127.0.0.1", stack.metrics_port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return {
        (sample.name, sample.labels.get("step", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("model") == "scripted"
    }
