"""Calls written as Python, in Gemma's notation and as harmony messages: what was written comes back exactly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toolcall_texts import CUTS, OBJECTS, call_id, cut
from toolcall_vectors import calls_of, content_of, reasoning_of

from cortex.protocol.deltas import Piece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls import markers_of, parser_for
from cortex.protocol.toolcalls.base import merged
from cortex.protocol.toolcalls.pythonic import LONGEST
from cortex.protocol.toolcalls.steps import ALL, Step

TOOLS = (ToolSpec(name="add"), ToolSpec(name="write_file"), ToolSpec(name="math.größe"))
NAMES = st.sampled_from([tool.name for tool in TOOLS])
FAMILIES = ("pythonic", "lfm2", "olmo", "gemma", "harmony")
KEYS = st.from_regex(re.compile(r"[a-zß_][a-z0-9_-]{0,6}"), fullmatch=True) | st.sampled_from(
    ["from", "class", "None"]
)
ARGUMENTS = st.builds(
    lambda keys, values: dict(zip(keys, values, strict=False)),
    st.lists(KEYS, unique=True),
    OBJECTS.map(lambda one: list(one.values())),
)


def read(
    family: str, chunks: list[str], *, end_cut: bool = False, steps: frozenset[Step] = ALL
) -> tuple[list[Piece], bool]:
    """The pieces of a reply, and whether a call in it broke."""
    parser = parser_for(family, TOOLS, call_id=call_id, steps=steps)
    pieces = [piece for chunk in chunks for piece in parser.push(chunk)]
    pieces += parser.finish(cut=end_cut)
    return merged(pieces), parser.malformed is not None


def python_string(text: str, style: str) -> str:
    if style == "json":
        return json.dumps(text)
    if style == "repr":
        return repr(text)
    quote = "'''" if style == "triple" else '"'
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
    return (
        quote + (escaped if style == "triple" else escaped.replace("\n", "\\n").replace("\r", "\\r")) + quote
    )


def python(value: Any, style: str) -> str:
    """A value as Python writes it, with strings in one of several styles."""
    match value:
        case str():
            return python_string(value, style)
        case list():
            return f"[{', '.join(python(one, style) for one in value)}]"
        case dict():
            inside = ",".join(
                f"{python_string(key, style)}: {python(one, style)}" for key, one in value.items()
            )
            return f"{{{inside}}}"
        case bool() | None if style == "json":
            return json.dumps(value)
        case _:
            return repr(value)


def python_call(name: str, arguments: dict[str, Any], style: str) -> str:
    return f"{name}({', '.join(f'{key}={python(value, style)}' for key, value in arguments.items())})"


def gemma(value: Any, quote: str) -> str:
    match value:
        case str():
            return f"{quote}{value}{quote}"
        case list():
            return f"[{','.join(gemma(one, quote) for one in value)}]"
        case dict():
            return f"{{{','.join(f'{quote}{key}{quote}:{gemma(one, quote)}' for key, one in value.items())}}}"
        case _:
            return json.dumps(value)


STYLES = st.sampled_from(["repr", "json", "double", "triple"])
FRAMES: dict[str, Callable[[list[str]], str]] = {
    "pythonic": lambda calls: f"[{', '.join(calls)}]",
    "lfm2": lambda calls: f"Text. <|tool_call_start|>[{', '.join(calls)}]<|tool_call_end|>",
    "olmo": lambda calls: "<function_calls>\n" + "\n".join(calls) + "\n</function_calls>",
}
CALLS = st.lists(st.tuples(NAMES, ARGUMENTS, STYLES), min_size=1, max_size=3)


@given(st.sampled_from(list(FRAMES)), CALLS, CUTS)
def test_python_comes_back_exactly(
    family: str, written: list[tuple[str, dict[str, Any], str]], cuts: list[int]
) -> None:
    """Whatever the strings hold and however they are quoted, each argument arrives as it was meant."""
    text = FRAMES[family]([python_call(*call) for call in written])
    pieces, broken = read(family, cut(text, cuts))
    assert calls_of(pieces) == tuple((name, arguments) for name, arguments, _ in written)
    assert not broken
    assert content_of(pieces) == ("Text. " if family == "lfm2" else "")


@given(
    st.lists(st.tuples(NAMES, OBJECTS), min_size=1, max_size=3), st.sampled_from(['<|"|>', "<escape>"]), CUTS
)
def test_gemmas_notation_comes_back_exactly(
    written: list[tuple[str, dict[str, Any]]], quote: str, cuts: list[int]
) -> None:
    """Strings hold anything but their own delimiter, and nothing in them is an escape."""
    opener, closer = (
        ("<|tool_call>", "<tool_call|>") if "|" in quote else ("<start_function_call>", "<end_function_call>")
    )
    text = "".join(f"{opener}call:{name}{gemma(arguments, quote)}{closer}" for name, arguments in written)
    pieces, broken = read("gemma", cut(text, cuts))
    assert calls_of(pieces) == tuple(written)
    assert (content_of(pieces), broken) == ("", False)


@given(st.lists(st.tuples(NAMES, OBJECTS, st.booleans()), min_size=1, max_size=3), CUTS)
def test_harmony_comes_back_exactly(written: list[tuple[str, dict[str, Any], bool]], cuts: list[int]) -> None:
    """A recipient may stand in either part of the header, and calls follow thoughts or each other."""
    text = "<|channel|>analysis<|message|>Hm.<|end|>"
    for name, arguments, early in written:
        role, channel = (f" to=functions.{name}", "") if early else ("", f" to=functions.{name}")
        body = json.dumps(arguments, ensure_ascii=early)
        text += f"<|start|>assistant{role}<|channel|>commentary{channel} <|constrain|>json<|message|>{body}<|call|>"
    pieces, broken = read("harmony", cut(text, cuts))
    assert calls_of(pieces) == tuple((name, arguments) for name, arguments, _ in written)
    assert (reasoning_of(pieces), content_of(pieces), broken) == ("Hm.", "", False)


FRAGMENTS = st.sampled_from(
    [
        *sorted(markers_of("pythonic") | markers_of("lfm2") | markers_of("olmo") | markers_of("gemma") | markers_of("harmony")),
        "[", "]", "(", ")", "{", "}", ",", ":", "=", "'", '"', "'''", "\\", "\n", " ", "<", "<|", "|>",
        "add", "add(", "[add(", "call:add{", "call:", "a=1", "a:1", "a='x'", "None", "tru", "1", "-", "1e", "r'", "é", "\ud800",
        "to=functions.add", "<|channel|>commentary to=functions.add<|message|>{", "assistant", "analysis", "final", "```", '"a": 1',
    ]
)  # fmt: skip
SOUP = st.lists(FRAGMENTS | st.text(max_size=3), max_size=14).map("".join)


@given(st.sampled_from(FAMILIES), SOUP, CUTS, st.booleans())
def test_chunks_never_matter(family: str, text: str, cuts: list[int], end_cut: bool) -> None:
    """Any text in any chunks means what it means in one, and whatever left of a call is one JSON object."""
    pieces, broken = whole = read(family, [text], end_cut=end_cut)
    assert read(family, cut(text, cuts), end_cut=end_cut) == whole
    assert read(family, list(text), end_cut=end_cut) == whole
    started = [piece.index for piece in pieces if isinstance(piece, ToolStart)]
    ended = [piece.index for piece in pieces if isinstance(piece, ToolEnd)]
    assert started == list(range(len(ended) + broken))
    calls_of(pieces)


@given(st.sampled_from(FAMILIES), SOUP)
def test_nothing_is_mended_against_orders(family: str, text: str) -> None:
    """With every repair switched off, no call has a repair to tell of, and chunks matter as little."""
    parser = parser_for(family, TOOLS, call_id=call_id, steps=frozenset())
    parser.push(text)
    parser.finish()
    assert [note for note in parser.notes if hasattr(note, "step")] == []
    assert read(family, list(text), steps=frozenset()) == read(family, [text], steps=frozenset())


@pytest.mark.parametrize(
    "body",
    [
        "a=" + "-" * 50_000 + "1",
        "a=" + "x." * 50_000 + "x",
        "a=" + "1+" * 50_000 + "1",
        "a=" + "9" * 50_000,
        "a=" + "not " * 50_000 + "1",
    ],
)
def test_what_would_be_too_deep_is_refused(body: str) -> None:
    """Chains that make a deep tree, and numbers too long to be read, are no arguments."""
    pieces, _ = read("olmo", [f"<function_calls>add({body})</function_calls>"])
    assert calls_of(pieces) == ()
    assert content_of(pieces) == f"<function_calls>add({body})</function_calls>"


def test_a_call_has_a_greatest_size() -> None:
    """Of a call that goes on and on, all is text in the end, cut or not."""
    text = f"<function_calls>add(a='{'x' * LONGEST}')</function_calls>"
    for chunks in ([text], [text[:500], text[500:]]):
        pieces, _ = read("olmo", chunks)
        assert content_of(pieces) == text


def test_gemmas_arguments_leave_as_they_come() -> None:
    """A file that is written need not be whole before its first line leaves."""
    parser = parser_for("gemma", TOOLS, call_id=call_id)
    assert parser.push("<|tool_call>call:add{a:<|") == [
        ToolStart(0, "call_0", "add"),
        ToolArguments(0, '{"a":'),
    ]
    assert parser.push('"|>line\n<') == [ToolArguments(0, '"line\\n')]
    assert parser.push('|"|>}') == [ToolArguments(0, '"}'), ToolEnd(0)]


def test_harmonys_arguments_leave_as_they_come() -> None:
    """So it is with a message's body, once its header is known."""
    parser = parser_for("harmony", TOOLS, call_id=call_id)
    assert parser.push("<|channel|>commentary to=functions.add<|message|>") == []
    assert parser.push('{"a": "x') == [ToolStart(0, "call_0", "add"), ToolArguments(0, '{"a": "x')]
    assert parser.push('y"}<|call|>') == [ToolArguments(0, 'y"}'), ToolEnd(0)]


def test_only_thoughts_count_as_reasoning() -> None:
    """The engine counts tokens by what the text is inside of."""
    parser = parser_for("harmony", TOOLS, call_id=call_id)
    seen = []
    for chunk in [
        "<|channel|>",
        "analysis",
        "<|message|>",
        "Hm.",
        "<|end|>",
        "<|start|>assistant",
        "<|channel|>final<|message|>",
        "Hi.",
    ]:
        parser.push(chunk)
        seen.append(parser.in_reasoning)
    assert seen == [False, False, True, True, False, False, False, False]
