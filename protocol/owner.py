"""Which broker keeps a model's queue: rendezvous hashing over the brokers that somebody sees live. Pure.

Everybody who sees the same brokers names the same owner without asking anybody. When a broker leaves, only its own
models move, each to the next in its rank; when it returns, only they come back. Views that differ cost fairness,
never correctness: any broker serves what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

WEIGHT_BYTES = 8


def owner(model: str, brokers: Iterable[str]) -> str | None:
    """The first in rank for this model; None if there is no broker. The order of `brokers` does not matter."""
    return max(brokers, key=lambda broker: _weight(model, broker), default=None)


def ranked(model: str, brokers: Iterable[str]) -> list[str]:
    """All of them: the owner, then who takes over from whom."""
    return sorted(brokers, key=lambda broker: _weight(model, broker), reverse=True)


def _weight(model: str, broker: str) -> tuple[bytes, str]:
    """Compared as a number, most significant byte first; names break a tie."""
    return blake2b(f"{broker}\0{model}".encode(), digest_size=WEIGHT_BYTES).digest(), broker
