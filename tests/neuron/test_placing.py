"""Place, commit, pin, drain: carried out whole or refused with the truth, and answered once."""

import logging

import pytest
from neuron_bench import NeuronBench, terminals

from cortex.neuron.config import ModelSettings
from cortex.neuron.placing import REMEMBERED
from cortex.protocol import messages as m
from cortex.protocol.faults import Code


def refused(answer: object) -> Code:
    assert isinstance(answer, m.PlaceRefused)
    return answer.fault.code


def test_a_placed_model_becomes_hot_and_everybody_hears_of_it() -> None:
    """Placed goes to who asked; progress and Ready go to all, and Ready has the time that it took."""
    bench = NeuronBench(links=2)
    command = bench.placing("a")
    placed = bench.answer(command, link=1)
    assert placed == m.Placed(command=command.command, version=bench.residency.version)
    assert bench.states() == {"a": "loading"}
    bench.run(1.5)
    both = bench.heard(0), bench.heard(1)
    assert not any(isinstance(one, m.Placed) for one in both[0])
    for heard in both:
        progress = [one for one in heard if isinstance(one, m.LoadProgress)]
        assert [(one.command, one.model) for one in progress] == [(command.command, "a")] * len(progress)
        assert 1 <= len(progress) <= 2
        ready = [one for one in heard if isinstance(one, m.Ready)]
        assert [one.models[0].state for one in ready] == ["loading", "hot"]
        assert ready[0].version < ready[1].version
        assert (ready[1].models[0].load_ms, ready[1].cycles) == (1000, 1)
        assert ready[1].models[0].footprint_bytes == 40
        assert (ready[1].device.budget_bytes, ready[1].device.free_bytes) == (100, 60)


def test_a_command_that_comes_again_is_answered_again_and_does_nothing() -> None:
    """Placed or refused, from any broker: the same answer, one load."""
    bench = NeuronBench(links=2)
    command = bench.placing("a")
    first = bench.answer(command)
    bench.run(3)
    assert bench.answer(command, link=1) == first
    stale = m.Place(command="old", version=0, evict=("a",))
    why = bench.answer(stale)
    assert bench.answer(stale) == why
    assert bench.residency.cycles == 1


def test_the_memory_of_answers_is_bounded() -> None:
    """The oldest are forgotten first."""
    bench = NeuronBench("a")
    for number in range(REMEMBERED + 10):
        bench.answer(m.Pin(command=f"p{number}", model="a", pinned=False))
    assert len(bench.core.placing._answers) == REMEMBERED


def test_a_decision_on_an_old_version_is_refused_with_the_truth() -> None:
    """Two brokers decide at once: one wins, the other learns what there is now."""
    bench = NeuronBench(links=2)
    one, two = bench.placing("a"), bench.placing("b")
    assert isinstance(bench.answer(one), m.Placed)
    answer = bench.answer(two, link=1)
    assert refused(answer) is Code.STALE
    assert answer.version == bench.residency.version
    assert [model.id for model in answer.models] == ["a"]
    assert answer.device.free_bytes == 60


def test_a_model_that_is_there_or_on_its_way_is_not_loaded_again() -> None:
    """Placed at once, its victims spared; there is never a second load."""
    bench = NeuronBench("v")
    bench.place("a")
    assert isinstance(bench.place("a", evict=("v",)), m.Placed)
    bench.run(2)
    assert isinstance(bench.place("a", evict=("v",)), m.Placed)
    assert bench.states() == {"v": "hot", "a": "hot"}
    assert bench.residency.cycles == 2


def test_an_idle_victim_makes_room() -> None:
    """It is gone before the other begins to load."""
    bench = NeuronBench("v", footprint_bytes=80)
    assert isinstance(bench.place("a", evict=("v",)), m.Placed)
    assert bench.states() == {"v": "draining", "a": "loading"}
    bench.run(0.0)
    assert bench.states() == {"v": "cold", "a": "loading"}
    bench.run(1.5)
    assert bench.states() == {"v": "cold", "a": "hot"}


def test_a_victim_that_works_refuses() -> None:
    """No policy stops a running request; nothing was changed."""
    bench = NeuronBench("v", footprint_bytes=80)
    bench.ask("v")
    version = bench.residency.version
    assert refused(bench.place("a", evict=("v",))) is Code.BUSY
    assert (bench.states(), bench.residency.version) == ({"v": "hot"}, version)


def test_a_victim_that_works_may_be_drained() -> None:
    """It takes nothing new, ends what runs, and the other has its room from the start and loads when it is there."""
    bench = NeuronBench("v", footprint_bytes=80)
    bench.ask("v", "running", max_tokens=20)
    assert isinstance(bench.place("a", evict=("v",), drain=True), m.Placed)
    assert bench.states() == {"v": "draining", "a": "loading"}
    assert bench.free == 20
    verdict = bench.ask("v", "late")
    assert isinstance(verdict, m.Refused)
    assert verdict.fault.code is Code.BUSY
    assert {model.id: model.state for model in verdict.models}["v"] == "draining"
    bench.run(1.5)
    assert bench.model("a").detail == "waits for v"
    assert bench.residency.cycles == 1
    bench.run(2)
    ended = terminals(bench.heard())["running"]
    assert isinstance(ended, m.Finished)
    assert ended.totals == (20,)
    assert bench.states() == {"v": "cold", "a": "hot"}


def test_a_load_waits_for_its_victims_even_beside_room() -> None:
    """Who decided on the eviction knew why."""
    bench = NeuronBench("v")
    bench.ask("v", max_tokens=20)
    bench.place("a", evict=("v",), drain=True)
    bench.run(1.5)
    assert bench.residency.cycles == 1
    bench.run(2)
    assert bench.states() == {"v": "cold", "a": "hot"}


@pytest.mark.parametrize(
    ("victim", "code", "word"),
    [
        ("nobody", Code.LOAD_FAILED, "not held"),
        ("cold", Code.LOAD_FAILED, "not held"),
        ("pinned", Code.BUSY, "pinned"),
    ],
)
def test_victims_that_cannot_be_evicted(victim: str, code: Code, word: str) -> None:
    """Unknown, cold and pinned ones refuse the whole command, drain or not."""
    bench = NeuronBench("v", ModelSettings(id="pinned", pinned=True), "cold")
    assert bench.states() == {"v": "hot", "pinned": "hot", "cold": "cold"}
    answer = bench.place(evict=("v", victim), drain=True)
    assert refused(answer) is code
    assert word in answer.fault.message
    assert bench.states()["v"] == "hot"


def test_a_load_can_be_given_up() -> None:
    """Refused as busy, carried out with drain: before it begins and while it runs."""
    bench = NeuronBench("v", footprint_bytes=80)
    bench.ask("v", max_tokens=30)
    bench.place("a", evict=("v",), drain=True)
    assert refused(bench.place(evict=("a",))) is Code.BUSY
    assert isinstance(bench.place(evict=("a",), drain=True), m.Placed)
    assert bench.states() == {"v": "draining"}
    bench.run(4)
    bench.place("b")
    bench.run(0.5)
    assert isinstance(bench.place(evict=("b",), drain=True), m.Placed)
    bench.run(0)
    assert bench.states() == {"v": "cold"}
    assert bench.free == 100


def test_what_never_fits_and_what_does_not_fit_now() -> None:
    """Larger than the budget, or larger than what the others leave; victims count as gone."""
    bench = NeuronBench("v", memory=200, budget=100, footprint_bytes=60)
    assert refused(bench.place("a", footprint_bytes=101, evict=("v",))) is Code.DOES_NOT_FIT
    assert refused(bench.place("a", footprint_bytes=41)) is Code.NO_CAPACITY
    assert isinstance(bench.place("a", footprint_bytes=40), m.Placed)
    assert refused(bench.place("b", footprint_bytes=61, evict=("v",))) is Code.NO_CAPACITY
    bench.run(2)
    assert isinstance(bench.place("b", footprint_bytes=60, evict=("v",)), m.Placed)


def test_foreign_memory_is_seen_and_said() -> None:
    """The ledger would have room, the measure has not: refused with what is really free."""
    bench = NeuronBench(foreign_bytes=70)
    answer = bench.place("a")
    assert refused(answer) is Code.NO_CAPACITY
    assert "others take memory" in answer.fault.message
    assert answer.device.free_bytes == 30
    assert isinstance(bench.place("a", footprint_bytes=30), m.Placed)


def test_what_this_device_cannot_do_is_unsupported() -> None:
    """Another engine, another device, room made by itself."""
    bench = NeuronBench("v")
    assert refused(bench.place("a", engine="torch")) is Code.UNSUPPORTED
    assert refused(bench.place("a", devices=(1, 2))) is Code.UNSUPPORTED
    bench.place(evict=("v",))
    bench.place("v")
    bench.run(0)
    assert refused(bench.place("a", evict=("a",))) is Code.LOAD_FAILED
    assert isinstance(bench.place("a", engine="sim"), m.Placed)


def test_what_is_leaving_cannot_be_placed_yet() -> None:
    """Not two of a model at a time."""
    bench = NeuronBench("v")
    bench.ask("v", max_tokens=30)
    bench.place(evict=("v",), drain=True)
    assert refused(bench.place("v")) is Code.BUSY
    bench.run(4)
    assert isinstance(bench.place("v"), m.Placed)


# ── several devices ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_member_reserves_and_loads_when_committed() -> None:
    """Loading from the reservation on; nothing is loaded before the commit, which may come twice."""
    bench = NeuronBench(index=1)
    command = bench.placing("a", devices=(1, 3), footprint_bytes=30)
    assert isinstance(bench.answer(command), m.Placed)
    bench.run(4)
    assert bench.residency.cycles == 0
    assert bench.model("a").state == "loading"
    assert "other devices" in bench.model("a").detail
    bench.heard()
    assert bench.give(m.Commit(command=command.command)) == []
    bench.run(2)
    bench.heard()
    assert bench.states() == {"a": "hot"}
    assert bench.model("a").devices == (1, 3)
    assert bench.model("a").slots == 2
    assert bench.give(m.Commit(command=command.command)) == []


def test_only_the_lowest_index_serves() -> None:
    """The others show no slots and take no request."""
    bench = NeuronBench(index=3)
    command = bench.placing("a", devices=(1, 3))
    bench.answer(command)
    bench.give(m.Commit(command=command.command))
    bench.run(2)
    assert bench.model("a").state == "hot"
    assert bench.model("a").slots == 0
    verdict = bench.ask("a")
    assert isinstance(verdict, m.Refused)
    assert "device 1" in verdict.fault.message


def test_a_reservation_lapses_after_five_seconds() -> None:
    """The room is free again, and a late commit is refused."""
    bench = NeuronBench()
    command = bench.placing("a", devices=(0, 1))
    bench.answer(command)
    bench.run(4.9)
    assert bench.free == 80
    bench.run(0.2)
    assert (bench.free, bench.states()) == (100, {})
    bench.heard()
    [answer] = bench.give(m.Commit(command=command.command))
    assert isinstance(answer, m.PlaceRefused)
    bench.run(3)
    assert bench.residency.cycles == 0


# ── pins and drain ───────────────────────────────────────────────────────────────────────────────────────────────


def test_pins_are_set_and_taken_away() -> None:
    """They show, hold off eviction, and are no business of models that nobody knows."""
    bench = NeuronBench("a")
    assert isinstance(bench.answer(m.Pin(command="p", model="a", pinned=True)), m.Placed)
    bench.run(0)
    [ready] = [one for one in bench.heard() if isinstance(one, m.Ready)]
    assert ready.models[0].pinned
    assert refused(bench.place(evict=("a",))) is Code.BUSY
    bench.answer(m.Pin(command="q", model="a", pinned=False))
    assert isinstance(bench.place(evict=("a",)), m.Placed)
    assert refused(bench.answer(m.Pin(command="r", model="b", pinned=True))) is Code.LOAD_FAILED
    bench.place("c", pinned=True)
    assert bench.model("c").pinned


def test_a_drained_device_takes_nothing_new_and_ends_what_runs() -> None:
    """Requests and placements are refused until it is resumed."""
    bench = NeuronBench("a")
    bench.ask("a", "running", max_tokens=10)
    assert isinstance(bench.answer(m.Drain(command="d")), m.Placed)
    verdict = bench.ask("a", "late")
    assert isinstance(verdict, m.Refused)
    assert verdict.fault.code is Code.DRAINING
    assert refused(bench.place("b")) is Code.DRAINING
    bench.run(2)
    heard = bench.heard()
    assert isinstance(terminals(heard)["running"], m.Finished)
    assert [one for one in heard if isinstance(one, m.Ready)][-1].drained
    assert not bench.core.wants_restart
    bench.answer(m.Drain(command="e", drained=False))
    assert isinstance(bench.ask("a", "again"), m.Accepted)


def test_a_restart_waits_for_what_runs() -> None:
    """And for nothing else."""
    bench = NeuronBench("a")
    bench.ask("a", max_tokens=10)
    bench.answer(m.Drain(command="d", restart=True))
    bench.run(0.5)
    assert not bench.core.wants_restart
    bench.run(1)
    assert bench.core.wants_restart


# ── neuron.toml ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_device_is_ready_before_its_models_are() -> None:
    """What neuron.toml names is loaded after the start, and shown as loading."""
    bench = NeuronBench("a", "b", settle=False)
    assert bench.states() == {"a": "loading", "b": "loading"}
    assert bench.residency.version > 0
    bench.run(1.5)
    assert bench.states() == {"a": "hot", "b": "hot"}


def test_what_does_not_fit_stays_cold_with_the_reason() -> None:
    """In the order of the file; it can be placed later, with the file's own settings."""
    small = ModelSettings(id="c", slots=1)
    bench = NeuronBench("a", "b", small, ModelSettings(id="d", footprint_mb=1))
    assert bench.states() == {"a": "hot", "b": "hot", "c": "cold", "d": "cold"}
    assert "of the budget" in bench.model("c").detail
    assert "MiB" in bench.model("d").detail
    assert bench.model("d").footprint_bytes == 2**20
    bench.place("c", evict=("a",))
    bench.run(2)
    assert bench.states() == {"a": "cold", "b": "hot", "c": "hot", "d": "cold"}
    assert bench.model("c").slots == 1
    bench.place(evict=("c",))
    bench.run(1)
    bench.place("c", slots=7)
    bench.run(2)
    assert bench.model("c").slots == 7


def test_a_model_of_neuron_toml_that_is_refused_at_the_start_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One warning with the model and the reason; brokers hear of it as a failure of a cold model."""
    bench = NeuronBench()
    with caplog.at_level(logging.WARNING, "cortex.device"):
        bench.core.start((ModelSettings(id="huge", footprint_mb=10_000),), 0.0)
    [line] = caplog.messages
    assert line.startswith("huge is not loaded: huge takes 10000 MiB")
    [model] = bench.residency.models
    assert (model.state, model.failures) == ("cold", 1)
    assert model.detail in line
