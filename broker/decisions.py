"""What was decided, and why: a bounded record that operators follow. Numbers begin at 1 and never repeat."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

KEPT = 2048


@dataclass(frozen=True, slots=True)
class Entry:
    """`at` is the core's own time."""

    number: int
    at: float
    what: str
    subject: str
    reason: str


class Decisions:
    """The record."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self.last = 0

    def note(self, now: float, what: str, subject: str, reason: str = "") -> None:
        """A decision was committed."""
        self.last += 1
        self._entries.append(Entry(self.last, now, what, subject, reason))

    def since(self, number: int) -> list[Entry]:
        """Everything after this number that is still kept; all of it for a number from another broker's life."""
        if number > self.last:
            number = 0
        return [entry for entry in self._entries if entry.number > number]
