"""Where which beginnings of conversations were served, so that the next turn goes where its keys and values may be.

Knows hashes, which the edges make, and replicas by their routes. Does not know what a neuron really caches: this is a
belief, bounded in size, forgotten with the replica, and corrected by what neurons report. No clock: the least
recently served beginning goes first.

`blocks` are a conversation's beginnings, shortest first: a hash and how many bytes it covers. A neuron that has a
beginning has all shorter ones.
"""

from __future__ import annotations

REPLICAS = 8
"""How many replicas are remembered per beginning, the latest."""
TOLERANCE = 0.1
"""Neurons count tokens, hashes cover bytes: a belief this little too long, as a fraction of the whole, may stay."""

Blocks = tuple[tuple[bytes, int], ...]
Beginning = tuple[str, bytes]


class Prefixes:
    """Beginning, per model → replicas that served it. `capacity` counts beginnings."""

    def __init__(self, capacity: int = 65_536) -> None:
        self.capacity = capacity
        self._replicas: dict[Beginning, dict[bytes, None]] = {}  # both in order of use, the latest last
        self._served: dict[bytes, dict[str, set[bytes]]] = {}  # the same by replica and model

    def __len__(self) -> int:
        return len(self._replicas)

    def __repr__(self) -> str:
        return f"<Prefixes {len(self)} of {self.capacity} at {len(self._served)} replicas>"

    def note(self, model: str, replica: bytes, blocks: Blocks) -> None:
        """A replica serves this conversation: from now on it may have its beginnings."""
        for digest, _covered in reversed(blocks):  # the shortest, which others share, stays longest
            replicas = self._replicas.pop((model, digest), None)
            if replicas is None:
                replicas = {}
            self._replicas[model, digest] = replicas
            replicas.pop(replica, None)
            replicas[replica] = None
            self._served.setdefault(replica, {}).setdefault(model, set()).add(digest)
            if len(replicas) > REPLICAS:
                self._drop(model, digest, next(iter(replicas)))
        while len(self._replicas) > self.capacity:
            beginning, replicas = next(iter(self._replicas.items()))
            for one in tuple(replicas):
                self._drop(*beginning, one)

    def matched(self, model: str, blocks: Blocks) -> dict[bytes, float]:
        """Per replica that may have a beginning of this conversation: the longest one's share of its bytes, 0 to 1."""
        found: dict[bytes, float] = {}
        whole = blocks[-1][1] if blocks else 0
        if whole <= 0:
            return found
        for digest, covered in reversed(blocks):
            for replica in self._replicas.get((model, digest), ()):
                if replica not in found:
                    found[replica] = covered / whole
        return found

    def correct(self, model: str, replica: bytes, blocks: Blocks, cached_fraction: float) -> None:
        """Of this conversation only `cached_fraction` was cached: forget that this replica had the longer beginnings.

        Note afterwards that it has them now, if it served the conversation.
        """
        if not blocks:
            return
        enough = (cached_fraction + TOLERANCE) * blocks[-1][1]
        for digest, covered in reversed(blocks):
            if covered <= enough:
                break
            if replica in self._replicas.get((model, digest), ()):
                self._drop(model, digest, replica)

    def forget(self, model: str, replica: bytes) -> None:
        """The replica holds this model no longer, and with it nothing cached."""
        for digest in tuple(self._served.get(replica, {}).get(model, ())):
            self._drop(model, digest, replica)

    def forget_replica(self, replica: bytes) -> None:
        """The replica is gone."""
        for model in tuple(self._served.get(replica, ())):
            self.forget(model, replica)

    def _drop(self, model: str, digest: bytes, replica: bytes) -> None:
        """Out of both books, leaving nothing empty behind."""
        replicas = self._replicas[model, digest]
        del replicas[replica]
        if not replicas:
            del self._replicas[model, digest]
        models = self._served[replica]
        models[model].discard(digest)
        if not models[model]:
            del models[model]
        if not models:
            del self._served[replica]

    def check(self) -> None:
        """Assert that both books tell the same, within their bounds."""
        there = {(model, digest, one) for (model, digest), of in self._replicas.items() for one in of}
        here = {
            (model, digest, one)
            for one, models in self._served.items()
            for model, digests in models.items()
            for digest in digests
        }
        assert there == here, "the books of prefixes differ"
        assert len(self._replicas) <= self.capacity, "too many prefixes are remembered"
        assert all(0 < len(of) <= REPLICAS for of in self._replicas.values()), "too many replicas of a prefix"


def score(matched: float, load: float, mean_load: float, beta: float = 0.5) -> float:
    """How well a replica suits a conversation, unit-free: the share it may have cached, less its excess of load.

    `load` and `mean_load` (over the replicas that could serve it) are in the same unit, such as requests. A whole match
    outweighs 1/`beta` times the mean of excess load, or 1/`beta` requests where the mean is below one.
    """
    return matched - beta * (load - mean_load) / max(1.0, mean_load)
