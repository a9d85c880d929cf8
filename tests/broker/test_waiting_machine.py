"""The waiting queue against a plain one that walks its rounds one quantum at a time."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from cortex.broker.shares import MOST_CREDIT, MOST_DEBT, QUANTUM
from cortex.broker.waiting import KEPT, Key, Waiting

MODELS = ("a", "b")
COSTS = st.sampled_from((0, 1, 300, QUANTUM, QUANTUM + 1, 5_000, 70_000))
Cell = tuple[str, int]  # model and priority


@dataclass(frozen=True, order=True)
class Entry:
    number: int
    model: str
    principal: str
    priority: int
    cost: int
    since: float

    @property
    def key(self) -> Key:
        return (f"r{self.number}", 1)

    @property
    def cell(self) -> Cell:
        return self.model, self.priority


@dataclass
class Round:
    """A class: principals in a ring, a hand that goes round it, the credit of each."""

    ring: list[str] = field(default_factory=list)
    hand: int = -1
    credit: dict[str, int] = field(default_factory=dict)

    def enter(self, principal: str) -> None:
        if principal not in self.ring:
            self.ring.append(principal)
            self.credit[principal] = 0

    def serve(self, waiting: list[Entry]) -> Entry:
        """Turn the hand until somebody can pay."""
        heads = {entry.principal: entry for entry in sorted(waiting, reverse=True)}
        while True:
            if self.hand >= 0:
                principal = self.ring[self.hand]
                head = heads.get(principal)
                if head is not None and max(head.cost, 1) <= self.credit[principal]:
                    self.credit[principal] -= max(head.cost, 1)
                    return head
            self.hand = (self.hand + 1) % len(self.ring)
            principal = self.ring[self.hand]
            self.credit[principal] += QUANTUM
            if principal not in heads:
                self.credit[principal] = min(self.credit[principal], 0)

    def rest(self, principal: str) -> None:
        self.credit[principal] = min(self.credit[principal], 0)


class WaitingMachine(RuleBasedStateMachine):
    """Requests come, are served, leave, come back to their place, and become overdue."""

    waiters = Bundle("waiters")
    absent = Bundle("absent")

    def __init__(self) -> None:
        super().__init__()
        self.waiting = Waiting()
        self.plain: list[Entry] = []
        self.deadlines: dict[Key, float] = {}
        self.rounds: dict[Cell, Round] = {}
        self.kept: dict[tuple[str, str, bytes], tuple[Entry, float]] = {}
        self.count = 0
        self.now = 0.0

    def of(self, cell: Cell) -> list[Entry]:
        return [entry for entry in self.plain if entry.cell == cell]

    def order(self, model: str) -> list[Entry]:
        """Serve everybody, in a copy."""
        order = []
        for priority in (2, 0):
            waiting = self.of((model, priority))
            turns = copy.deepcopy(self.rounds.get((model, priority), Round()))
            while waiting:
                order.append(turns.serve(waiting))
                waiting.remove(order[-1])
                if not any(entry.principal == order[-1].principal for entry in waiting):
                    turns.rest(order[-1].principal)
        return order

    @rule(
        target=waiters,
        model=st.sampled_from("aaaab"),
        principal=st.sampled_from(("", "p", "p", "q")),
        priority=st.sampled_from((0, 0, 0, 0, 2)),
        cost=COSTS,
        wait=st.integers(0, 20).map(float),
    )
    def arrive(self, model: str, principal: str, priority: int, cost: int, wait: float) -> Entry:
        self.count += 1
        return self._add(Entry(self.count, model, principal, priority, cost, self.now), self.now + wait)

    @rule(target=waiters, entry=consumes(absent), bounced=st.booleans(), wait=st.integers(0, 20).map(float))
    def come_back(self, entry: Entry, bounced: bool, wait: float) -> Entry:
        assert entry not in self.plain
        return self._add(entry, self.now + wait, max(entry.cost, 1) if bounced else 0)

    def _add(self, entry: Entry, deadline: float, charged: int = 0) -> Entry:
        self.waiting.add(
            entry.model,
            entry.key,
            deadline,
            entry.number,
            principal=entry.principal,
            cost=entry.cost,
            priority=entry.priority,
            since=entry.since,
            charged=charged,
        )
        self.plain = sorted([*self.plain, entry])
        self.deadlines[entry.key] = deadline
        turns = self.rounds.setdefault(entry.cell, Round())
        turns.enter(entry.principal)
        turns.credit[entry.principal] += charged
        return entry

    def _drop(self, entry: Entry) -> None:
        self.plain.remove(entry)
        del self.deadlines[entry.key]
        others = self.of(entry.cell)
        if not others:
            del self.rounds[entry.cell]
        elif not any(other.principal == entry.principal for other in others):
            self.rounds[entry.cell].rest(entry.principal)

    def _leave(self, entry: Entry) -> None:
        """Unserved: what the principal saved up for this one is not for the next."""
        own = [other for other in self.of(entry.cell) if other.principal == entry.principal]
        if own[0] == entry and len(own) > 1:
            credit = self.rounds[entry.cell].credit
            credit[entry.principal] = min(credit[entry.principal], max(MOST_CREDIT, own[1].cost))
        self._drop(entry)

    @rule(target=absent, entry=consumes(waiters))
    def leave(self, entry: Entry) -> Entry | MultipleResults[Entry]:
        if entry not in self.plain:
            return multiple()
        self.waiting.remove(entry.model, entry.key)
        self._leave(entry)
        return entry

    @rule(target=absent, model=st.sampled_from("aaab"))
    def serve(self, model: str) -> Entry | MultipleResults[Entry]:
        key = self.waiting.first(model)
        if key is None:
            return multiple()
        entry = self.order(model)[0]
        assert entry.key == key
        assert self.waiting.take(model, key) == max(entry.cost, 1)
        assert self.rounds[entry.cell].serve(self.of(entry.cell)) == entry
        self._drop(entry)
        return entry

    @rule(
        model=st.sampled_from("aaaab"),
        principal=st.sampled_from(("", "p", "q", "unseen")),
        priority=st.sampled_from((0, 0, 0, 2)),
        charged=COSTS,
        actual=COSTS,
    )
    def settle(self, model: str, principal: str, priority: int, charged: int, actual: int) -> None:
        self.waiting.settle(model, principal, charged, actual, priority=priority)
        turns = self.rounds.get((model, priority))
        owed = actual - charged
        if turns is None or (principal not in turns.ring and owed <= 0):
            return
        turns.enter(principal)
        credit = turns.credit[principal]
        if owed > 0:
            turns.credit[principal] = min(credit, max(credit - owed, -MOST_DEBT))
        else:
            turns.credit[principal] = max(credit, min(credit - owed, MOST_CREDIT))
        if not any(entry.principal == principal for entry in self.of((model, priority))):
            turns.rest(principal)

    @rule(entry=waiters, wait=st.integers(0, 20).map(float))
    def extend(self, entry: Entry, wait: float) -> None:
        if entry in self.plain:
            self.deadlines[entry.key] = self.now + wait
            self.waiting.set_deadline(entry.key, self.now + wait)

    @rule(entry=consumes(waiters), digest=st.sampled_from((b"", b"x", b"y")))
    def client_leaves(self, entry: Entry, digest: bytes) -> None:
        if entry not in self.plain:
            return
        self.waiting.keep(entry.model, entry.key, digest, entry.principal, self.now)
        self._leave(entry)
        if digest:
            name = (entry.model, entry.principal, digest)
            earlier, until = self.kept.get(name, (entry, 0.0))
            oldest = min(entry, earlier) if self.now < until else entry
            self.kept[name] = (oldest, self.now + KEPT)

    @rule(
        model=st.sampled_from(MODELS),
        principal=st.sampled_from(("", "p", "q")),
        digest=st.sampled_from((b"", b"x", b"y")),
    )
    def client_asks_again(self, model: str, principal: str, digest: bytes) -> None:
        place = self.waiting.reclaim(model, principal, digest, self.now)
        entry, until = self.kept.pop((model, principal, digest), (None, 0.0))
        if entry is None or until <= self.now:
            assert place is None
        else:
            assert place is not None
            assert (place.number, place.since) == (entry.number, entry.since)

    @rule(seconds=st.integers(0, 8))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        due = {entry.key: entry for entry in self.plain if self.deadlines[entry.key] <= self.now}
        deadlines = []
        for key in self.waiting.overdue(self.now):
            entry = due.pop(key)
            deadlines.append(self.deadlines[key])
            self.waiting.remove(entry.model, key)
            self._leave(entry)
        assert not due
        assert deadlines == sorted(deadlines)

    @invariant()
    def same_order(self) -> None:
        """Per model, both agree on who waits, in which order, and since when."""
        assert len(self.waiting) == len(self.plain)
        assert set(self.waiting.models()) == {entry.model for entry in self.plain}
        for model in MODELS:
            keys = [entry.key for entry in self.order(model)]
            assert list(self.waiting.keys(model)) == keys
            assert self.waiting.first(model) == (keys[0] if keys else None)
            assert self.waiting.count(model) == len(keys)
            assert [self.waiting.position(model, key) for key in keys] == list(range(len(keys)))
            assert all(key in self.waiting for key in keys)
            ages = [entry.since for entry in self.plain if entry.model == model]
            assert self.waiting.oldest(model) == min(ages, default=None)

    @invariant()
    def same_deadline(self) -> None:
        """Both agree on the next deadline."""
        assert self.waiting.next_deadline() == min(self.deadlines.values(), default=None)


TestWaiting = WaitingMachine.TestCase
TestWaiting.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
