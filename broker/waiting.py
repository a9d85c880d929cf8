"""Who waits, per model and in order. Deadlines are found through a heap whose stale entries are skipped."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator

Key = tuple[str, int]
"""(request, attempt)"""


class Waiting:
    """First come, first served within a model, by `number`: a request that comes back takes its old place."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Key]] = {}
        self._numbers: dict[Key, int] = {}
        self._deadlines: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []

    def __len__(self) -> int:
        return len(self._deadlines)

    def __contains__(self, key: object) -> bool:
        return key in self._deadlines

    def __repr__(self) -> str:
        queues = " ".join(f"{model}:{len(queue)}" for model, queue in self._queues.items() if queue)
        return f"<Waiting {queues or 'nobody'}>"

    def add(self, model: str, key: Key, deadline: float, number: int) -> None:
        """Let a request wait until `deadline`, behind those with smaller numbers."""
        queue = self._queues.setdefault(model, deque())
        if not queue or self._numbers[queue[-1]] < number:
            queue.append(key)
        else:
            place = next(index for index, other in enumerate(queue) if self._numbers[other] > number)
            queue.insert(place, key)
        self._numbers[key] = number
        self._deadlines[key] = deadline
        heapq.heappush(self._heap, (deadline, key))

    def remove(self, model: str, key: Key) -> None:
        """Take a request out, wherever in the queue it is."""
        queue = self._queues[model]
        if queue[0] == key:
            queue.popleft()
        else:
            queue.remove(key)
        if not queue:
            del self._queues[model]
        del self._numbers[key]
        del self._deadlines[key]

    def first(self, model: str) -> Key | None:
        """Who is next for a model."""
        queue = self._queues.get(model)
        return queue[0] if queue else None

    def position(self, model: str, key: Key) -> int:
        """How many are ahead within the model's queue."""
        return self._queues[model].index(key)

    def models(self) -> tuple[str, ...]:
        """Models that somebody waits for."""
        return tuple(self._queues)

    def keys(self, model: str) -> Iterator[Key]:
        """Who waits for a model, in order."""
        return iter(self._queues.get(model, ()))

    def next_deadline(self) -> float | None:
        """The earliest deadline of anybody waiting."""
        while self._heap and self._deadlines.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def overdue(self, now: float) -> Iterator[Key]:
        """Everybody whose deadline has come; the caller removes each one before asking for the next."""
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            yield self._heap[0][1]
