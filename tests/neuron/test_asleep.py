"""Models that sleep: who may, for how long, and what is told of it."""

from neuron_bench import NeuronBench

from cortex.neuron.engine.sim import SimEngine
from cortex.protocol import messages as m
from cortex.protocol.values import Device


def bench(*models: str, asleep: int = 100, **more: object) -> NeuronBench:
    return NeuronBench(*models, asleep=asleep, **more)


def hot(made: NeuronBench, *models: str) -> NeuronBench:
    for model in models:
        assert isinstance(made.place(model), m.Placed)
        made.run(2)
    return made


def test_a_victim_sleeps_and_is_back_at_once() -> None:
    """It has nothing of the device's memory, is told as asleep, and wakes without being read."""
    made = hot(bench(), "a")
    made.place("b", evict=("a",), sleep=True)
    made.run(0.1)
    asleep = made.model("a")
    assert (asleep.state, asleep.slots) == ("asleep", 0)
    assert "a" not in made.residency.ledger.entries
    made.run(2)
    made.place("a", evict=("b",), sleep=True)
    made.run(0.1)
    back = made.model("a")
    assert (back.state, back.slots, made.states()["b"]) == ("hot", 2, "asleep")
    assert back.wake_ms < back.load_ms == 1000
    assert made.ask("a").prompt_tokens
    assert made.free == 60


def test_a_victim_of_an_operator_is_gone() -> None:
    """And so is every victim where nobody may sleep, or that is larger than what there is to sleep in."""
    for budget, sleep in ((100, False), (0, True), (39, True)):
        made = hot(bench(asleep=budget), "a")
        made.place(evict=("a",), sleep=sleep)
        made.run(1)
        assert made.states() == {}


def test_who_has_slept_for_longest_makes_room() -> None:
    """The book is never overdrawn, and what it gives up is cold."""
    made = hot(bench(asleep=90), "a", "b")
    made.place(evict=("a",), sleep=True)
    made.place(evict=("b",), sleep=True)
    made.run(1)
    hot(made, "c")
    made.place(evict=("c",), sleep=True)
    made.run(1)
    assert made.states() == {"b": "asleep", "c": "asleep"}
    assert made.engine._asleep == {"b", "c"}


def test_two_that_leave_at_once_share_what_there_is() -> None:
    """Room is promised when a model begins to fall asleep, and not when it sleeps."""
    made = hot(bench(asleep=50), "a", "b")
    made.place(evict=("a", "b"), sleep=True)
    made.run(1)
    assert sorted(made.states().values()) == ["asleep"]


def test_who_sleeps_can_be_made_to_leave() -> None:
    """An eviction of it is done at once."""
    made = hot(bench(), "a")
    made.place(evict=("a",), sleep=True)
    made.run(1)
    assert isinstance(made.place(evict=("a",)), m.Placed)
    assert made.states() == {}
    assert made.engine._asleep == set()


def test_what_the_settings_name_stays_known() -> None:
    """Cold, when it does not sleep any more."""
    made = bench("a")
    made.place(evict=("a",), sleep=True)
    made.run(1)
    made.place(evict=("a",))
    assert made.states() == {"a": "cold"}


def test_a_reservation_that_lapses_leaves_the_sleeper_asleep() -> None:
    """One of several devices, whose commit never came."""
    made = hot(bench(), "a")
    made.place(evict=("a",), sleep=True)
    made.run(1)
    made.place("a", devices=(0, 1))
    assert made.states() == {"a": "loading"}
    made.run(6)
    assert made.states() == {"a": "asleep"}
    hot(made, "a")
    assert made.model("a").wake_ms


def test_where_models_sleep_in_the_devices_own_memory_they_give_way() -> None:
    """A load that the budget allows is never refused for the sake of those who sleep; the waking one needs no second room."""

    class Cpu(SimEngine):
        def __init__(self, device: Device, script: object) -> None:
            super().__init__(Device(kind="cpu", memory_bytes=device.memory_bytes), script)
            self.sleeping = 0

        @property
        def free_bytes(self) -> int:
            return super().free_bytes - 40 * len(self._asleep)

    made = hot(bench(budget=80, make=Cpu), "a", "b")
    made.place(evict=("a",), sleep=True)
    made.place(evict=("b",), sleep=True)
    made.run(1)
    assert made.engine.free_bytes == 20
    assert made.free == 80, "what others could have"
    made.place("a")
    made.run(1)
    assert made.states() == {"a": "hot", "b": "asleep"}, "it wakes where it lies"
    made.place("c")
    made.run(2)
    assert made.states() == {"a": "hot", "c": "hot"}
