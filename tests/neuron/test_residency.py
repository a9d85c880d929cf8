"""What becomes of loads and unloads in time: failures, deadlines, memory that does not come back, use."""

from dataclasses import replace

from neuron_bench import NeuronBench, tokens

from cortex.neuron.config import SimSettings
from cortex.neuron.engine.base import LoadDone, Output, Unloaded
from cortex.neuron.engine.sim import SimEngine
from cortex.neuron.residency import BACK_WITHIN, PATIENCE
from cortex.protocol import messages as m
from cortex.protocol.faults import Code
from cortex.protocol.values import Device


def refusal(answer: object) -> str:
    assert isinstance(answer, m.PlaceRefused)
    assert answer.fault.code is Code.NO_CAPACITY
    return answer.fault.message


def test_a_failed_load_frees_its_reservation_and_is_counted() -> None:
    """With the reason; placed again it starts anew, and evicted it is forgotten."""
    bench = NeuronBench(load_fails=("a",))
    for failures in (1, 2):
        bench.place("a")
        assert bench.free == 60
        bench.run(2)
        failed = bench.model("a")
        assert (failed.state, failed.failures, failed.detail) == ("failed", failures, "the script says so")
        assert bench.free == 100
    bench.place(evict=("a",))
    assert bench.states() == {}


def test_a_success_forgives_earlier_failures() -> None:
    """Failures are counted in a row."""
    bench = NeuronBench("a", load_fails_every=2)
    bench.place("b")
    bench.run(2)
    assert bench.model("b").failures == 1
    bench.place("b")
    bench.run(2)
    assert (bench.model("b").state, bench.model("b").failures) == ("hot", 0)


def test_a_load_that_hangs_ends_at_its_deadline() -> None:
    """Its reservation is free again; what the engine still holds of it makes the device take nothing more."""
    bench = NeuronBench("v", load_hangs=("a",))
    bench.place("a", deadline_ms=3000)
    bench.run(2.9)
    assert bench.states() == {"v": "hot", "a": "loading"}
    bench.run(0.2)
    assert (bench.model("a").state, bench.model("a").failures) == ("failed", 1)
    assert "3 s" in bench.model("a").detail
    assert bench.residency.ledger.promised == 40
    bench.run(BACK_WITHIN)
    assert "degraded" in bench.residency.detail
    assert "a did not come back" in refusal(bench.place("b"))
    assert isinstance(bench.ask("v"), m.Accepted)


def test_every_load_has_a_deadline() -> None:
    """Ours, if nobody names one."""
    bench = NeuronBench(load_hangs=("a",))
    bench.place("a")
    bench.run(PATIENCE - 1)
    assert bench.model("a").state == "loading"
    bench.run(2)
    assert bench.model("a").state == "failed"


def test_who_waits_for_a_victim_does_not_wait_for_ever() -> None:
    """The victim runs on; the reservation is given up."""
    bench = NeuronBench("v", footprint_bytes=80, max_tokens=1000)
    bench.ask("v", max_tokens=1000)
    bench.place("a", evict=("v",), drain=True, deadline_ms=2000)
    bench.run(3)
    assert bench.states() == {"v": "draining", "a": "failed"}
    assert "waits for v" in bench.model("a").detail
    assert bench.residency.cycles == 1


def test_a_load_waits_for_memory_that_somebody_else_took() -> None:
    """It begins when the measure has the room, whatever the ledger says."""
    bench = NeuronBench("v", footprint_bytes=80)
    bench.ask("v")
    bench.place("a", evict=("v",), drain=True)
    bench.engine._script = SimSettings(foreign_bytes=50, tokens_per_s=10, load_s=1)
    bench.run(2)
    assert bench.states() == {"v": "cold", "a": "loading"}
    assert bench.model("a").detail == "waits for memory"
    bench.engine._script = bench.script
    bench.run(2)
    assert bench.states() == {"v": "cold", "a": "hot"}


class Leaking(SimEngine):
    """Keeps what it should have given back until it is told to let go."""

    def __init__(self, device: Device, script: SimSettings) -> None:
        super().__init__(device, script)
        self.leaked: list[str] = []

    def unload(self, model: str, now: float) -> None:
        self.leaked.append(model)
        self._leaked += self._held.pop(model).bytes

    def let_go(self) -> None:
        self._leaked = 0
        self._changes += [Unloaded(model) for model in self.leaked]


def test_memory_that_does_not_come_back_degrades_the_device() -> None:
    """The wait is bounded, what relied on it fails at once, what is hot serves on, and it can recover."""
    bench = NeuronBench("v", "w", make=Leaking)
    bench.place("a", evict=("v",), footprint_bytes=60)
    bench.run(BACK_WITHIN - 0.1)
    assert bench.states() == {"v": "draining", "w": "hot", "a": "loading"}
    bench.run(0.2)
    assert bench.states() == {"v": "cold", "w": "hot", "a": "failed"}
    assert "of v did not come back" in bench.model("a").detail
    assert "degraded" in bench.model("v").detail
    assert "degraded" in refusal(bench.place("b", footprint_bytes=10))
    assert "degraded" in refusal(bench.place("v"))
    assert isinstance(bench.ask("w"), m.Accepted)
    assert bench.free == 20
    bench.engine.let_go()
    bench.run(0)
    assert (bench.residency.ledger.degraded, bench.free) == ("", 60)
    assert isinstance(bench.place("a", footprint_bytes=60), m.Placed)


def test_only_what_relied_on_the_lost_memory_fails() -> None:
    """A load that fits without it goes on."""
    bench = NeuronBench("v", make=Leaking)
    bench.place("a", evict=("v",), footprint_bytes=50)
    bench.run(BACK_WITHIN + 0.1)
    assert bench.model("a").state == "loading"
    bench.run(2)
    assert bench.model("a").state == "hot"


def test_a_leak_of_the_script_is_seen() -> None:
    """Bytes that stay away after an unload."""
    bench = NeuronBench("v", leak_bytes=5)
    bench.place(evict=("v",))
    bench.run(BACK_WITHIN + 0.1)
    assert "degraded" in bench.residency.detail
    assert bench.engine.free_bytes == 95


class Fat(SimEngine):
    """Takes more than it said."""

    def step(self, now: float) -> list[Output]:
        return [
            LoadDone("a", 70, 1, 2, 100) if isinstance(one, LoadDone) and one.model == "a" else one
            for one in super().step(now)
        ]


def test_a_model_that_turns_out_larger_is_kept_only_if_there_is_room() -> None:
    """Its reservation grows, or the load has failed."""
    bench = NeuronBench(make=Fat)
    bench.place("a")
    bench.run(2)
    assert (bench.model("a").state, bench.model("a").footprint_bytes, bench.free) == ("hot", 70, 30)
    bench = NeuronBench("v", make=Fat)
    bench.place("a")
    bench.run(2)
    assert bench.model("a").state == "failed"
    assert "more than" in bench.model("a").detail
    assert bench.free == 60


class Talkative(SimEngine):
    """Says how it serves."""

    def step(self, now: float) -> list[Output]:
        return [
            replace(one, detail="one after the other") if isinstance(one, LoadDone) else one
            for one in super().step(now)
        ]


def test_how_a_model_is_served_is_told() -> None:
    """In the words of the engine."""
    bench = NeuronBench(make=Talkative)
    bench.place("a")
    bench.run(2)
    assert (bench.model("a").state, bench.model("a").detail) == ("hot", "one after the other")


def test_use_counts_all_brokers_and_live_is_each_ones_own() -> None:
    """A broker must not take another's work for strays, and all must know how much a model is used."""
    bench = NeuronBench("a", links=2)
    bench.ask("a", "one", link=0, max_tokens=50)
    bench.ask("a", "two", link=1, max_tokens=5)
    assert bench.core.live == ((("one", 1),), (("two", 1),))
    assert bench.residency.use["a"][0] == 2
    bench.run(1)
    assert bench.core.live == ((("one", 1),), ())
    running, since = bench.residency.use["a"]
    assert running == 1
    assert bench.now - 1 <= since <= bench.now


def test_what_is_free_is_measured_now_and_then() -> None:
    """For the heartbeat: by ledger and measure, as in Ready."""
    bench = NeuronBench("a")
    assert bench.residency.free_bytes == 60
    bench.place("b")
    bench.run(1)
    assert bench.residency.free_bytes == 20


def test_streams_go_on_while_another_model_loads() -> None:
    """A token every tenth of a second, whatever is being loaded."""
    bench = NeuronBench("a")
    bench.ask("a", "r", max_tokens=15)
    bench.run(0.25)
    bench.heard()
    bench.place("b")
    bench.run(1.0)
    assert bench.model("b").state == "hot"
    assert tokens(bench.heard(), "r") == 10
