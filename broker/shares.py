"""One priority class of one model's queue, shared out fairly: deficit round robin over principals, rounds computed.

Knows who waits and what each costs. Does not know models, deadlines, devices, or why anybody is served now.

Principals stand in a ring. A visit adds one quantum to a principal's credit, and its requests are served, in order
of their numbers, for as long as the credit pays for them; a round visits everybody once. Nothing is walked: a visit
is a pair (round, place in the ring), and that of a principal's request follows from what those up to it cost:

    round = visited + ceil((cost of all up to it - credit) / QUANTUM), or the next visit where that has passed

so a request of a thousand quanta costs no more to find than a small one, and a heap knows the earliest visit. The
visits of one principal do not depend on the others, which is why positions can be told without serving anybody.

Credit does not outlive a principal's waiting. Debt does, and is worked off by one quantum a round, as if it waited:
otherwise whoever sends one request at a time would never pay for long answers. All is forgotten when nobody waits
in the class any more, since there is nobody left to be unfair to, and of the idle only the last IDLE are known.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

Key = tuple[str, int]
"""(request, attempt)"""

QUANTUM = 1024
"""Tokens that one visit adds."""
MOST_CREDIT = QUANTUM
"""What may be given back to a principal for requests that turned out cheaper than charged."""
MOST_DEBT = 64 * QUANTUM
"""What may be charged afterwards for requests that turned out dearer: it delays by that many rounds, never more."""
IDLE = 256
"""Principals without waiting requests that a class remembers."""
NEWCOMERS = 64
"""How many may join the end of a round under way; more wait for the next, or those in the ring would starve."""


@dataclass(slots=True, eq=False)
class Waiter:
    """One waiting request; `cost` in tokens, `deadline` and `since` in seconds of the caller's clock."""

    key: Key
    number: int
    deadline: float
    since: float
    cost: int
    principal: str
    priority: int
    line: Line = field(init=False)
    share: Share = field(init=False)


@dataclass(slots=True, eq=False)
class Share:
    """A principal in the ring: `place` there, the round in which it was last `visited`, its credit as of then.

    `turn` is the round in which its first request will be served.
    """

    principal: str
    place: int
    visited: int
    credit: int = 0
    total: int = 0
    turn: int = 0
    queue: list[Waiter] = field(default_factory=list)


class Line:
    """See the module's docstring. The class of `priority`; what is higher is served first."""

    __slots__ = (
        "_active",
        "_idle",
        "_newcomers",
        "_place",
        "_places",
        "_round",
        "_turns",
        "count",
        "priority",
    )

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.count = 0
        self._round = 0
        self._place = -1  # (round, place): the visit under way
        self._places = 0
        self._newcomers = 0
        self._active: dict[str, Share] = {}
        self._idle: dict[str, Share] = {}
        self._turns: list[
            tuple[int, int, str]
        ] = []  # kept while two or more are active; stale ones are skipped

    def __iter__(self) -> Iterator[Waiter]:
        """Everybody, in the order in which they would be served if nothing changed."""
        if len(self._active) == 1:
            (share,) = self._active.values()
            return iter(share.queue)
        turns = [self._turns_of(share) for share in self._active.values()]
        return (waiter for _turn, _place, waiter in heapq.merge(*turns))

    def first(self) -> Waiter:
        """Who is next; somebody must be waiting."""
        if len(self._active) == 1:
            (share,) = self._active.values()
            return share.queue[0]
        while self._is_stale(self._turns[0]):
            heapq.heappop(self._turns)
        return self._active[self._turns[0][2]].queue[0]

    def join(self, waiter: Waiter, charged: int = 0) -> None:
        """Let somebody wait, behind the principal's own with smaller numbers.

        `charged` is what taking it cost before it came back unserved: returned in full, for it will be charged again.
        """
        share = self._active.get(waiter.principal) or self._enter(waiter.principal)
        waiter.line, waiter.share = self, share
        queue = share.queue
        if not queue or queue[-1].number < waiter.number:
            queue.append(waiter)
        else:
            queue.insert(bisect_left(queue, waiter.number, key=_number), waiter)
        self.count += 1
        share.total += waiter.cost
        share.credit += charged
        if queue[0] is waiter or charged:
            self._schedule(share)

    def take(self, waiter: Waiter) -> None:
        """The first one is being served: its principal pays."""
        share = waiter.share
        assert self.first() is waiter, f"{waiter.key} is taken before its turn"
        if share.turn != self._round:
            self._round, self._newcomers = share.turn, 0
        self._place = share.place
        share.credit += (share.turn - share.visited) * QUANTUM - waiter.cost
        share.visited = share.turn
        self._leave(waiter, 0)
        if share.queue:
            self._schedule(share)

    def remove(self, waiter: Waiter) -> None:
        """Somebody leaves unserved and pays nothing. What was saved up for it alone is lost."""
        share = waiter.share
        index = self._index(waiter)
        self._leave(waiter, index)
        if index == 0 and share.queue:
            self._advance(share)
            share.credit = min(share.credit, max(MOST_CREDIT, share.queue[0].cost))
            self._schedule(share)

    def settle(self, principal: str, owed: int) -> None:
        """Charge a principal `owed` tokens more than was charged, or give back what is below zero; both bounded."""
        share = self._active.get(principal) or self._idle.get(principal)
        if share is None:
            if owed <= 0:
                return
            share = self._new_share(principal)
            self._rest(share)
        self._advance(share)
        if not share.queue:
            share.credit = min(share.credit, 0)
        if owed > 0:
            share.credit = min(share.credit, max(share.credit - owed, -MOST_DEBT))
        else:
            share.credit = max(share.credit, min(share.credit - owed, MOST_CREDIT))
        if share.queue:
            self._schedule(share)
        else:
            share.credit = min(share.credit, 0)

    def position(self, waiter: Waiter) -> int:
        """How many of this class would be served before it if nothing changed."""
        own = waiter.share
        ahead = self._index(waiter)
        if len(self._active) == 1:
            return ahead
        behind = sum(after.cost for after in islice(own.queue, ahead + 1, None))
        turn = self._turn(own, own.total - behind)
        for share in self._active.values():
            last = turn if share.place < own.place else turn - 1  # its last visit before this one
            if share is own or last < share.turn:
                continue
            credit = share.credit + (last - share.visited) * QUANTUM
            if credit >= share.total:
                ahead += len(share.queue)
                continue
            for other in share.queue:
                credit -= other.cost
                if credit < 0:
                    break
                ahead += 1
        return ahead

    # ── the ring ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _enter(self, principal: str) -> Share:
        """Back to its old place in the ring, with its debt; or to the end of the ring."""
        share = self._idle.pop(principal, None)
        if share is None:
            share = self._new_share(principal)
        else:
            self._advance(share)
            share.credit = min(share.credit, 0)
        self._active[principal] = share
        if len(self._active) == 2:
            self._turns = [(other.turn, other.place, other.principal) for other in self._active.values()]
            heapq.heapify(self._turns)
        return share

    def _new_share(self, principal: str) -> Share:
        self._newcomers += 1
        joins = self._newcomers <= NEWCOMERS
        self._places += 1
        return Share(principal, self._places, self._round - 1 if joins else self._round)

    def _leave(self, waiter: Waiter, index: int) -> None:
        share = waiter.share
        del share.queue[index]
        share.total -= waiter.cost
        self.count -= 1
        if not share.queue and self.count:
            del self._active[share.principal]
            self._rest(share)
            if len(self._active) == 1:
                self._turns.clear()

    def _rest(self, share: Share) -> None:
        self._idle[share.principal] = share
        if len(self._idle) > IDLE:
            del self._idle[next(iter(self._idle))]

    def _advance(self, share: Share) -> None:
        """Bring its credit up to the visit under way."""
        passed = self._round if share.place <= self._place else self._round - 1
        if passed > share.visited:
            share.credit += (passed - share.visited) * QUANTUM
            share.visited = passed

    def _turn(self, share: Share, cost: int) -> int:
        """The round in which its credit has paid for `cost`: never a visit that has passed."""
        soonest = self._round if share.place >= self._place else self._round + 1
        return max(soonest, share.visited - (share.credit - cost) // QUANTUM)

    def _schedule(self, share: Share) -> None:
        share.turn = self._turn(share, share.queue[0].cost)
        if len(self._active) == 1:
            return
        if len(self._turns) > 2 * len(self._active) + 64:
            self._turns = [turn for turn in set(self._turns) if not self._is_stale(turn)]
            heapq.heapify(self._turns)
        heapq.heappush(self._turns, (share.turn, share.place, share.principal))

    def _is_stale(self, turn: tuple[int, int, str]) -> bool:
        share = self._active.get(turn[2])
        return share is None or share.turn != turn[0] or share.place != turn[1]

    def _turns_of(self, share: Share) -> Iterator[tuple[int, int, Waiter]]:
        cost = 0
        for waiter in share.queue:
            cost += waiter.cost
            yield self._turn(share, cost), share.place, waiter

    @staticmethod
    def _index(waiter: Waiter) -> int:
        queue = waiter.share.queue
        index = 0 if queue[0] is waiter else bisect_left(queue, waiter.number, key=_number)
        while queue[index] is not waiter:
            index += 1
        return index


def _number(waiter: Waiter) -> int:
    return waiter.number
