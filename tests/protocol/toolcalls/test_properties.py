"""What holds for every text and every way to cut it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from lines_run import lines_run
from toolcall_texts import CUTS, MARKERS, Written, calls, cut, hermes, read, replies, said

from cortex.protocol.deltas import Piece, ReasoningPiece, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.toolcalls.json_stream import JsonScanner, Status, is_object
from cortex.protocol.toolcalls.markers import past

FRAGMENTS = st.sampled_from(
    [
        *MARKERS,
        '<tool_call>{"name": "add", "arguments": {',
        '{"name": "add"',
        '"arguments": {',
        '{"arguments": {"é": "é"}, "name": "add"}',
        '{"name": "gone", "arguments": {"é": 1}}',
        '"é": ',
        '"é<tool_call>"',
        "12",
        "}",
        "}}",
        ",",
        "\\",
        " ",
        "\n",
        "<",
        "<t",
        "ool_call>",
        "é",
    ]
)
SOUP = st.lists(FRAGMENTS, max_size=14).map("".join)
ANYTHING = SOUP | st.text(st.characters(codec="utf-8"), max_size=40)


@given(ANYTHING, CUTS, st.booleans())
def test_chunks_never_matter(text: str, cuts: list[int], reasoning_open: bool) -> None:
    """Any text in any chunks means what it means in one."""
    whole = read([text], hermes(reasoning_open=reasoning_open))
    assert read(cut(text, cuts), hermes(reasoning_open=reasoning_open)) == whole
    assert read(list(text), hermes(reasoning_open=reasoning_open)) == whole


@given(SOUP)
def test_nothing_is_lost_and_order_is_kept(text: str) -> None:
    """Every character that is neither marker nor markup reaches the client, once and in order."""
    reading = read([text])
    if reading.malformed is None:
        assert said(reading.pieces).count("é") == text.count("é")
    assert is_subsequence(said(reading.pieces), text)


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(char in rest for char in part)


@given(SOUP | st.text(st.characters(codec="utf-8"), max_size=40), st.booleans())
def test_reasoning_agrees_with_a_plain_reading(text: str, reasoning_open: bool) -> None:
    """Without tools the pieces are those of a reading of the whole text by search."""
    assert read(list(text), hermes(tools=(), reasoning_open=reasoning_open)).pieces == by_search(
        text, reasoning_open
    )


def by_search(text: str, reasoning_open: bool) -> list[Piece]:
    spoken: list[tuple[type[TextPiece | ReasoningPiece], str]] = []
    if not reasoning_open and text.lstrip(" \t\r\n").startswith("<think>"):
        text = text.lstrip(" \t\r\n")
    inside = reasoning_open
    if inside:
        text = text.lstrip(" \t\r\n")
    while text:
        before, marker, text = text.partition("</think>" if inside else "<think>")
        spoken.append((ReasoningPiece if inside else TextPiece, before))
        if marker:
            inside = not inside
            text = text.lstrip(" \t\r\n" if inside else "\r\n")
    joined: list[Piece] = []
    for kind, part in spoken:
        if part and joined and type(joined[-1]) is kind:
            joined[-1] = kind(joined[-1].text + part)
        elif part:
            joined.append(kind(part))
    return joined


@given(ANYTHING)
def test_a_call_that_ended_has_valid_arguments(text: str) -> None:
    """Where ToolEnd left, the stretches joined are one JSON object; calls are numbered and start once."""
    pieces = read(list(text)).pieces
    ended = [p.index for p in pieces if isinstance(p, ToolEnd)]
    started = [p.index for p in pieces if isinstance(p, ToolStart)]
    assert ended == list(range(len(ended)))
    assert started in (ended, [*ended, len(ended)])
    for index in ended:
        joined = "".join(p.text for p in pieces if isinstance(p, ToolArguments) and p.index == index)
        assert isinstance(json.loads(joined), dict)


@given(replies(), CUTS)
def test_what_a_model_wrote_is_recovered_exactly(reply: Written, cuts: list[int]) -> None:
    """Generated replies come back piece by piece, with braces, quotes and closers inside strings."""
    reading = read(cut(reply.text, cuts))
    assert reading.malformed is None
    assert reading.pieces == reply.pieces


@given(calls(), st.data())
def test_a_cut_call_is_text_or_reported(call: tuple[str, str, str], data: st.DataObject) -> None:
    """Cut anywhere, a call is whole text, or a prefix of its arguments with a verdict, or complete."""
    block, name, arguments = call
    text = block[: data.draw(st.integers(0, len(block)))]
    reading = read([text])
    if reading.malformed is not None:
        start, stretch = reading.pieces
        assert start == ToolStart(0, "call_0", name)
        assert arguments.startswith(stretch.text)
    elif not any(isinstance(p, ToolEnd) for p in reading.pieces):
        assert said(reading.pieces) == text


STRUCTURE = st.sampled_from(
    ["{", "}", "[", "]", ",", ":", '"', '"a"', '{"a":', " ", "\n", "\x00", "\u00a0", "é"]
)
ESCAPES = st.sampled_from(["\\", "\\u", "\\n", "\\ud8", "00"])
ATOMS = st.sampled_from(["0", "1", "9e9", "1e", "E", "-", "+", ".", "true", "tru", "false", "null", "nul"])
JSON_SOUP = st.lists(STRUCTURE | ESCAPES | ATOMS, max_size=12).map("".join)


@given(JSON_SOUP | st.recursive(st.text(max_size=3), lambda s: st.lists(s, max_size=3)).map(json.dumps))
def test_the_scanner_agrees_with_the_standard_library(text: str) -> None:
    """It finds a whole value exactly where `json` does."""
    scanner = JsonScanner()
    padded = text + " ,"  # a bare number is whole only when something follows
    end = 0
    for stop in range(1, len(padded) + 1):
        if scanner.status is Status.OPEN and end == stop - 1:
            end = scanner.feed(padded[:stop], end)
    assert scanner.feed(padded, end) == end or scanner.status is Status.OPEN
    try:
        start = past(padded, 0, " \t\r\n")
        expected = json.JSONDecoder(parse_constant=no_constant).raw_decode(padded, start)[1]
    except ValueError:
        assert scanner.status is not Status.DONE
    else:
        assert (scanner.status, end) == (Status.DONE, expected) or is_glued_number(padded, expected)


def no_constant(name: str) -> None:
    raise ValueError(name)


def is_glued_number(text: str, end: int) -> bool:
    """`json` stops before the `e` of `1ex` and before the `.` of `1.x`; strictly that is no value."""
    return text[:end].strip()[-1:].isdigit() and text[end : end + 1] in {".", "e", "E"}


@given(JSON_SOUP)
def test_is_object_agrees_with_the_standard_library(text: str) -> None:
    """Exactly the texts that `json` reads as one object are objects."""
    try:
        expected = isinstance(json.loads(text, parse_constant=no_constant), dict)
    except ValueError:
        expected = False
    assert is_object(text) is expected


LONG_FORMS = {
    "text": "a < b, <thin ice> ",
    "lead": " \n",
    "thought": "<think>hm < </think>\n",
    "call": '<tool_call>{"name": "add", "arguments": {"a": "xxxxxx"}}</tool_call>\n',
    "nested": '<tool_call>{"name": "add", "arguments": {"a": [{"b": 1}, "',
    "waiting": '<tool_call>{"arguments": {"a": "',
    "quoted": '<tool_call>{"name": "add", "arguments": "{',
    "refused": "<tool_call>{} ",
    "unclosed": '<tool_call>{"name": "add"}\n',
}


def made_of(form: str, size: int) -> str:
    """A text of `size` characters: the form again and again, or, for those left open, once and then filler."""
    if form in {"nested", "waiting", "quoted"}:
        return LONG_FORMS[form].ljust(size, "x")
    return (LONG_FORMS[form] * (size // len(LONG_FORMS[form]) + 1))[:size]


def work(chunks: list[str]) -> int:
    """What reading these chunks takes, counted without a clock."""
    return lines_run(lambda: read(chunks))


def test_work_grows_with_the_text_alone() -> None:
    """Twice the text is twice the lines executed, one character at a time and in one piece."""
    for form in LONG_FORMS:
        small, large = made_of(form, 800), made_of(form, 1_600)
        assert work(list(large)) < 2.1 * work(list(small)) + 100, form
        assert work([large]) < 2.1 * work([small]) + 100, form


def strings_of(thing: object, seen: set[int]) -> int:
    """The longest string that a parser, or a part of it, would copy to append a character to it."""
    longest = 0
    for part in vars(thing).values():
        if isinstance(part, str):
            longest = max(longest, len(part))
        elif (
            type(part).__module__.startswith("cortex.") and hasattr(part, "__dict__") and id(part) not in seen
        ):
            seen.add(id(part))
            longest = max(longest, strings_of(part, seen))
    return longest


def test_no_string_grows_while_it_is_appended_to() -> None:
    """200 kB one character at a time: what is held is collected in lists, never in a string copied each time."""
    for form in LONG_FORMS:
        parser = hermes()
        for number, char in enumerate(made_of(form, 200_000 if form == "waiting" else 3_000)):
            parser.push(char)
            if number % 100 == 99:
                assert strings_of(parser, set()) < 64, form
        parser.finish()
