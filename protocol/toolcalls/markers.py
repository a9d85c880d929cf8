"""Finding markers in text that comes in chunks, and no more held back than could still become one."""

from __future__ import annotations

import re
from typing import NamedTuple

WHITESPACE = " \t\r\n"


class Found(NamedTuple):
    """`text[:begin]` holds no marker. Without a `marker`, `text[begin:]` could begin one and must be held back."""

    begin: int
    end: int
    marker: str


class Markers:
    """The markers that are live in one state of a parser."""

    def __init__(self, *markers: str) -> None:
        parts = {marker[:size] for marker in markers for size in range(1, len(marker))}
        self._whole = re.compile("|".join(map(re.escape, markers)))
        self._part = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(parts)))})\Z")
        self._longest_part = max(map(len, parts))

    def find(self, text: str, start: int) -> Found:
        """The first marker at or after `start`, else the longest suffix that could begin one."""
        match = self._whole.search(text, start)
        if match is not None and len(text) - match.start() >= self._longest_part:
            return Found(match.start(), match.end(), match[0])
        part = self._part.search(text, max(start, len(text) - self._longest_part))
        if match is not None and (part is None or part.start() >= match.start()):
            return Found(match.start(), match.end(), match[0])
        # A marker may hold another: "Action: ```json" a fence.
        return Found(part.start() if part else len(text), len(text), "")


def past(text: str, start: int, skipped: str) -> int:
    """The first position at or after `start` whose character is none of `skipped`."""
    position = start
    while position < len(text) and text[position] in skipped:
        position += 1
    return position


def could_be(markers: tuple[str, ...], text: str, start: int) -> bool:
    """Whether what follows, all there is yet, begins one of the markers."""
    rest = text[start : start + 64]
    return any(len(rest) < len(marker) and marker.startswith(rest) for marker in markers)
