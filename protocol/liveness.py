"""When is a peer late, and when is it gone? Arithmetic only; `now` is an argument, in seconds.

A peer beats once an interval; three missed beats and it is gone (ZeroMQ guide, Paranoid Pirate).
"""

from __future__ import annotations

INTERVAL = 1.0
MISSES = 3
EXPIRY = INTERVAL * MISSES


def expires_at(seen: float) -> float:
    """The moment at which a peer last heard at `seen` counts as gone."""
    return seen + EXPIRY


def is_gone(seen: float, now: float) -> bool:
    """Whether a peer last heard at `seen` is gone."""
    return now >= expires_at(seen)
