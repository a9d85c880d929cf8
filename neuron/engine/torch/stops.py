"""Stop strings in a stream of text: what may be shown now, and whether one of them has come. Pure."""

from __future__ import annotations

from collections import deque


class StopFilter:
    """Holds back whatever could still become a stop string.

    The string that is complete first ends the text; of those completed by the same character, the longest. Characters
    go one by one through the automaton of Aho and Corasick: its state is the longest end of the text that begins some
    stop string. So a character costs the same however many and however long they are, and how the text is cut into
    pushes makes no difference.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._depth = [0]
        self._complete = [""]
        """By state: the longest stop string that ends there."""
        for stop in stops:
            self._add(stop)
        self._shorter = [0] * len(self._next)
        """By state: the state of the longest shorter end of it."""
        self._link()
        self._state = 0
        self._held = ""
        self.matched = ""
        """The stop string that has come, if one has."""

    def push(self, text: str) -> str:
        """Take more text; answers what can be shown. Once a stop string has come there is nothing more."""
        if self.matched:
            return ""
        if not self._next[0]:
            return text
        held = self._held + text
        state = self._state
        for read, sign in enumerate(text, start=len(self._held) + 1):
            state = self._step(state, sign)
            if self._complete[state]:
                self.matched = self._complete[state]
                self._held = ""
                return held[: read - len(self.matched)]
        self._state = state
        shown = len(held) - self._depth[state]
        self._held = held[shown:]
        return held[:shown]

    def finish(self) -> str:
        """The text has ended by itself, or something else comes between: answers what was held back."""
        held, self._held, self._state = self._held, "", 0
        return held

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._next[0])

    def _step(self, state: int, sign: str) -> int:
        while state and sign not in self._next[state]:
            state = self._shorter[state]
        return self._next[state].get(sign, 0)

    def _add(self, stop: str) -> None:
        state = 0
        for sign in stop:
            if sign not in self._next[state]:
                self._next[state][sign] = len(self._next)
                self._next.append({})
                self._depth.append(self._depth[state] + 1)
                self._complete.append("")
            state = self._next[state][sign]
        if state:
            self._complete[state] = stop

    def _link(self) -> None:
        """From the shortest beginnings to the longest, for each needs those that are shorter."""
        waiting = deque(self._next[0].values())
        while waiting:
            state = waiting.popleft()
            for sign, after in self._next[state].items():
                self._shorter[after] = self._step(self._shorter[state], sign)
                self._complete[after] = self._complete[after] or self._complete[self._shorter[after]]
                waiting.append(after)
