"""When is a peer late, and when is it gone? Arithmetic only; `now` is an argument, in seconds.

A peer beats once an interval; three missed beats and it is gone (ZeroMQ guide, Paranoid Pirate).
"""

from __future__ import annotations

INTERVAL = 1.0
MISSES = 3
EXPIRY = INTERVAL * MISSES
LONGEST = 8
"""How many times its first limit a silence is borne at most."""


def expires_at(seen: float) -> float:
    """The moment at which a peer last heard at `seen` counts as gone."""
    return seen + EXPIRY


def is_gone(seen: float, now: float) -> bool:
    """Whether a peer last heard at `seen` is gone."""
    return now >= expires_at(seen)


class Silence:
    """When a connection is given up for another one: its other side was there, and has said nothing for `limit` seconds.

    Only time in which somebody looked counts, so that whoever was frozen as a whole hears first what waits for it. Each
    new connection that stays as silent is given twice as long; one that finds nobody is left to find somebody.
    """

    def __init__(self, now: float, limit: float = EXPIRY) -> None:
        self._least = limit
        self._seen = now
        self.heard()
        self._reached = False

    def heard(self) -> None:
        """The other side has said something."""
        self._limit = self._least
        self._lasted = 0.0
        self._reached = True

    def renewed(self) -> None:
        """There is another connection, of which nothing is known yet."""
        self._limit = min(2 * self._limit, LONGEST * self._least)
        self._lasted = 0.0
        self._reached = False

    def is_over_long(self, now: float, *, reaches: bool) -> bool:
        """Look again, a few times a second; `reaches` says whether the connection stands just now."""
        self._lasted += min(now - self._seen, self._least / MISSES) if self._reached else 0.0
        self._seen = now
        self._reached = self._reached or reaches
        return self._lasted >= self._limit
