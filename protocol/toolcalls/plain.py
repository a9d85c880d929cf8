"""The family without markers: everything is text."""

from __future__ import annotations

from cortex.protocol.deltas import Piece, TextPiece
from cortex.protocol.toolcalls.steps import Note


class PlainParser:
    """Passes text through; for models that neither call tools nor mark their reasoning."""

    in_reasoning = False
    malformed: str | None = None

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def push(self, text: str) -> list[Piece]:
        """Read a chunk; all of it is text."""
        return [TextPiece(text)] if text else []

    def finish(self, *, cut: bool = False) -> list[Piece]:  # noqa: ARG002  (nothing is ever incomplete)
        """Nothing is ever held back."""
        return []
