"""Opaque bytes that edges leave here for an hour, and find again by their name. No clock: `now` is an argument.

Only the principal that left them gets them. Their number of bytes is bounded. Whoever keeps the most makes room, with
what it has not used for longest: nobody loses anything to somebody who keeps more.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Share:
    """The names that one principal uses, the one unused for longest first, and what they take."""

    names: OrderedDict[str, None] = field(default_factory=OrderedDict)
    bytes: int = 0


class Blobs:
    """All of them, in at most `limit` bytes."""

    def __init__(self, limit: int, ttl: float = TTL) -> None:
        self.bytes = 0
        self._limit = limit
        self._ttl = ttl
        self._blobs: OrderedDict[str, Blob] = OrderedDict()
        """The oldest first. A plain dict looks for its first entry past all that have left it."""
        self._shares: dict[str, Share] = {}
        self._richest: list[tuple[int, str]] = []
        """A heap of (minus bytes, principal): for each at least one entry, which may say more than it has now."""

    def __len__(self) -> int:
        return len(self._blobs)

    def keep(self, name: str, principal: str, data: bytes, now: float) -> bool:
        """Keep this; False if there is no room for as much, or if the name is another's."""
        self.expire(now)
        blob = Blob(principal, data, now)
        known = self._blobs.get(name)
        if blob.size > self._limit or (known is not None and known.principal != principal):
            return False
        self._drop(name)
        while self.bytes + blob.size > self._limit:
            self._drop(next(iter(self._largest().names)))
        self._blobs[name] = blob
        share = self._shares.setdefault(principal, Share())
        share.names[name] = None
        share.bytes += blob.size
        self.bytes += blob.size
        self._rank(principal, share)
        return True

    def fetch(self, name: str, principal: str, now: float) -> bytes | None:
        """What this principal left under this name, if it is still here."""
        blob = self._of(name, principal, now)
        if blob is None:
            return None
        self._shares[principal].names.move_to_end(name)
        return blob.data

    def forget(self, name: str, principal: str, now: float) -> bool:
        """Drop it; False if it is not here, or another's."""
        found = self._of(name, principal, now) is not None
        if found:
            self._drop(name)
        return found

    def expire(self, now: float) -> None:
        """Drop what has been here for its time."""
        while self._blobs:
            name, blob = next(iter(self._blobs.items()))
            if now < blob.kept_at + self._ttl:
                return
            self._drop(name)

    def check(self) -> None:
        """Assert every invariant."""
        assert self.bytes == sum(share.bytes for share in self._shares.values()) <= self._limit
        told = dict(sorted(((principal, size) for size, principal in self._richest), reverse=True))
        for principal, share in self._shares.items():
            assert share.names
            assert all(self._blobs[name].principal == principal for name in share.names)
            assert share.bytes == sum(self._blobs[name].size for name in share.names)
            assert told[principal] <= -share.bytes
        assert sum(len(share.names) for share in self._shares.values()) == len(self._blobs)
        ages = [blob.kept_at for blob in self._blobs.values()]
        assert ages == sorted(ages)

    def _of(self, name: str, principal: str, now: float) -> Blob | None:
        self.expire(now)
        blob = self._blobs.get(name)
        return blob if blob is not None and blob.principal == principal else None

    def _drop(self, name: str) -> None:
        blob = self._blobs.pop(name, None)
        if blob is None:
            return
        share = self._shares[blob.principal]
        del share.names[name]
        share.bytes -= blob.size
        self.bytes -= blob.size
        if not share.names:
            del self._shares[blob.principal]

    def _rank(self, principal: str, share: Share) -> None:
        """It has more now."""
        heapq.heappush(self._richest, (-share.bytes, principal))
        if len(self._richest) > 2 * len(self._shares) + 64:
            self._richest = [(-one.bytes, whose) for whose, one in self._shares.items()]
            heapq.heapify(self._richest)

    def _largest(self) -> Share:
        """The share of whoever has most; there must be one."""
        while True:
            told, principal = self._richest[0]
            share = self._shares.get(principal)
            if share is None:
                heapq.heappop(self._richest)
            elif share.bytes != -told:
                heapq.heapreplace(self._richest, (-share.bytes, principal))
            else:
                return share
