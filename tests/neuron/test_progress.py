"""When is a device thread stalled, and when may a dead process start again?"""

import pytest

from cortex.neuron.config import HostSettings, NeuronSettings, SimSettings
from cortex.neuron.device.progress import LEAST, Progress, Standing
from cortex.neuron.discover import cpu, devices
from cortex.neuron.supervisor import planned_devices
from cortex.protocol.kit.process import FORGIVEN_AFTER, LONGEST_PAUSE, POISONED, Restarts
from cortex.protocol.values import Use


@pytest.mark.parametrize("phase", ["decode", "prefill", "idle"])
def test_a_first_step_may_take_a_few_seconds(phase: str) -> None:
    """Without history the limit is the least one."""
    progress = Progress(0.0)
    progress.begin(phase, 10.0)  # type: ignore[arg-type]
    assert not progress.is_stalled(10.0 + LEAST)
    assert progress.is_stalled(10.0 + LEAST + 0.1)


def test_slow_steps_raise_the_limit_up_to_the_ceiling() -> None:
    """Five times the slowest step, at most 30 s while decoding and 120 s in a prefill chunk."""
    progress = Progress(0.0)
    progress.begin("decode", 0.0)
    progress.begin("idle", 2.0)
    progress.begin("decode", 2.0)
    assert not progress.is_stalled(11.9)
    assert progress.is_stalled(12.1)
    progress.begin("idle", 22.0)
    progress.begin("decode", 22.0)
    assert progress.is_stalled(22.0 + 30.1)
    progress.begin("prefill", 100.0)
    progress.begin("idle", 160.0)
    progress.begin("prefill", 160.0)
    assert not progress.is_stalled(160.0 + 119.0)
    assert progress.is_stalled(160.0 + 121.0)


@pytest.mark.parametrize("phase", ["starting", "loading"])
def test_loading_is_never_a_stall(phase: str) -> None:
    """A load has its own deadline, elsewhere."""
    progress = Progress(0.0)
    progress.begin(phase, 0.0)  # type: ignore[arg-type]
    assert not progress.is_stalled(10_000.0)


def test_an_idle_thread_is_not_busy() -> None:
    """Busy counts work, not waiting."""
    progress = Progress(0.0)
    progress.begin("idle", 0.0)
    assert progress.busy_s(5.0) == 0
    progress.begin("decode", 5.0)
    assert progress.busy_s(6.5) == 1.5


def test_restarts_slow_down_and_are_forgiven() -> None:
    """Each quick death doubles the pause up to a limit; a long life resets it."""
    restarts = Restarts()
    pauses = [restarts.pause(1, 1.0) for _ in range(12)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[-1] == LONGEST_PAUSE
    assert restarts.pause(1, FORGIVEN_AFTER + 1) == 0.2


def test_a_poisoned_device_is_restarted_at_once_but_not_for_ever() -> None:
    """Exit code 75 asks for a fresh process; twice in a row is a failure like any other."""
    restarts = Restarts()
    assert restarts.pause(POISONED, 1.0) == 0
    assert restarts.pause(POISONED, 1.0) > 0


def test_a_host_has_at_least_one_device() -> None:
    """Without a GPU the CPU is the device, with its memory."""
    assert devices()
    assert cpu().memory_bytes > cpu().free_bytes > 0


def test_the_simulated_engine_brings_its_own_devices() -> None:
    """As many as the script says."""
    settings = NeuronSettings(neuron=HostSettings(engine="sim"), sim=SimSettings(devices=3))
    assert [(d.kind, d.index) for d in planned_devices(settings)] == [("sim", 0), ("sim", 1), ("sim", 2)]


def test_a_beat_tells_each_broker_of_its_own_work_and_all_of_the_use() -> None:
    """Before the first turn there is nothing to tell; what works is not idle."""
    progress = Progress(0.0)
    assert progress.live_of(1) == ()
    progress.live = ((("a", 1),), (("b", 2),))
    assert progress.live_of(0) == (("a", 1),)
    assert progress.live_of(1) == (("b", 2),)
    progress.use = {"m": (0, 10.0), "n": (2, 10.0)}
    assert progress.used(12.5) == {"m": Use(0, 2500), "n": Use(2, 0)}


def test_a_restart_that_was_wanted_is_at_once() -> None:
    """A drained process that leaves with 75 after a long life has its successor without a pause."""
    restarts = Restarts()
    assert restarts.pause(POISONED, FORGIVEN_AFTER + 1) == 0


def looked(standing: Standing, begin: float, end: float) -> bool:
    """Whether it is hopeless at the end of looks that come five times a second."""
    found = False
    for tick in range(round(5 * (end - begin)) + 1):
        found = standing.is_hopeless(begin + tick / 5)
    return found


@pytest.mark.parametrize(("phase", "seconds"), [("idle", 30), ("decode", 30), ("prefill", 120)])
def test_who_stands_for_too_long_is_hopeless(phase: str, seconds: int) -> None:
    """After the time that is set, four times as long for a chunk; a turn of the loop begins it anew."""
    progress = Progress(0.0)
    standing = Standing(progress, 30.0)
    progress.begin(phase, 0.0)  # type: ignore[arg-type]
    assert not looked(standing, 0.0, seconds - 1)
    progress.begin(phase, seconds - 1.0)  # type: ignore[arg-type]
    assert not looked(standing, seconds - 1, 2 * seconds - 2)
    assert looked(standing, 2 * seconds - 2, 2 * seconds + 1)


@pytest.mark.parametrize(("phase", "stall_s"), [("starting", 30.0), ("loading", 30.0), ("idle", 0.0)])
def test_loading_is_never_hopeless_and_zero_is_never(phase: str, stall_s: float) -> None:
    """A load has its own deadline, and an operator may want to look at what stands."""
    progress = Progress(0.0)
    progress.begin(phase, 0.0)  # type: ignore[arg-type]
    assert not looked(Standing(progress, stall_s), 0.0, 500.0)


def test_a_process_that_was_frozen_did_not_stand_by_itself() -> None:
    """What passes between two looks counts for a second at most."""
    progress = Progress(0.0)
    standing = Standing(progress, 30.0)
    progress.begin("idle", 0.0)
    assert not looked(standing, 0.0, 5.0)
    assert not standing.is_hopeless(10_000.0)


def test_words_name_what_the_thread_is_at() -> None:
    """The request that is being taken, else those in hand."""
    progress = Progress(0.0)
    progress.begin("decode", 0.0)
    progress.live = ((("a", 1),), (("b", 2),))
    assert progress.words == "in a step (decode) with a, b in hand"
    progress.taking = "c"
    assert progress.words == "taking request c"
