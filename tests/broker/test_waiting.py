"""The waiting queue against a plain list."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from cortex.broker.waiting import Key, Waiting

MODELS = ("a", "b")
Entry = tuple[int, str, Key, float]


class WaitingMachine(RuleBasedStateMachine):
    """Requests come, leave, come back to their place, and become overdue."""

    waiters = Bundle("waiters")
    absent = Bundle("absent")

    def __init__(self) -> None:
        super().__init__()
        self.waiting = Waiting()
        self.plain: list[Entry] = []
        self.count = 0

    @rule(target=waiters, model=st.sampled_from(MODELS), deadline=st.integers(0, 20).map(float))
    def arrive(self, model: str, deadline: float) -> Entry:
        self.count += 1
        return self._add((self.count, model, (f"r{self.count}", 1), deadline))

    @rule(target=waiters, entry=consumes(absent))
    def come_back(self, entry: Entry) -> Entry:
        return self._add(entry)

    def _add(self, entry: Entry) -> Entry:
        number, model, key, deadline = entry
        self.waiting.add(model, key, deadline, number)
        self.plain = sorted([*self.plain, entry])
        return entry

    @rule(target=absent, entry=consumes(waiters))
    def leave(self, entry: Entry) -> Entry:
        if entry in self.plain:
            self.plain.remove(entry)
            self.waiting.remove(entry[1], entry[2])
        return entry

    @rule(now=st.integers(0, 20).map(float))
    def time_passes(self, now: float) -> None:
        due = {entry[2]: entry for entry in self.plain if entry[3] <= now}
        deadlines = []
        for key in self.waiting.overdue(now):
            entry = due.pop(key)
            deadlines.append(entry[3])
            self.waiting.remove(entry[1], key)
            self.plain.remove(entry)
        assert not due
        assert deadlines == sorted(deadlines)

    @invariant()
    def same_order(self) -> None:
        """Per model, both agree on who waits and in which order."""
        assert len(self.waiting) == len(self.plain)
        assert set(self.waiting.models()) == {entry[1] for entry in self.plain}
        for model in MODELS:
            keys = [entry[2] for entry in self.plain if entry[1] == model]
            assert list(self.waiting.keys(model)) == keys
            assert self.waiting.first(model) == (keys[0] if keys else None)
            assert [self.waiting.position(model, key) for key in keys] == list(range(len(keys)))
            assert all(key in self.waiting for key in keys)

    @invariant()
    def same_deadline(self) -> None:
        """Both agree on the next deadline."""
        assert self.waiting.next_deadline() == min((entry[3] for entry in self.plain), default=None)


TestWaiting = WaitingMachine.TestCase
TestWaiting.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_queue_tells_its_state_in_one_line() -> None:
    """Its repr names models and how many wait for each."""
    waiting = Waiting()
    assert repr(waiting) == "<Waiting nobody>"
    waiting.add("m", ("r1", 1), 5.0, 1)
    waiting.add("m", ("r2", 1), 5.0, 2)
    assert repr(waiting) == "<Waiting m:2>"
