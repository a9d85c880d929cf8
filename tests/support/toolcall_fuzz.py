"""Replies gone wrong, of every family: soups of what it writes, vectors damaged, and what must hold of any of them."""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import toolcall_replies
from toolcall_texts import call_id
from toolcall_vectors import TOOLS, Vector

from cortex.protocol.deltas import Piece, ReasoningPiece, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.toolcalls import parser_for
from cortex.protocol.toolcalls.base import merged
from cortex.protocol.toolcalls.families import FAMILIES, MESSAGES
from cortex.protocol.toolcalls.family import FENCE
from cortex.protocol.toolcalls.json_stream import JsonScanner, Status
from cortex.protocol.toolcalls.steps import Malformed, Note

READ = (*FAMILIES, *MESSAGES)
"""The families that have a parser of calls."""
SENTINEL = "Ω"
"""A character that belongs to no marker, name or number: where it is lost, something was lost."""
NAMES = frozenset(tool.name for tool in TOOLS)

_TOKEN = re.compile(r'<[^<>\s]{1,40}[>=]|\[/?[A-Z_]{3,}\]|"(?:[^"\\]|\\.){0,20}"|\w+|\s+|.', re.DOTALL)
_GENERAL = [
    *"{}[]()<>,:;'\"\\`=\n\t0",
    *(
        " ",
        "}}",
        "\n\n",
        "\x00",
        "\ud800",
        "\u2028",
        "é",
        SENTINEL,
        FENCE,
        "```json\n",
        "<",
        "</",
        "<|",
        "|>",
    ),
    *(
        "add",
        "ping",
        '{"name": "add"',
        '"arguments": ',
        '{"a": 1, "b": 2}',
        '{"a": ',
        '"x": "',
        "null",
        "True",
    ),
    *(
        '{"name": "add", "arguments": {"a": 1, "b": 2}}',
        '{"name": "ping"}',
        '{"arguments": {"command": "ls"}}',
    ),
    *('[{"name": "ping", "arguments": {}}', "{'name': 'ping'}", "ping()", "add(a=1, b=2)", "1e999", "-"),
]


@cache
def vectors() -> tuple[Vector, ...]:
    """All that there are."""
    modules = (
        importlib.import_module(f"toolcall_replies.{m.name}")
        for m in pkgutil.iter_modules(toolcall_replies.__path__)
    )
    return tuple(vector for module in modules for vector in module.VECTORS)


@cache
def vectors_of(family: str) -> tuple[Vector, ...]:
    """Those of one family."""
    return tuple(vector for vector in vectors() if vector.family == family)


def markers_of(family: str) -> tuple[str, ...]:
    """What the family's row of the table names."""
    if family in MESSAGES:
        return tuple(sorted(MESSAGES[family].markers))
    row = FAMILIES[family]
    forms = [*row.forms, *(form for _, form in row.bare)]
    found = [marker for form in forms for marker in (*form.opens, *form.closes, *form.separators)]
    pairs = (*row.thinking, *row.sentences, *([row.answer] if row.answer else []))
    found += [*row.wrappers, *row.noise, *itertools.chain(*pairs)]
    return tuple(dict.fromkeys(filter(None, found)))  # calls need nothing between them, in some


@cache
def fragments_of(family: str) -> tuple[str, ...]:
    """At most 256 stretches of which the family's replies are made, the markers whole and in halves."""
    markers = markers_of(family)
    halves = [half for marker in markers for half in (marker[: len(marker) // 2], marker[len(marker) // 2 :])]
    texts = [vector.text for vector in vectors_of(family)]
    counted = Counter(token for text in texts for token in _TOKEN.findall(text))
    tokens = [token for token, _ in counted.most_common(80)]
    short = sorted((text for text in texts if len(text) < 200), key=len)[:40]
    return tuple(dict.fromkeys([*markers, *markers, *_GENERAL, *halves, *tokens, *short]))[:256]


def soup(family: str, choices: bytes) -> str:
    """A text of fragments, each chosen by a byte."""
    fragments = fragments_of(family)
    return "".join(fragments[choice % len(fragments)] for choice in choices)


def damaged(text: str, family: str, choices: bytes) -> str:
    """The text after a few changes; three bytes say what is done, and where."""
    for kind, where, size in zip(*[iter(choices)] * 3, strict=False):
        at = (where * 257 + size) * len(text) // 65_536
        end = at + 1 + size % 7
        match kind % 6:
            case 0:
                text = text[:at] + text[end:]
            case 1:
                fragments = fragments_of(family)
                text = text[:at] + fragments[size % len(fragments)] + text[at:]
            case 2:
                text = text[:at] + text[at : at + size] + text[at:]
            case 3:
                text = text[:at] + text[end : end + size] + text[at:end] + text[end + size :]
            case 4:
                text = text[:at]
            case _:
                text = text[:at] + SENTINEL + text[at:]
    return text


@dataclass(frozen=True)
class Case:
    """A text, how it is given to its parser, and how it ends."""

    family: str
    text: str
    sizes: tuple[int, ...] = (1,)
    """Of the chunks, again and again."""
    reasoning_open: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Result:
    """Everything that a parser said."""

    pieces: list[Piece]
    malformed: str | None
    notes: list[Note]


def chunks(case: Case) -> Iterable[str]:
    """Its text in pieces of its sizes."""
    at = 0
    for size in itertools.cycle(case.sizes):
        if at >= len(case.text):
            return
        yield case.text[at : at + size]
        at += size


def result(case: Case, parts: Iterable[str], *, cut: bool | None = None) -> Result:
    """What its parser makes of these parts."""
    parser = parser_for(case.family, TOOLS, reasoning_open=case.reasoning_open, call_id=call_id)
    cut = case.cut if cut is None else cut
    pieces = [piece for part in parts for piece in parser.push(part)]
    last = parser.finish(cut=cut)
    assert not (cut and any(isinstance(piece, ToolEnd) for piece in last)), (
        "a call was completed that was cut"
    )
    return Result(merged([*pieces, *last]), parser.malformed, parser.notes)


def check(case: Case) -> None:
    """All that must hold of any text."""
    whole = result(case, [case.text])
    assert result(case, chunks(case)) == whole, "chunks never matter"
    ended = _calls_are_sound(whole)
    _text_is_as_it_came(case.text, whole)
    if not case.cut:
        assert len(_ended(result(case, [case.text], cut=True))) <= len(ended), "a cut adds no call"
    _nothing_is_lost(case, whole)
    if not ended and whole.malformed is None:
        assert _bare(case.family, _said(whole)) == _bare(case.family, case.text), "without calls all is said"


def _ended(found: Result) -> list[int]:
    return [piece.index for piece in found.pieces if isinstance(piece, ToolEnd)]


def _calls_are_sound(found: Result) -> list[int]:
    """Calls are numbered, named as offered, and whole, or the last of them is broken and what left of it is sound."""
    started = [piece for piece in found.pieces if isinstance(piece, ToolStart)]
    ended = _ended(found)
    assert {start.name for start in started} <= NAMES
    assert [start.index for start in started] == list(range(len(started)))
    assert ended == list(range(len(started) - (found.malformed is not None)))
    for start in started:
        stretches = [p.text for p in found.pieces if isinstance(p, ToolArguments) and p.index == start.index]
        joined = "".join(stretches)
        if start.index in ended:
            assert isinstance(json.loads(joined, parse_constant=_refuse), dict)
        else:
            scanner = JsonScanner()
            assert joined.startswith("{")
            assert scanner.feed(joined, 0) == len(joined)
            assert scanner.status is not Status.BAD
    return ended


def _refuse(name: str) -> None:
    raise ValueError(name)


def _text_is_as_it_came(text: str, found: Result) -> None:
    """Text and reasoning leave in order, and what is reported as no call stood there so."""
    rest = iter(text)
    said = (char for p in found.pieces if isinstance(p, TextPiece | ReasoningPiece) for char in p.text)
    assert all(char in rest for char in said), "text was invented, or came twice"
    assert all(note.raw in text for note in found.notes if isinstance(note, Malformed))


def _nothing_is_lost(case: Case, whole: Result) -> None:
    """What has been read reaches the client, unless a call broke; only what ends later as a call may take it back."""
    at = case.text.rfind(SENTINEL)
    if at < 0 or case.family in MESSAGES:  # headers of messages may hold anything, and are dropped with it
        return
    before = result(case, [case.text[: at + 1]], cut=True)
    if before.malformed is None:
        assert _sentinels(before) >= _sentinels(result(case, [case.text[:at]], cut=True)) + 1, "it was lost"
    if whole.malformed is None and _sentinels(whole) < _sentinels(before):
        assert len(_ended(whole)) > len(_ended(before)), "it was lost afterwards"


def _sentinels(found: Result) -> int:
    return _said(found).replace("\\u03a9", SENTINEL).count(SENTINEL)


def _said(found: Result) -> str:
    return "".join(p.text for p in found.pieces if isinstance(p, TextPiece | ReasoningPiece | ToolArguments))


def _bare(family: str, text: str) -> str:
    """The text without whitespace and the markers that are dropped where there is no call."""
    row = FAMILIES.get(family)
    if row is None:  # its messages' headers are dropped too
        return ""
    dropped = [
        "".join(m.split())
        for m in (*row.noise, *itertools.chain(*row.thinking, *row.sentences), *(row.answer or ()))
    ]
    text = re.sub(r"[ \t\r\n]", "", text)
    while dropped and any(marker in text for marker in dropped):
        text = re.sub("|".join(map(re.escape, dropped)), "", text)
    return text
