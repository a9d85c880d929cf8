"""What a device thread has to say to one broker, in order, while that broker cannot take it.

Deltas that cannot leave are merged with later ones for the same edge, so that a peer that stands still for a second
costs one larger frame and not a backlog; nothing overtakes anything that could concern the same request. A prompt that
is said again with its ratings may be larger than a frame: its deltas, which have no tokens, are spread over several. Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from msgspec import Struct

from cortex.protocol.deltas import Delta, Piece, Scores, TextPiece

FRAME = 1024 * 1024
"""Bytes of prompts in one frame, estimated: far below what a frame may have."""
NAME_BYTES, SIGN_BYTES = 48, 4
"""What a rated token takes at most, but for strange ones; and a character."""


@dataclass(slots=True)
class Post:
    """A message of its own."""

    message: Struct
    payload: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Batch:
    """Deltas for one edge; still open for more while nothing else was queued behind it."""

    edge: bytes
    items: list[Delta]
    prompts: int = 0
    """Bytes of prompts in it."""


class Outbox:
    """A first-in-first-out queue whose tail absorbs deltas."""

    def __init__(self) -> None:
        self._entries: deque[Post | Batch] = deque()
        self._open: dict[bytes, Batch] = {}
        self.tokens = 0
        """Tokens that wait here: the measure of a backlog."""

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Outbox {len(self._entries)} entries, {self.tokens} tokens>"

    def post(self, message: Struct, payload: tuple[bytes, ...] = ()) -> None:
        """Queue a message behind everything said so far."""
        self._entries.append(Post(message, payload))
        self._open.clear()

    def say(self, edge: bytes, delta: Delta) -> None:
        """Queue a delta, joining the batch for its edge if one is still open."""
        self.tokens += len(delta.tokens)
        batch = self._open.get(edge)
        size = 0 if delta.tokens else _size(delta)
        if batch is None or (size and batch.prompts + size > FRAME):
            batch = self._open[edge] = Batch(edge, [])
            self._entries.append(batch)
        batch.prompts += size
        batch.items.append(delta)

    def first(self) -> Post | Batch | None:
        """What must leave next; a batch comes with its deltas merged."""
        if not self._entries:
            return None
        entry = self._entries[0]
        if isinstance(entry, Batch):
            entry.items = merged(entry.items)
        return entry

    def sent(self) -> None:
        """The first entry has left."""
        entry = self._entries.popleft()
        if isinstance(entry, Batch):
            self.tokens -= sum(len(delta.tokens) for delta in entry.items)
            if self._open.get(entry.edge) is entry:
                del self._open[entry.edge]

    def clear(self) -> None:
        """Forget everything: nobody will ever read it."""
        self._entries.clear()
        self._open.clear()
        self.tokens = 0


def _size(delta: Delta) -> int:
    """About how many bytes a part of a prompt takes."""
    size = 0
    for piece in delta.pieces:
        if isinstance(piece, TextPiece):
            size += SIGN_BYTES * len(piece.text)
        elif isinstance(piece, Scores):
            size += NAME_BYTES * sum(1 + len(score.likeliest) for score in piece.scores)
    return size


def merged(items: list[Delta]) -> list[Delta]:
    """Join deltas of the same choice of the same attempt; order within each is kept."""
    if len({(delta.request, delta.attempt, delta.choice) for delta in items}) == len(items):
        return items
    groups: dict[tuple[str, int, int], list[Delta]] = {}
    for delta in items:
        groups.setdefault((delta.request, delta.attempt, delta.choice), []).append(delta)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[Delta]) -> Delta:
    head = group[0]
    pieces: list[Piece] = []
    for delta in group:
        for piece in delta.pieces:
            last = pieces[-1] if pieces else None
            if isinstance(piece, TextPiece) and isinstance(last, TextPiece):
                pieces[-1] = TextPiece(last.text + piece.text)
            else:
                pieces.append(piece)
    tokens = [token for delta in group for token in delta.tokens]
    return Delta(head.request, head.attempt, head.choice, head.seq, tokens, pieces)
