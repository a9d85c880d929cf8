"""Custom tools of a chat: functions of one string to the model, plain text to their client."""

import json

from cortex.edge.dialects.dialect import Answered, Asked
from cortex.edge.dialects.openai_chat_reply import OpenAIChat
from cortex.protocol.deltas import Delta, Finish, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.request import ToolChoice
from cortex.protocol.values import Usage

DIALECT = OpenAIChat()
ANSWERED = Answered("1a", "demo", 123)
FORM = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
PATCH = {"type": "custom", "custom": {"name": "patch", "description": "Patches.", "format": FORM}}
MADE = {"id": "call_1", "type": "custom", "custom": {"name": "patch", "input": "a\nb"}}
SAID = (ToolStart(0, "call_1", "patch"), ToolArguments(0, '{"input":"a'), ToolArguments(0, '\\nb"'))
SAID += (ToolArguments(0, "}"), ToolEnd(0), Finish("stop"))


def read(**more):
    body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "tools": [PATCH], **more}
    return DIALECT.parse(json.dumps(body).encode(), Asked())


def test_a_custom_tool_is_offered_as_a_function():
    """With its grammar in words; it can be chosen by its name, and its calls in the history are calls."""
    history = [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [MADE]}]
    history += [{"role": "tool", "tool_call_id": "call_1", "content": "ok"}]
    parsed = read(messages=history, tool_choice={"type": "custom", "custom": {"name": "patch"}})
    [tool] = parsed.request.tools
    assert json.loads(tool.schema)["required"] == ["input"]
    assert tool.description.endswith("must follow this regex grammar:\na+")
    assert parsed.request.tool_choice == ToolChoice(mode="named", name="patch")
    assert json.loads(parsed.request.turns[1].tool_calls[0].arguments) == {"input": "a\nb"}


def test_a_custom_call_is_told_its_text():
    """Whole, and piece by piece."""
    collector = DIALECT.collector(read(), ANSWERED)
    collector.push(Delta("r", 1, 0, 0, [1], list(SAID)))
    [choice] = json.loads(collector.body(Usage()))["choices"]
    assert (choice["message"]["tool_calls"], choice["finish_reason"]) == ([MADE], "tool_calls")
    encoder = DIALECT.encoder(read(), ANSWERED)
    told = b"".join(encoder.push(Delta("r", 1, 0, 0, [1], [piece])) for piece in SAID).decode()
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in told.split("\n\n")[:-1]]
    assert [call for delta in deltas for call in delta.get("tool_calls", ())] == [
        {"index": 0, **MADE, "custom": {"name": "patch", "input": ""}},
        {"index": 0, "custom": {"input": "a"}},
        {"index": 0, "custom": {"input": "\nb"}},
    ]
