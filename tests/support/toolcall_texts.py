"""Tool-call text for tests: how to feed a parser, cut a text anywhere, and generate calls worth parsing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from cortex.protocol.deltas import Piece, ReasoningPiece, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls import parser_for
from cortex.protocol.toolcalls.base import Parser, merged

TOOLS = (ToolSpec(name="add"), ToolSpec(name="write_file"), ToolSpec(name="größe.v2"))


def call_id(index: int) -> str:
    return f"call_{index}"


def hermes(*, tools: Sequence[ToolSpec] = TOOLS, reasoning_open: bool = False) -> Parser:
    return parser_for("hermes", tuple(tools), reasoning_open=reasoning_open, call_id=call_id)


@dataclass
class Reading:
    """What a parser made of a text: neighbours joined, and its verdict."""

    pieces: list[Piece]
    malformed: str | None
    in_reasoning: bool


def read(chunks: Iterable[str], parser: Parser | None = None) -> Reading:
    parser = hermes() if parser is None else parser
    pieces = [piece for chunk in chunks for piece in parser.push(chunk)]
    in_reasoning = parser.in_reasoning
    return Reading(merged([*pieces, *parser.finish()]), parser.malformed, in_reasoning)


def cut(text: str, cuts: Iterable[int]) -> list[str]:
    """The text in chunks, cut at these positions; the same position twice makes an empty chunk."""
    edges = [0, *sorted(min(at, len(text)) for at in cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def call_pieces(index: int, name: str, arguments: str) -> list[Piece]:
    return [ToolStart(index, call_id(index), name), ToolArguments(index, arguments), ToolEnd(index)]


def said(pieces: Iterable[Piece]) -> str:
    """Everything that reached the client, in order, whatever it was."""
    return "".join(p.text for p in pieces if isinstance(p, TextPiece | ReasoningPiece | ToolArguments))


MARKERS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
CUTS = st.lists(st.integers(0, 400), max_size=12)

TRICKY = st.sampled_from(
    [*MARKERS, "}", "{", '"', "\\", '\\"}', "}}</tool_call>", "\n", "é", "😀", "\u2028", "<"]
)
STRINGS = st.lists(TRICKY | st.text(st.characters(codec="utf-8"), max_size=5), max_size=4).map("".join)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRINGS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(STRINGS, VALUES, max_size=4)
PADDING = st.text(" \t\r\n", max_size=3)


@dataclass
class Written:
    """A text as a model would write it, and the pieces it means."""

    text: str
    pieces: list[Piece] = field(default_factory=list)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str, str]:
    """A valid call as (its block, name, arguments as they must arrive)."""
    name = draw(st.sampled_from([tool.name for tool in TOOLS]))
    value = draw(OBJECTS)
    style = {"ensure_ascii": draw(st.booleans()), "indent": draw(st.sampled_from([None, 2]))}
    arguments = json.dumps(value, **style)
    given = json.dumps(arguments, ensure_ascii=style["ensure_ascii"]) if draw(st.booleans()) else arguments
    key = draw(st.sampled_from(["arguments", "parameters"]))
    fields = [f'"name": {json.dumps(name)}', f'"{key}":{draw(PADDING)}{given}']
    extra = f'"type": {json.dumps(draw(VALUES))}'
    fields = draw(st.permutations([*fields, extra] if draw(st.booleans()) else fields))
    pad = [draw(PADDING) for _ in range(4)]
    body = pad[0] + "{" + pad[1] + ("," + pad[1]).join(fields) + pad[2] + "}" + pad[3]
    return f"<tool_call>{body}</tool_call>{pad[0]}", name, arguments


def is_behind_a_call(pieces: list[Piece]) -> bool:
    """Whether a call was made, and no text has been said since."""
    last = next((piece for piece in reversed(pieces) if isinstance(piece, TextPiece | ToolEnd)), None)
    return isinstance(last, ToolEnd)


@st.composite
def replies(draw: st.DrawFn) -> Written:
    """A whole reply: reasoning, text and calls in any order, none of them next to its own kind."""
    plain = st.text(st.characters(codec="utf-8", exclude_characters="<"), min_size=1, max_size=12)
    plain = plain.map(lambda text: f"a{text}z")
    reply = Written("")
    index = 0
    gap = ""  # behind a call; the text that follows has it if text came before
    kinds = draw(st.lists(st.sampled_from(["text", "think", "call"]), max_size=6))
    for kind, _ in itertools.groupby(kinds):
        if kind == "call":
            for _ in range(draw(st.integers(1, 2))):
                block, name, arguments = draw(calls())
                reply.text += block
                reply.pieces += call_pieces(index, name, arguments)
                index += 1
                gap = block[len(block.rstrip(" \t\r\n")) :]
        elif kind == "text":
            text = draw(plain)
            reply.text += text
            spoken = any(isinstance(piece, TextPiece) for piece in reply.pieces)
            reply.pieces.append(TextPiece(gap + text if spoken else text))
            gap = ""
        else:
            text = draw(plain)
            newlines = draw(st.text(chr(10), max_size=2))
            reply.text += f"<think>{draw(PADDING)}{text}</think>{newlines}"
            gap = newlines if is_behind_a_call(reply.pieces) else ""
            reply.pieces.append(ReasoningPiece(text))
    return reply
