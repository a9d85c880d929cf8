"""Opaque bytes that edges leave here for an hour, and find again by their name. No clock: `now` is an argument.

Only the principal that left them gets them. Their number of bytes is bounded: what was unused for longest leaves first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

TTL = 3600.0
OVERHEAD = 512
"""Bytes that one of them takes besides its own."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What was left, by whom and when."""

    principal: str
    data: bytes
    kept_at: float

    @property
    def size(self) -> int:
        return len(self.data) + OVERHEAD


class Blobs:
    """All of them, in at most `limit` bytes."""

    def __init__(self, limit: int, ttl: float = TTL) -> None:
        self.bytes = 0
        self._limit = limit
        self._ttl = ttl
        self._used: OrderedDict[str, Blob] = OrderedDict()
        """The one unused for longest first."""
        self._aged: dict[str, None] = {}
        """The oldest first."""

    def __len__(self) -> int:
        return len(self._used)

    def keep(self, name: str, principal: str, data: bytes, now: float) -> bool:
        """Keep this; False if there is no room for as much, or if the name is another's."""
        self.expire(now)
        blob = Blob(principal, data, now)
        known = self._used.get(name)
        if blob.size > self._limit or (known is not None and known.principal != principal):
            return False
        self._drop(name)
        while self.bytes + blob.size > self._limit:
            self._drop(next(iter(self._used)))
        self._used[name] = blob
        self._aged[name] = None
        self.bytes += blob.size
        return True

    def fetch(self, name: str, principal: str, now: float) -> bytes | None:
        """What this principal left under this name, if it is still here."""
        blob = self._of(name, principal, now)
        if blob is None:
            return None
        self._used.move_to_end(name)
        return blob.data

    def forget(self, name: str, principal: str, now: float) -> bool:
        """Drop it; False if it is not here, or another's."""
        found = self._of(name, principal, now) is not None
        if found:
            self._drop(name)
        return found

    def expire(self, now: float) -> None:
        """Drop what has been here for its time."""
        while self._aged:
            name = next(iter(self._aged))
            if now < self._used[name].kept_at + self._ttl:
                return
            self._drop(name)

    def check(self) -> None:
        """Assert every invariant."""
        assert self.bytes == sum(blob.size for blob in self._used.values()) <= self._limit
        assert self._aged.keys() == self._used.keys()
        ages = [self._used[name].kept_at for name in self._aged]
        assert ages == sorted(ages)

    def _of(self, name: str, principal: str, now: float) -> Blob | None:
        self.expire(now)
        blob = self._used.get(name)
        return blob if blob is not None and blob.principal == principal else None

    def _drop(self, name: str) -> None:
        blob = self._used.pop(name, None)
        if blob is not None:
            del self._aged[name]
            self.bytes -= blob.size
