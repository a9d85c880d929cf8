"""What every family's parser offers, and the joining of pieces that belong together."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Protocol

from cortex.protocol.deltas import Piece, ReasoningPiece, TextPiece, ToolArguments, ToolEnd
from cortex.protocol.toolcalls.steps import Note


class Parser(Protocol):
    """Reads one choice's text, chunk by chunk."""

    @property
    def in_reasoning(self) -> bool:
        """Whether the text so far ends inside reasoning."""

    @property
    def malformed(self) -> str | None:
        """Why a call that had begun to leave could not be completed; from then on nothing leaves any more."""

    def push(self, text: str) -> list[Piece]:
        """Read a chunk; answer what is certain now."""

    @property
    def notes(self) -> list[Note]:
        """What was repaired, and what looked like a call and was none, so far."""

    def finish(self, *, cut: bool = False) -> list[Piece]:
        """The text has ended: answer whatever was held back. Called once, last.

        `cut`: it ended by a limit, a stop string or a cancel. What is incomplete then stays incomplete.
        """


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Join neighbours of one kind: text with text, reasoning with reasoning, arguments of the same call."""
    joined: list[Piece] = []
    for _, group in groupby(pieces, key=_kin):
        first, *others = group
        match first:
            case TextPiece() | ReasoningPiece() if others:
                joined.append(type(first)(_text([first, *others])))
            case ToolArguments() if others:
                joined.append(ToolArguments(first.index, _text([first, *others])))
            case _:
                joined += [first, *others]
    return joined


def up_to_call(pieces: list[Piece]) -> list[Piece]:
    """Those up to the end of the first call; all of them if none ends."""
    ends = [place for place, piece in enumerate(pieces, start=1) if isinstance(piece, ToolEnd)]
    return pieces[: ends[0]] if ends else pieces


def _kin(piece: Piece) -> tuple[type, int]:
    return type(piece), piece.index if isinstance(piece, ToolArguments) else 0


def _text(pieces: Iterable[Piece]) -> str:
    return "".join(p.text for p in pieces if isinstance(p, TextPiece | ReasoningPiece | ToolArguments))
