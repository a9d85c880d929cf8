"""Stop strings in a stream of text: what may be shown now, and whether one of them has come. Pure."""

from __future__ import annotations


class StopFilter:
    """Holds back whatever could still become a stop string.

    The string that is complete first ends the text; of those completed by the same character, the longest. This is
    what reading one character at a time would give, so how the text is cut into pushes makes no difference.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(sorted({stop for stop in stops if stop}, key=len, reverse=True))
        self._held = ""
        self.matched = ""
        """The stop string that has come, if one has."""

    def push(self, text: str) -> str:
        """Take more text; answers what can be shown. Once a stop string has come there is nothing more."""
        if self.matched:
            return ""
        held = self._held + text
        found = [(start + len(stop), stop) for stop in self._stops if (start := held.find(stop)) >= 0]
        if found:
            end, self.matched = min(found, key=lambda match: (match[0], -len(match[1])))
            self._held = ""
            return held[: end - len(self.matched)]
        keep = max((_overlap(held, stop) for stop in self._stops), default=0)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def finish(self) -> str:
        """The text has ended by itself: answers what was held back."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` begin `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if stop.startswith(text[-size:])), 0)
