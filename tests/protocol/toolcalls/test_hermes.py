"""The rules of the Hermes family, one by one. Every text is also read one character at a time."""

from __future__ import annotations

import pytest
from toolcall_texts import Reading, call_id, call_pieces, hermes, read

from cortex.protocol.deltas import Piece, ReasoningPiece, TextPiece, ToolArguments, ToolStart
from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls import parser_for


def both_ways(text: str, **options) -> Reading:
    at_once = read([text], hermes(**options))
    assert read(list(text), hermes(**options)) == at_once
    return at_once


def call(body: str) -> str:
    return f"<tool_call>{body}</tool_call>"


ADD = '{"name": "add", "arguments": {"a": 1}}'
ADDED = call_pieces(0, "add", '{"a": 1}')


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("Hello", [TextPiece("Hello")]),
        (" \n", [TextPiece(" \n")]),
        (" \n Hi", [TextPiece(" \n Hi")]),
        ("a < b <t <thin", [TextPiece("a < b <t <thin")]),
        ("  <thinner", [TextPiece("  <thinner")]),
        ("</tool_call>", [TextPiece("</tool_call>")]),
    ],
)
def test_text_passes_as_it_is(text: str, pieces: list[Piece]) -> None:
    """What is no marker is text, also where it looks like the beginning of one."""
    assert both_ways(text).pieces == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("<think>hm</think>Hi", [ReasoningPiece("hm"), TextPiece("Hi")]),
        (" \n<think>hm</think>Hi", [ReasoningPiece("hm"), TextPiece("Hi")]),
        ("<think>\n hm \n</think>\r\n\n Hi", [ReasoningPiece("hm \n"), TextPiece("Hi")]),
        ("So <think>hm</think>\nHi", [TextPiece("So "), ReasoningPiece("hm"), TextPiece("Hi")]),
        ("<think></think>Hi", [TextPiece("Hi")]),
        ("<think>\n\n</think>\n\nHi", [TextPiece("Hi")]),
        ("<think>hm", [ReasoningPiece("hm")]),
        ("<think>hm</thi", [ReasoningPiece("hm</thi")]),
        ("<think>a </b> </think >c", [ReasoningPiece("a </b> </think >c")]),
        ("<think>a<think>b</think>", [ReasoningPiece("a<think>b")]),
        ("Hi</think>", [TextPiece("Hi</think>")]),
        ("<think>a</think>b</think>", [ReasoningPiece("a"), TextPiece("b</think>")]),
        ("<think>a</think>\n<think>b</think>", [ReasoningPiece("ab")]),
        (f"<think>{call('{}')}</think>x", [ReasoningPiece(call("{}")), TextPiece("x")]),
    ],
)
def test_reasoning_is_split_from_text(text: str, pieces: list[Piece]) -> None:
    """`<think>` opens reasoning anywhere, `</think>` closes it, and neither is ever emitted."""
    assert both_ways(text).pieces == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("\n hm</think>\n\nHi", [ReasoningPiece("hm"), TextPiece("Hi")]),
        ("hm", [ReasoningPiece("hm")]),
        ("\n\n", []),
        ("\n</think>\n\nHi", [TextPiece("Hi")]),
    ],
)
def test_a_reply_may_begin_inside_reasoning(text: str, pieces: list[Piece]) -> None:
    """With `reasoning_open` the prompt held the opener, and the same trimming holds as after `<think>`."""
    assert both_ways(text, reasoning_open=True).pieces == pieces


def test_in_reasoning_follows_the_text() -> None:
    """The engine counts reasoning tokens by `in_reasoning`."""
    parser = hermes()
    seen = []
    for chunk in ["Hi", "<thi", "nk>", "hm", "</think>", "x"]:
        parser.push(chunk)
        seen.append(parser.in_reasoning)
    assert seen == [False, False, True, True, False, False]
    assert hermes(reasoning_open=True).in_reasoning


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (call(ADD), ADDED),
        (call(f"\n{ADD}\n"), ADDED),
        ("\n\n" + call(ADD) + "\n", ADDED),
        (f"<tool_call>{ADD}", ADDED),
        (f"<tool_call>\n{ADD}\n ", ADDED),
        ("Let me. " + call(ADD), [TextPiece("Let me. "), *ADDED]),
        (call(ADD) + "\nDone.", [*ADDED, TextPiece("Done.")]),
        ("Sure." + call(ADD) + " \nDone.", [TextPiece("Sure."), *ADDED, TextPiece(" \nDone.")]),
        (f"Sure.<tool_call>{ADD}\n</tool_call> so", [TextPiece("Sure."), *ADDED, TextPiece(" so")]),
        ("Sure.\n" + call(ADD) + "\nDone.", [TextPiece("Sure.\n"), *ADDED, TextPiece("Done.")]),
        ("Sure." + call(ADD) + "\n", [TextPiece("Sure."), *ADDED]),
        ("<think>hm</think>\n\n" + call(ADD), [ReasoningPiece("hm"), *ADDED]),
        (call(ADD) + "\n" + call(ADD), [*ADDED, *call_pieces(1, "add", '{"a": 1}')]),
        (f"<tool_call>{ADD}\n" + call(ADD), [*ADDED, *call_pieces(1, "add", '{"a": 1}')]),
        (call('{"arguments":{"a": 1},"name":"add"}'), ADDED),
        (call('{"name":"add","parameters":{"a": 1}}'), ADDED),
        (call(r'{"name":"\u0061dd","\u0061rguments":{"a": 1}}'), ADDED),
        (call('{"type":"function","id":7,"x":[{}],"name":"add","arguments":{"a": 1}}'), ADDED),
        (call(r'{"name":"add","arguments":"{\"a\": 1}"}'), ADDED),
        (call(r'{"arguments":" {\"a\": 1}\n","name":"add"}'), ADDED),
        (call('{"name":"add"}'), call_pieces(0, "add", "{}")),
        (call('{"name":"add","arguments":{}}'), call_pieces(0, "add", "{}")),
        (call('{"name":"add","arguments":null}'), call_pieces(0, "add", "{}")),
        (call('{"name":"add","arguments":""}'), call_pieces(0, "add", "{}")),
        (
            call('{"name":"add","arguments":{"a":"}</tool_call><think>{\\""}}') + "x",
            [*call_pieces(0, "add", '{"a":"}</tool_call><think>{\\""}'), TextPiece("x")],
        ),
        (
            call('{"name":"add","arguments":{"n":-0.5e+10,"b":[true,false,null,0,1E5,[]]}}'),
            call_pieces(0, "add", '{"n":-0.5e+10,"b":[true,false,null,0,1E5,[]]}'),
        ),
        (f"<tool_call>{ADD} oops</tool_call>", [*ADDED, TextPiece("oops</tool_call>")]),
        (f"<tool_call>{ADD}</tool", [*ADDED, TextPiece("</tool")]),
    ],
)
def test_calls_are_recognized(text: str, pieces: list[Piece]) -> None:
    """A call is what its JSON says, wherever its fields, its closer and the whitespace are."""
    reading = both_ways(text)
    assert reading.pieces == pieces
    assert reading.malformed is None


@pytest.mark.parametrize(
    "text",
    [
        call(""),
        call("  \n "),
        call("[]"),
        call("add(1)"),
        call('{"name": "add" "arguments": {}}'),
        call('{, "name": "add"}'),
        call('{"name" "add"}'),
        call("{}"),
        call('{"name": "subtract", "arguments": {"a": {"name": "add"}}}'),
        call('{"name": "ad", "arguments": {}}'),
        call('{"name": null, "arguments": {}}'),
        call('{"name": ["add"], "arguments": {}}'),
        call('{"name": "add", "name": "add"}'),
        call('{"arguments": {"a": 1}}'),
        call('{"arguments": {"a": 1}, "parameters": {}, "name": "add"}'),
        call('{"name": "add", "arguments": [1]}'),
        call('{"name": "add", "arguments": 5}'),
        call('{"name": "add", "arguments": "x"}'),
        call('{"name": "add", "arguments": "{} {}"}'),
        call('{"name": "add", "arguments": "{\\"a\\": \\"\\ud800\\"}"}'),
        call('{"name": "add", "arguments": nul}'),
        call('{"name": "add", "arguments": "\\x"}'),
        call('{"name": "add", "arguments": "\\u12g4"}'),
        call('{"n\\u006": "add"}'),
        call('{"n\\u": "add"}'),
        " \n" + call("oops") + " \n",
        "<tool_call>",
        "<tool_call>{",
        "<tool_call>{}",
        '<tool_call>{"name": "add", "arguments": ',
        '<tool_call>{"name": "add", "arguments": "{\\"a\\"',
        '<tool_call>{"arguments": {"a": 1}',
        '<tool_call>{"name": "add", "extra": -',
    ],
)
def test_what_is_no_call_is_text(text: str) -> None:
    """A body that is refused or cut before any of it left goes to the client exactly as it came."""
    reading = both_ways(text)
    assert reading.pieces == [TextPiece(text)]
    assert reading.malformed is None


def test_a_real_call_after_a_false_start_is_found() -> None:
    """Text behind a refused body is read as ever, and indexes count only calls that started."""
    text = "Write <tool_call> first: " + call(ADD) + call("{}") + call(ADD)
    assert both_ways(text).pieces == [
        TextPiece("Write <tool_call> first: "),
        *ADDED,
        TextPiece(call("{}")),
        *call_pieces(1, "add", '{"a": 1}'),
    ]


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ('{"name":"add","arguments":{"a": 1', '{"a": 1'),
        ('{"name":"add","arguments":{"a": 1},', '{"a": 1}'),
        ('{"name":"add","arguments":{"a": 1}]', '{"a": 1}'),
        ('{"name":"add","arguments":{"a": tru!', '{"a": tru'),
        ('{"name":"add","arguments":{"a": 01', '{"a": 0'),
        ('{"name":"add","arguments":{"a": [1}', '{"a": [1'),
        ('{"name":"add","arguments":{"a": 1,,', '{"a": 1,'),
        ('{"name":"add","arguments":{a', "{"),
        ('{"name":"add","arguments":{"a": "\\\n"}}', '{"a": "'),
        ('{"name":"add","arguments":{"a": 1},"arguments":{"b":2}}', '{"a": 1}'),
        ('{"name":"add","arguments":{"a": 1},"name":"add"}', '{"a": 1}'),
        ('{"name":"add","arguments":{"a":' + "[" * 300, '{"a":' + "[" * 255),
    ],
)
def test_a_call_that_breaks_after_it_began_is_reported(body: str, left: str) -> None:
    """Nothing is invented and nothing more leaves: `malformed` tells which call broke."""
    reading = both_ways(f"<tool_call>{body}")
    assert reading.pieces == [ToolStart(0, "call_0", "add"), ToolArguments(0, left)]
    assert reading.malformed is not None
    assert reading.malformed.startswith("tool call 0:")
    assert both_ways(f"<tool_call>{body}").malformed == reading.malformed


def test_after_a_broken_call_nothing_leaves() -> None:
    """The attempt has failed; what follows would only look like an answer."""
    reading = both_ways('<tool_call>{"name":"add","arguments":{x</tool_call> Sorry. ' + call(ADD))
    assert reading.pieces == [ToolStart(0, "call_0", "add"), ToolArguments(0, "{")]


def test_arguments_leave_as_they_come() -> None:
    """A call starts with its first stretch of arguments and each valid stretch leaves at once."""
    parser = hermes()
    chunks = ["<tool_call>", '{"name": "add"', ', "arguments": ', '{"a', '": "x', 'y"}', "}"]
    assert [len(parser.push(chunk)) for chunk in chunks] == [0, 0, 0, 2, 1, 1, 1]


def test_arguments_wait_for_the_name() -> None:
    """Arguments that come first are held until the name says whose they are."""
    parser = hermes()
    assert parser.push('<tool_call>{"arguments": {"a": 1}, "na') == []
    assert parser.push('me": "add"') == [ToolStart(0, "call_0", "add"), ToolArguments(0, '{"a": 1}')]


@pytest.mark.parametrize(
    ("chunk", "flows"),
    [
        ("Hello <", "Hello "),
        ("a<b", "a<b"),
        ("x </think>", "x </think>"),
        ("x <thin", "x "),
        ("<tool_cal", ""),
    ],
)
def test_only_a_possible_marker_is_held_back(chunk: str, flows: str) -> None:
    """Text flows at once except for the longest suffix that could begin a live marker."""
    assert hermes().push(chunk) == ([TextPiece(flows)] if flows else [])


def test_without_tools_there_are_no_calls() -> None:
    """Where no tool was offered `<tool_call>` is text, and is not held back either."""
    assert both_ways(call(ADD), tools=()).pieces == [TextPiece(call(ADD))]
    assert hermes(tools=()).push("<tool") == [TextPiece("<tool")]
    assert hermes(tools=()).push("<t") == []


def test_ids_come_from_the_caller() -> None:
    """The id of a call is what `call_id` says for its index."""
    parser = parser_for("hermes", (ToolSpec(name="add"),), call_id=lambda index: f"x{index + 7}")
    assert parser.push(call(ADD))[0] == ToolStart(0, "x7", "add")


def test_plain_is_all_text() -> None:
    """The plain family reads no markers at all."""
    parser = parser_for("plain", (ToolSpec(name="add"),), call_id=call_id)
    text = f"<think>{call(ADD)}"
    reading = read([text, ""], parser)
    assert (reading.pieces, reading.malformed, reading.in_reasoning) == ([TextPiece(text)], None, False)


def test_an_unknown_family_is_refused() -> None:
    """The error names the families there are."""
    with pytest.raises(ValueError, match=r"unknown tool-call family 'hermès'; known: hermes, .*plain"):
        parser_for("hermès", (), call_id=call_id)
