"""Calls between tags: what holds for every value, every text and every way to cut it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lines_run import lines_run
from toolcall_texts import CUTS, call_id, cut, said
from toolcall_vectors import calls_of, content_of
from toolcall_writers import ARGUMENTS, TAGS, TOOL, WRITERS

from cortex.protocol.deltas import Piece, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.toolcalls import parser_for
from cortex.protocol.toolcalls.bare_values import as_json
from cortex.protocol.toolcalls.base import Parser, merged
from cortex.protocol.toolcalls.steps import ALL, Repair, Step

Writer = Callable[[str, Mapping[str, Any]], str]
EACH = st.sampled_from(WRITERS)


def parser(family: str, *, reasoning_open: bool = False, steps: frozenset[Step] = ALL) -> Parser:
    return parser_for(family, (TOOL,), reasoning_open=reasoning_open, call_id=call_id, steps=steps)


def read(reader: Parser, chunks: list[str], *, was_cut: bool = False) -> list[Piece]:
    pieces = [piece for chunk in chunks for piece in reader.push(chunk)]
    return merged([*pieces, *reader.finish(cut=was_cut)])


@given(EACH, st.lists(ARGUMENTS, min_size=1, max_size=3), st.sampled_from(["", "\n", "ok\n"]), CUTS)
def test_what_a_model_wrote_is_recovered_exactly(
    how: tuple[str, Writer], calls: list[dict[str, Any]], between: str, cuts: list[int]
) -> None:
    """Any values of the schema's types come back as they were, with closers and markup inside strings."""
    family, write = how
    text = between.join(write("do_it", arguments) for arguments in calls)
    reader = parser(family)
    pieces = read(reader, cut(text, cuts))
    assert calls_of(pieces) == tuple(("do_it", arguments) for arguments in calls)
    assert [list(found) for _, found in calls_of(pieces)] == [list(arguments) for arguments in calls]
    assert content_of(pieces) == between.lstrip("\n") * (len(calls) - 1)
    assert reader.malformed is None
    assert not reader.notes


@given(EACH, ARGUMENTS, st.data())
def test_a_cut_call_is_text_or_a_prefix(
    how: tuple[str, Writer], arguments: dict[str, Any], data: st.DataObject
) -> None:
    """Of a reply that a limit cut, arguments are a prefix of what they would have become, and nothing is mended."""
    family, write = how
    text = write("do_it", arguments)
    whole = said(read(parser(family), [text]))
    reader = parser(family)
    part = text[: data.draw(st.integers(0, len(text)))]
    pieces = read(reader, [part], was_cut=True)
    if any(isinstance(piece, ToolEnd) for piece in pieces):
        stretch = "".join(piece.text for piece in pieces if isinstance(piece, ToolArguments))
        assert json.loads(stretch) == arguments
    elif reader.malformed is None:
        assert said(pieces) == part
    else:
        start, stretch = pieces
        assert start == ToolStart(0, "call_0", "do_it")
        assert whole.startswith(stretch.text)
    assert not any(isinstance(note, Repair) for note in reader.notes)


SCRAPS = ["é", "\n", " ", "<", "</", "5", "[", "{", '{"text": "é"}', "}", "<think>", "</think>", "\ud800"]


@st.composite
def soups(draw: st.DrawFn) -> tuple[str, str]:
    family = draw(st.sampled_from(sorted(TAGS)))
    scraps = [*TAGS[family], *(tag[: len(tag) // 2] for tag in TAGS[family]), *SCRAPS]
    return family, "".join(draw(st.lists(st.sampled_from(scraps), max_size=16)))


@given(soups(), CUTS, st.booleans(), st.booleans())
def test_chunks_never_matter(soup: tuple[str, str], cuts: list[int], was_cut: bool, inside: bool) -> None:
    """Any text of tags in any chunks means what it means in one, and never raises."""
    family, text = soup
    readers = [parser(family, reasoning_open=inside and family != "functionary") for _ in range(3)]
    chunked = [[text], cut(text, cuts), list(text)]
    whole, *others = [
        read(reader, chunks, was_cut=was_cut) for reader, chunks in zip(readers, chunked, strict=True)
    ]
    assert others == [whole, whole]
    assert readers[0].malformed == readers[1].malformed == readers[2].malformed
    assert readers[0].notes == readers[1].notes == readers[2].notes


@given(soups())
def test_calls_are_whole_and_nothing_is_lost(soup: tuple[str, str]) -> None:
    """Where a call ended its arguments are one object; what is no markup reaches the client once."""
    family, text = soup
    reader = parser(family)
    pieces = read(reader, [text])
    ended = [piece.index for piece in pieces if isinstance(piece, ToolEnd)]
    assert ended == list(range(len(ended)))
    assert all(isinstance(arguments, dict) for _, arguments in calls_of(pieces))
    if reader.malformed is None and "<think>" not in text:
        assert said(pieces).count("é") == text.count("é")


@pytest.mark.parametrize(("family", "write"), WRITERS[:-1])
def test_strings_leave_as_they_come(family: str, write: Writer) -> None:
    """A file that is being written reaches the client while it is, all but what may belong to a closer."""
    before, after = write("do_it", {"text": "HERE"}).split("HERE")
    reader = parser(family)
    reader.push(before)
    for stretch in ["def f(x):", ' return "', "<br>"]:
        (piece,) = reader.push(stretch)
        assert piece == ToolArguments(0, json.dumps(stretch)[1:-1])
    assert isinstance(read(reader, [after])[-1], ToolEnd)


@pytest.mark.parametrize(("family", "write"), WRITERS[:-1])
def test_other_values_leave_when_they_are_closed(family: str, write: Writer) -> None:
    """A number may go on, and a list may not be one: nothing of them leaves before that is known."""
    before, after = write("do_it", {"list": [1, 2]}).split("[1, 2]")
    reader = parser(family)
    assert [reader.push(chunk) for chunk in [before, "[1, ", "2]"]] == [[], [], []]
    assert calls_of(read(reader, [after])) == (("do_it", {"list": [1, 2]}),)


@pytest.mark.parametrize(("family", "write"), WRITERS[:-1])
def test_missing_closers_are_added_only_if_that_is_allowed(family: str, write: Writer) -> None:
    """With the step switched off a call without its closer has broken, or is text if nothing of it has left."""
    text = write("do_it", {"count": 1})
    open_text = text[: text.rindex("<", 0, text.rindex("1") + 20)] if family == "glm" else text
    for closer in ("</function>", "</invoke>", "</\uff5cDSML\uff5cinvoke>"):
        open_text = open_text.replace(closer, "")
    assert calls_of(read(parser(family), [open_text])) == (("do_it", {"count": 1}),)
    strict = parser(family, steps=ALL - {Step.BRACKETS})
    assert calls_of(read(strict, [open_text])) == ()
    assert strict.malformed is not None


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>do_it</arg_value></tool_call>",
        "<tool_call>do_it<arg_key>text</arg_key></arg_key><arg_value>",
    ],
)
def test_closers_too_many_are_dropped_only_if_that_is_allowed(text: str) -> None:
    """With the step switched off they are what they are: no part of a call."""
    assert read(parser("glm", steps=ALL - {Step.BRACES, Step.BRACKETS}), [text]) == [TextPiece(text)]


@pytest.mark.parametrize(
    ("text", "types", "tag_says", "expected"),
    [
        ("1.50", {"number"}, None, "1.50"),
        (" 12345678901234567890123 ", {"integer"}, None, "12345678901234567890123"),
        ('{"b": 1, "a": 2}', {"object"}, None, '{"b": 1, "a": 2}'),
        ("{'b': (1, None)}", {"object"}, None, '{"b": [1, null]}'),
        ("{1: 2}", {"object"}, None, '{"1": 2}'),
        ("{'a': {1}}", {"object"}, None, "\"{'a': {1}}\""),
        ("NaN", {"number"}, None, '"NaN"'),
        ("[NaN]", {"array"}, None, '"[NaN]"'),
        ("1e999", {"number"}, None, "1e999"),
        ("[" * 300 + "]" * 300, {"array"}, None, None),
        ("['\\ud800']", {"array"}, None, None),
        ("5", {"string"}, False, '"5"'),
        ('"5"', {"string"}, False, '"5"'),
        ('"5"', {"integer"}, False, '"\\"5\\""'),
        ("5", set(), False, "5"),
        ("", set(), None, '""'),
    ],
)  # fmt: skip
def test_bare_values_become_json(
    text: str, types: set[str], tag_says: bool | None, expected: str | None
) -> None:
    """JSON stays as it was written, Python becomes JSON, all else is text; None for what cannot be sent."""
    assert as_json(text, frozenset(types), said=tag_says) == expected


LONG = {
    "file": ("qwen-xml", "<function=do_it>\n<parameter=text>\n", "a < b </p>\n"),
    "list": ("glm", "<tool_call>do_it<arg_key>list</arg_key><arg_value>", "[1, 2] < "),
    "closers": ("qwen-xml", "<function=do_it>\n<parameter=text>\n", "</parameter>\n"),
    "spaces": ("qwen-xml", "<function=do_it>\n<parameter=text>\n</parameter>", " \n"),
    "gap": ("minimax-m2", '<minimax:tool_call><invoke name="do_it">', " \n"),
    "calls": ("glm", "", "<tool_call>do_it</tool_call>"),
    "words": ("glm", "", "<tool_call>so "),
    "keys": ("qwen-xml", "<function=do_it><parameter=text>", "</parameter><parameter=a b"),
    "draft": ("qwen-xml", "<think><tool_call><function=do_it><parameter=text>", "</function> "),
}


def work(family: str, chunks: list[str]) -> int:
    """What reading these chunks takes, counted without a clock."""
    return lines_run(lambda: read(parser(family), chunks))


@pytest.mark.parametrize("form", LONG)
def test_work_grows_with_the_text_alone(form: str) -> None:
    """Twice the text is twice the lines executed, one character at a time and in one piece."""
    family, head, scrap = LONG[form]
    small, large = (head + (scrap * size)[:size] for size in (800, 1_600))
    assert work(family, list(large)) < 2.1 * work(family, list(small)) + 100
    assert work(family, [large]) < 2.1 * work(family, [small]) + 100


def longest_string(thing: object, seen: set[int]) -> int:
    """The longest string that a parser, or a part of it, would copy to append to it."""
    seen.add(id(thing))
    slots = getattr(type(thing), "__slots__", ())
    parts = (
        [*vars(thing).values()] if hasattr(thing, "__dict__") else [getattr(thing, name) for name in slots]
    )
    sizes = [len(part) for part in parts if isinstance(part, str)]
    ours = [part for part in parts if type(part).__module__.startswith("cortex.") and id(part) not in seen]
    return max([*sizes, *(longest_string(part, seen) for part in ours)], default=0)


@pytest.mark.parametrize("form", LONG)
def test_no_string_grows_while_it_is_appended_to(form: str) -> None:
    """What is held is collected in lists; a tag that is being read is short."""
    family, head, scrap = LONG[form]
    reader = parser(family)
    for number, char in enumerate(head + (scrap * 3_000)[:3_000]):
        reader.push(char)
        if number % 97 == 0:
            assert longest_string(reader, set()) < 200
    reader.finish()
