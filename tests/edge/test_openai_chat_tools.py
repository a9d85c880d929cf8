"""Tools in a chat in all their forms: the old functions, tools that take text, choices in any spelling; there and back."""

import json

import pytest

from cortex.edge.dialects.custom_input import arguments_of
from cortex.edge.dialects.dialect import Answered
from cortex.edge.dialects.openai_chat import parse
from cortex.edge.dialects.openai_chat_reply import OpenAIChat
from cortex.protocol.deltas import Delta, Finish, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.faults import FaultError
from cortex.protocol.request import ToolCall, ToolChoice
from cortex.protocol.values import Usage

EXAMPLE = '{"type": "function", "function": {"name": "get_weather"}}'
USER = {"role": "user", "content": "hi"}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
PATCH = {"type": "custom", "custom": {"name": "patch", "description": "Change files."}}
OLD = {"name": "look", "parameters": {"type": "object"}}
TEXT = 'a "b"\n\\ é 😀'


def body(**fields):
    return json.dumps({"model": "demo", "messages": [USER], **fields}).encode()


def chat(**fields):
    return parse(body(**fields)).request


def refused(**fields):
    with pytest.raises(FaultError) as caught:
        parse(body(**fields))
    return caught.value.fault


def delta(*pieces):
    return Delta("r", 1, 0, 0, [1], list(pieces))


def called(name, arguments, size=1, index=0, *, ends=True):
    pieces = [ToolStart(index, f"call_{index}", name)]
    pieces += [ToolArguments(index, arguments[at : at + size]) for at in range(0, len(arguments), size)]
    return [delta(piece) for piece in [*pieces, *([ToolEnd(index)] if ends else [])]]


def both(parsed, deltas):
    """The one choice of an answer to this request: as a stream's deltas, and as a whole."""
    dialect, answered, usage = OpenAIChat(), Answered("1", "demo", 123), Usage(prompt=1, completion=1)
    encoder, collector = dialect.encoder(parsed, answered), dialect.collector(parsed, answered)
    data = encoder.start(0)
    for one in [*deltas, delta(Finish("stop"))]:
        data += encoder.push(one)
        collector.push(one)
    data += encoder.end(usage)
    events = [json.loads(line[6:]) for line in data.decode().split("\n\n") if line and "[DONE]" not in line]
    return [event["choices"][0] for event in events], json.loads(collector.body(usage))["choices"][0]


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        ({}, ToolChoice(parallel=False)),
        ({"function_call": "auto"}, ToolChoice(parallel=False)),
        ({"function_call": "none"}, ToolChoice(mode="none", parallel=False)),
        ({"function_call": {"name": "look"}}, ToolChoice(mode="named", name="look", parallel=False)),
    ],
)
def test_functions_are_tools_of_which_one_may_be_called(choice, read):
    """The old form means the same, but for the one call that an answer had room for."""
    found = chat(functions=[OLD], **choice)
    assert (found.tools, found.tool_choice) == (chat(tools=[LOOK]).tools, read)


def test_a_choice_in_the_old_form_means_tools_as_well():
    """Where there is no other: it says the same of tools."""
    assert chat(tools=[LOOK], function_call="none").tool_choice == ToolChoice(mode="none")
    assert chat(function_call="auto") == chat()


def test_a_call_is_told_in_the_form_that_was_asked_in():
    """Who sends functions reads `function_call`, streamed and whole; a second call has no place there."""
    deltas = called("look", '{"at": 1}', 4) + called("look", "{}", index=1)
    chunks, whole = both(parse(body(functions=[OLD])), deltas)
    told = [chunk["delta"]["function_call"] for chunk in chunks if "function_call" in chunk["delta"]]
    assert told[0] == {"name": "look", "arguments": ""}
    assert "".join(one["arguments"] for one in told) == '{"at": 1}'
    assert not any("tool_calls" in chunk["delta"] for chunk in chunks)
    assert whole["message"]["function_call"] == {"name": "look", "arguments": '{"at": 1}'}
    assert "tool_calls" not in whole["message"]
    assert whole["message"]["content"] is None
    assert (chunks[-1]["finish_reason"], whole["finish_reason"]) == ("function_call", "function_call")


def test_a_custom_tool_is_one_with_a_text_for_its_input():
    """Models write arguments as JSON, so the text is the only member of an object; the history says it alike."""
    assert chat(tools=[PATCH]).tools[0].description == "Change files."
    assert json.loads(chat(tools=[PATCH]).tools[0].schema) == {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
        "additionalProperties": False,
    }
    call = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": TEXT}}
    said = {"role": "assistant", "tool_calls": [call]}
    done = {"role": "tool", "tool_call_id": "c", "content": "ok"}
    turn = chat(messages=[USER, said, done]).turns[1]
    assert turn.tool_calls == (ToolCall(id="c", name="patch", arguments=arguments_of(TEXT)),)
    assert json.loads(turn.tool_calls[0].arguments) == {"input": TEXT}


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_custom_call_is_told_as_text(size, ascii_only):
    """Unpacked as it comes, streamed and whole; calls of functions beside it stay as they are."""
    arguments = json.dumps({"input": TEXT}, ensure_ascii=ascii_only)
    deltas = [*called("patch", arguments, size), *called("look", "{}", index=1)]
    chunks, whole = both(parse(body(tools=[LOOK, PATCH])), deltas)
    told = [call for chunk in chunks for call in chunk["delta"].get("tool_calls", ())]
    assert told[0] == {"index": 0, "id": "call_0", "type": "custom", "custom": {"name": "patch", "input": ""}}
    assert "".join(call["custom"]["input"] for call in told if call["index"] == 0) == TEXT
    assert {"index": 1, "function": {"arguments": "{"}} in told
    assert whole["message"]["tool_calls"] == [
        {"id": "call_0", "type": "custom", "custom": {"name": "patch", "input": TEXT}},
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
    ]
    assert (chunks[-1]["finish_reason"], whole["finish_reason"]) == ("tool_calls", "tool_calls")


def test_a_custom_call_that_was_cut_is_the_text_so_far():
    """The same streamed and whole, without half of an escape."""
    chunks, whole = both(
        parse(body(tools=[PATCH])), called("patch", r'{"input": "abc\ud83d\ud', 5, ends=False)
    )
    told = [call for chunk in chunks for call in chunk["delta"].get("tool_calls", ())]
    assert "".join(call["custom"]["input"] for call in told) == "abc"
    assert whole["message"]["tool_calls"][0]["custom"]["input"] == "abc"


ALLOWED = [{"type": "function", "function": {"name": "look"}}]


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        ({"type": "auto"}, ToolChoice()),
        ({"type": "none"}, ToolChoice(mode="none")),
        ({"type": "required"}, ToolChoice(mode="required")),
        ({"type": "any"}, ToolChoice(mode="required")),
        ({"type": "function", "name": "look"}, ToolChoice(mode="named", name="look")),
        ({"type": "tool", "name": "look"}, ToolChoice(mode="named", name="look")),
        ({"function": {"name": "look"}}, ToolChoice(mode="named", name="look")),
        ({"type": "custom", "custom": {"name": "patch"}}, ToolChoice(mode="named", name="patch")),
        ({"type": "allowed_tools", "mode": "auto", "tools": ALLOWED}, ToolChoice()),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]},
            ToolChoice(mode="required"),
        ),
    ],
)
def test_a_choice_is_understood_in_the_spelling_of_any_dialect(choice, read):
    """What other interfaces write flat, or as an object, can mean one thing only."""
    found = chat(tools=[LOOK, PATCH], tool_choice=choice)
    assert found.tool_choice == read
    assert len(found.tools) == (1 if choice.get("type") == "allowed_tools" else 2)


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        (
            {"tool_choice": {"type": "web_search"}},
            "tool_choice",
            f"tool_choice must be none, auto, required or name a tool, such as {EXAMPLE}.",
        ),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function", "tool_choice.function is required."),
        ({"tool_choice": {"type": "custom"}}, "tool_choice.custom", "tool_choice.custom is required."),
        (
            {"tool_choice": {"type": "allowed_tools"}},
            "tool_choice.allowed_tools",
            "tool_choice.allowed_tools is required.",
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "mcp"}]}},
            "tool_choice.allowed_tools.tools",
            f"tool_choice.allowed_tools.tools must hold tools by name, such as {EXAMPLE}.",
        ),
        ({"functions": [OLD]}, "functions", "functions cannot stand beside tools; send all of them as tools."),
        (
            {"function_call": "auto", "tool_choice": "auto"},
            "function_call",
            "function_call cannot stand beside tool_choice; send tool_choice alone.",
        ),
        (
            {"function_call": {"name": "no"}},
            "function_call.name",
            "function_call.name names a tool that is not offered; name one of those that you send.",
        ),
        ({"function_call": "look"}, "function_call", "function_call must be none, auto or an object that names a function."),
    ],
)  # fmt: skip
def test_a_choice_that_is_none_is_told_the_form(fields, param, message):
    """One sentence that says what would be right."""
    found = refused(tools=[LOOK], **fields)
    assert (found.param, found.message) == (param, message)


def test_what_is_wrong_with_a_tool_names_its_place():
    """Of the old form and of a custom tool; a grammar is told to the model."""
    assert refused(functions=[{"name": ""}]).param == "functions[0].name"
    assert refused(functions=[OLD, OLD]).param == "functions[1].name"
    bad = {"name": "look", "parameters": {"type": "object", "properties": {"x": {"type": "strin"}}}}
    assert refused(functions=[bad], function_call={"name": "look"}).param.startswith(
        "functions[0].parameters"
    )
    assert refused(tools=[{"type": "custom"}]).param == "tools[0].custom"
    assert refused(tools=[{"type": "web_search"}]).param == "tools[0].type"
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
    told = chat(tools=[{"type": "custom", "custom": {"name": "p", "format": grammar}}]).tools[0].description
    assert told.endswith("start: /a/")
    free = chat(tools=[{"type": "custom", "custom": {"name": "p", "format": {"type": "text"}}}])
    assert free.tools[0].description == ""


def test_an_answer_without_calls_is_the_same_in_every_form():
    """Text is text, whatever tools were offered in."""
    chunks, whole = both(parse(body(functions=[OLD])), [delta(TextPiece("so"))])
    assert [chunk["delta"].get("content") for chunk in chunks] == ["", "so", None]
    assert (whole["message"]["content"], whole["finish_reason"]) == ("so", "stop")
