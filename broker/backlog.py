"""What one peer has not taken yet: bounded in bytes and in time. Pure; the rim retries it each turn."""

from __future__ import annotations

from collections import deque

from cortex.protocol.codec import ATTACHMENT_LIMIT
from cortex.protocol.frames import Frame

MAX_BYTES = 2 * ATTACHMENT_LIMIT
"""The largest message that there is, which are an embedding's vectors, must find room beside others."""
WRITE_DEADLINE = 15.0


class Backlog:
    """Messages in order, since the moment at which the peer stopped taking them."""

    def __init__(self, now: float) -> None:
        self._messages: deque[list[Frame]] = deque()
        self._bytes = 0
        self._since = now

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, frames: list[Frame]) -> None:
        self._messages.append(frames)
        self._bytes += sum(len(frame) for frame in frames)

    def first(self) -> list[Frame]:
        return self._messages[0]

    def sent(self, now: float) -> None:
        """The first message has left: the peer moves again."""
        self._bytes -= sum(len(frame) for frame in self._messages.popleft())
        self._since = now

    def is_hopeless(self, now: float) -> bool:
        """Whether the peer is to be treated as gone."""
        return self._bytes > MAX_BYTES or now - self._since > WRITE_DEADLINE
