"""Who waits: per model, by priority class, fairly over principals, each until its deadline. And whose place is kept.

Within a class `cortex.broker.shares` gives the order. Deadlines and ages are found through heaps whose stale entries
are skipped. Does not know why anybody waits, what a request costs to serve, or who can serve it. Time is an argument,
in seconds of the caller's clock; costs are in tokens.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, KeysView
from dataclasses import dataclass
from itertools import chain

from cortex.broker.shares import Key, Line, Waiter

__all__ = ["KEPT", "KEPT_PLACES", "Key", "Place", "Waiting"]

KEPT = 10.0
"""Seconds for which the place of a client that left is kept for the same request sent again."""
KEPT_PLACES = 4096
"""How many such places are kept; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the order of arrival, and since when it has been waited at."""

    number: int
    since: float


class Waiting:
    """The queue of every model. A request that comes back is added with its old number and takes its old place."""

    def __init__(self) -> None:
        self._waiters: dict[Key, Waiter] = {}
        self._alone: dict[str, Waiter] = {}  # who found nobody waiting for the model needs no line
        self._lines: dict[
            str, list[Line]
        ] = {}  # the highest priority first; only those in which somebody waits
        self._deadlines: list[tuple[float, Key]] = []
        self._ages: dict[str, list[tuple[float, Key]]] = {}  # of the models whose oldest was asked for
        self._kept: dict[
            tuple[str, str, bytes], tuple[Place, float]
        ] = {}  # with the end; the earliest end first

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, key: object) -> bool:
        return key in self._waiters

    @property
    def everybody(self) -> KeysView[Key]:
        """Who waits, for whatever model."""
        return self._waiters.keys()

    def __repr__(self) -> str:
        queues = " ".join(f"{model}:{self.count(model)}" for model in self.models())
        return f"<Waiting {queues or 'nobody'}>"

    # ── coming and going ─────────────────────────────────────────────────────────────────────────────────────────

    def add(
        self,
        model: str,
        key: Key,
        deadline: float,
        number: int,
        *,
        principal: str = "",
        cost: int = 1,
        priority: int = 0,
        since: float = 0.0,
        charged: int = 0,
    ) -> None:
        """Let a request wait until `deadline`, behind its principal's others with smaller numbers.

        A request that was taken and comes back unserved tells what taking it `charged`.
        """
        assert key not in self._waiters, f"{key} waits already"
        waiter = Waiter(key, number, deadline, since, cost if cost > 0 else 1, principal, priority)
        self._waiters[key] = waiter
        if model in self._lines or model in self._alone or charged:
            self._line(model, priority).join(waiter, charged)
        else:
            self._alone[model] = waiter
        self._watch(deadline, key)
        if model in self._ages:
            heapq.heappush(self._ages[model], (since, key))

    def take(self, model: str, key: Key) -> int:
        """The one that `first` names is being served. Answers what its principal was charged, in tokens."""
        assert self.first(model) == key, f"{key} is taken before its turn"
        waiter = self._waiters.pop(key)
        if model in self._alone:
            self._forget(model)
        else:
            waiter.line.take(waiter)
            self._left(model, waiter.line)
        return waiter.cost

    def remove(self, model: str, key: Key) -> None:
        """A request leaves without being served, wherever in the queue it is; nobody is charged."""
        waiter = self._waiters.pop(key)
        if model in self._alone:
            self._forget(model)
        else:
            waiter.line.remove(waiter)
            self._left(model, waiter.line)

    def settle(self, model: str, principal: str, charged: int, actual: int, *, priority: int = 0) -> None:
        """What was charged for a request is now known to be `actual`: the difference counts from here on.

        Bounded both ways, see `cortex.broker.shares`. While nobody waits in that class, nobody is owed anything.
        """
        if charged == actual or (model not in self._lines and model not in self._alone):
            return
        for line in self._queue(model):
            if line.priority == priority:
                line.settle(principal, actual - charged)

    def set_deadline(self, key: Key, deadline: float) -> None:
        """Somebody waits longer, or less long: its model has to be loaded first."""
        self._waiters[key].deadline = deadline
        self._watch(deadline, key)

    # ── who waits ────────────────────────────────────────────────────────────────────────────────────────────────

    def first(self, model: str) -> Key | None:
        """Who is next for a model. Looking changes nothing: it stays so until somebody comes, goes or is settled."""
        if (alone := self._alone.get(model)) is not None:
            return alone.key
        lines = self._lines.get(model)
        return lines[0].first().key if lines else None

    def position(self, model: str, key: Key) -> int:
        """How many are served before it if nobody comes, leaves or is settled meanwhile.

        Those with no smaller number may be among them: a higher class, or principals whose turn comes sooner.
        Costs time with the number of principals, and of requests ahead where these have several.
        """
        if model in self._alone:
            return 0
        waiter = self._waiters[key]
        higher = 0
        for line in self._lines[model]:
            if line is waiter.line:
                break
            higher += line.count
        return higher + waiter.line.position(waiter)

    def models(self) -> tuple[str, ...]:
        """Models that somebody waits for."""
        return (*self._alone, *self._lines)

    def keys(self, model: str) -> Iterator[Key]:
        """Who waits for a model, in the order in which they are served if nothing changes."""
        return (waiter.key for waiter in self._of(model))

    def count(self, model: str) -> int:
        """How many wait for a model."""
        return 1 if model in self._alone else sum(line.count for line in self._lines.get(model, ()))

    def oldest(self, model: str) -> float | None:
        """Since when somebody who waits for the model has been waiting; None while nobody does."""
        if (alone := self._alone.get(model)) is not None:
            return alone.since
        if model not in self._lines:
            return None
        ages = self._ages.get(model)
        if ages is None or len(ages) > 2 * self.count(model) + 64:
            ages = [(waiter.since, waiter.key) for waiter in self._of(model)]
            heapq.heapify(ages)
            self._ages[model] = ages
        while (waiter := self._waiters.get(ages[0][1])) is None or waiter.since != ages[0][0]:
            heapq.heappop(ages)
        return ages[0][0]

    def waited(self, model: str, now: float) -> float:
        """Seconds for which the one who waits longest for this model has waited; 0 while nobody does."""
        oldest = self.oldest(model)
        return 0.0 if oldest is None else now - oldest

    def next_deadline(self) -> float | None:
        """The earliest deadline of anybody waiting."""
        while self._deadlines and self._is_stale(self._deadlines[0]):
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def overdue(self, now: float) -> Iterator[Key]:
        """Everybody whose deadline has come; the caller removes each one before asking for the next."""
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            yield self._deadlines[0][1]

    # ── places kept ──────────────────────────────────────────────────────────────────────────────────────────────

    def keep(self, model: str, key: Key, digest: bytes, principal: str, now: float) -> None:
        """Its client left: nobody waits any more, but the same request, sent again soon, takes the place.

        `digest` names the request; an empty one names none, and no place is kept. Of two alike, the older is kept.
        """
        waiter = self._waiters[key]
        self.remove(model, key)
        if not digest:
            return
        place = Place(waiter.number, waiter.since)
        earlier = self._kept.pop((model, principal, digest), None)
        if earlier is not None and now < earlier[1] and earlier[0].number < place.number:
            place = earlier[0]
        self._kept[model, principal, digest] = (place, now + KEPT)
        self._expire(now)

    def reclaim(self, model: str, principal: str, digest: bytes, now: float) -> Place | None:
        """The place kept for this request, once; None if there is none, or none any more."""
        self._expire(now)
        kept = self._kept.pop((model, principal, digest), None)
        return kept[0] if kept is not None else None

    def _expire(self, now: float) -> None:
        while self._kept:
            first = next(iter(self._kept))
            if len(self._kept) <= KEPT_PLACES and now < self._kept[first][1]:
                break
            del self._kept[first]

    # ── books ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _of(self, model: str) -> Iterator[Waiter]:
        """Who waits for a model, in order."""
        alone = self._alone.get(model)
        return iter((alone,)) if alone is not None else chain.from_iterable(self._lines.get(model, ()))

    def _queue(self, model: str) -> list[Line]:
        """The model's lines; who waited alone is now in one."""
        lines = self._lines.get(model)
        if lines is None:
            lines = self._lines[model] = []
            alone = self._alone.pop(model, None)
            if alone is not None:
                lines.append(Line(alone.priority))
                lines[0].join(alone)
        return lines

    def _line(self, model: str, priority: int) -> Line:
        """The line of a class; a new one where nobody waits in it."""
        lines = self._queue(model)
        index = 0
        while index < len(lines) and lines[index].priority > priority:
            index += 1
        if index == len(lines) or lines[index].priority != priority:
            lines.insert(index, Line(priority))
        return lines[index]

    def _left(self, model: str, line: Line) -> None:
        """Forget a line, and a model, for which nobody waits any more."""
        if not line.count:
            self._lines[model].remove(line)
            if not self._lines[model]:
                self._forget(model)

    def _forget(self, model: str) -> None:
        self._alone.pop(model, None)
        self._lines.pop(model, None)
        self._ages.pop(model, None)

    def _watch(self, deadline: float, key: Key) -> None:
        if len(self._deadlines) > 2 * len(self._waiters) + 64:
            self._deadlines = [(waiter.deadline, waiter.key) for waiter in self._waiters.values()]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (deadline, key))

    def _is_stale(self, entry: tuple[float, Key]) -> bool:
        waiter = self._waiters.get(entry[1])
        return waiter is None or waiter.deadline != entry[0]
