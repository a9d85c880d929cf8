"""The device's account: never overdrawn, whatever is asked of it."""

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cortex.neuron.ledger import GIB, MIB, Ledger, LedgerError, Stage, budget_of
from cortex.protocol.values import Device


def ledger(**entries: int) -> Ledger:
    """With a budget of 100, of which these are held and used to the last byte."""
    made = Ledger(100)
    for model, size in entries.items():
        made.reserve(model, size)
        made.begin(model)
        assert made.use(model, size)
    return made


def test_what_is_reserved_is_not_free() -> None:
    """From the reservation on, long before a byte is taken."""
    made = Ledger(100)
    made.reserve("a", 60)
    assert made.free(1000) == 40
    with pytest.raises(LedgerError):
        made.reserve("b", 41)
    made.reserve("c", 40)
    assert made.free(1000) == 0


def test_reserved_but_not_yet_used_is_not_free_either() -> None:
    """Of 50 measured bytes, 30 will be taken by a model that is being loaded."""
    made = Ledger(100)
    made.reserve("a", 40)
    made.begin("a")
    assert made.use("a", 10)
    assert made.free(50) == 20


def test_foreign_memory_shows_in_the_measure() -> None:
    """The ledger would have 40, and somebody else has taken all but 5."""
    assert ledger(a=60).free(40) == 40
    assert ledger(a=60).free(5) == 5


def test_victims_make_room_before_they_are_gone() -> None:
    """What they will give back can be promised, and the load waits until it is there."""
    made = ledger(a=60)
    assert made.in_budget({"a"}) == 100
    assert made.in_memory(40, {"a"}) == 100
    made.leave("a")
    made.reserve("b", 80)
    assert not made.is_clear("b", 40)
    with pytest.raises(LedgerError):
        made.begin("b")
    made.gone("a")
    assert not made.is_clear("b", 79)
    assert made.is_clear("b", 80)
    made.begin("b")


def test_more_than_was_reserved_is_granted_only_from_what_is_left() -> None:
    """A model may turn out larger, but not at the expense of a promise."""
    made = ledger(a=50)
    made.reserve("b", 30)
    made.begin("b")
    assert made.use("b", 50)
    assert not made.use("b", 51)
    assert made.free(1000) == 0


def test_memory_that_is_lost_stays_accounted_for() -> None:
    """Until it comes back after all."""
    made = ledger(a=60)
    made.leave("a")
    made.reserve("b", 70)
    with pytest.raises(LedgerError):
        made.lose("a")
    made.cancel("b")
    made.lose("a")
    assert (made.lost, made.free(1000)) == (60, 40)
    made.gone("a")
    assert made.free(1000) == 100


@pytest.mark.parametrize(
    ("device", "memory_mb", "budget"),
    [
        (Device(kind="cuda", memory_bytes=80 * GIB), 0, 72 * GIB),
        (Device(kind="cuda", memory_bytes=4 * GIB), 0, 3 * GIB),
        (Device(kind="cpu", memory_bytes=16 * GIB), 0, 8 * GIB),
        (Device(kind="sim", memory_bytes=16 * GIB), 0, 16 * GIB),
        (Device(kind="cpu", memory_bytes=16 * GIB), 10, 10 * MIB),
        (Device(kind="cuda", memory_bytes=8 * GIB), 10_000_000, 8 * GIB),
        (Device(kind="cpu"), 10, 10 * MIB),
    ],
)
def test_the_budget_leaves_headroom(device: Device, memory_mb: int, budget: int) -> None:
    """As configured, else the device's memory less what is not accounted for."""
    assert budget_of(device, memory_mb) == budget


@dataclass
class Plain:
    """The obvious model: what each model was promised, what it has, and where it is."""

    promised: int
    has: int
    stage: Stage


class LedgerMachine(RuleBasedStateMachine):
    """Ask for anything; what the plain model allows must work, what it does not must change nothing."""

    BUDGET = 100
    models = st.sampled_from("abcde")
    sizes = st.integers(0, 120)

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(self.BUDGET)
        self.plain: dict[str, Plain] = {}

    def total(self, *stages: Stage) -> int:
        return sum(one.promised for one in self.plain.values() if one.stage in stages)

    @property
    def left(self) -> int:
        return self.BUDGET - self.total(Stage.WAITING, Stage.HELD, Stage.LOST)

    @property
    def room(self) -> int:
        return self.BUDGET - self.total(Stage.HELD, Stage.LEAVING, Stage.LOST)

    def attempt(self, *, allowed: bool, verb: str, model: str, size: int | None = None) -> bool:
        before = repr(self.ledger)
        arguments = (model,) if size is None else (model, size)
        if allowed:
            getattr(self.ledger, verb)(*arguments)
            return True
        with pytest.raises(LedgerError):
            getattr(self.ledger, verb)(*arguments)
        assert repr(self.ledger) == before
        return False

    def at(self, model: str, *stages: Stage) -> bool:
        return model in self.plain and self.plain[model].stage in stages

    @rule(model=models, size=sizes)
    def reserve(self, model: str, size: int) -> None:
        allowed = model not in self.plain and size <= self.left
        if self.attempt(allowed=allowed, verb="reserve", model=model, size=size):
            self.plain[model] = Plain(size, 0, Stage.WAITING)

    @rule(model=models)
    def begin(self, model: str) -> None:
        allowed = self.at(model, Stage.WAITING) and self.plain[model].promised <= self.room
        if self.attempt(allowed=allowed, verb="begin", model=model):
            self.plain[model].stage = Stage.HELD

    @rule(model=models, size=sizes)
    def use(self, model: str, size: int) -> None:
        if not self.at(model, Stage.HELD):
            self.attempt(allowed=False, verb="use", model=model, size=size)
            return
        plain = self.plain[model]
        granted = size - plain.promised <= min(self.left, self.room) or size <= plain.promised
        assert self.ledger.use(model, size) == granted
        if granted:
            plain.promised, plain.has = max(plain.promised, size), size

    @rule(model=models)
    def cancel(self, model: str) -> None:
        if self.attempt(allowed=self.at(model, Stage.WAITING), verb="cancel", model=model):
            del self.plain[model]

    @rule(model=models)
    def leave(self, model: str) -> None:
        if self.attempt(allowed=self.at(model, Stage.HELD), verb="leave", model=model):
            self.plain[model].stage = Stage.LEAVING

    @rule(model=models)
    def lose(self, model: str) -> None:
        allowed = self.at(model, Stage.LEAVING) and self.plain[model].promised <= self.left
        if self.attempt(allowed=allowed, verb="lose", model=model):
            self.plain[model].stage = Stage.LOST

    @rule(model=models)
    def gone(self, model: str) -> None:
        allowed = self.at(model, Stage.HELD, Stage.LEAVING, Stage.LOST)
        if self.attempt(allowed=allowed, verb="gone", model=model):
            del self.plain[model]

    @precondition(lambda self: not self.total(Stage.LEAVING))
    @rule(foreign=st.integers(0, 150))
    def what_is_free_can_be_given(self, foreign: int) -> None:
        """Whoever is given all that is free overdraws neither the budget nor the memory, once all have taken theirs."""
        has = sum(one.has for one in self.plain.values())
        measured = max(0, self.BUDGET + 50 - foreign - has)
        free = self.ledger.free(measured)
        promises = self.total(Stage.WAITING, Stage.HELD)
        taken = sum(one.has for one in self.plain.values() if one.stage in {Stage.WAITING, Stage.HELD})
        assert free <= self.left
        assert free == 0 or free + promises - taken <= measured

    @invariant()
    def never_overdrawn(self) -> None:
        self.ledger.check()
        assert {name: (one.bytes, one.used, one.stage) for name, one in self.ledger.entries.items()} == {
            name: (one.promised, one.has, one.stage) for name, one in self.plain.items()
        }


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
