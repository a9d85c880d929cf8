"""The faults of placement, one by one, in virtual time: what happens is exact, and so is what must hold.

The numbers are those of the fault catalogue. Every event is watched by the simulator's oracle.
"""

from __future__ import annotations

import pytest
from simulated_fleet import LATENCY, SOON, Fleet, model, outcomes
from simulator.edge_model import Call

from cortex.broker.loads import GRACE
from cortex.broker.view import Policy
from cortex.protocol import messages as m
from cortex.protocol.liveness import EXPIRY

# ── 4, 5: a device dies ──────────────────────────────────────────────────────────────────────────────────────────


def test_4_a_device_dies_while_it_loads_and_its_waiters_are_served_elsewhere() -> None:
    """As soon as it counts as gone, one load elsewhere serves all who wait, and its own books are empty."""
    fleet = Fleet((model("a", 2),), budgets=(3, 3))
    calls = [fleet.ask("a") for _ in range(5)]
    fleet.run(0.5)
    (loading,) = [one for one in fleet.devices if "a" in one.shelf.models]
    loading.crash(drain=True)
    fleet.run(EXPIRY + fleet.load_s + 1.0)
    assert outcomes(calls) == ["finished"]
    assert fleet.loads == 2
    loading.start()
    fleet.quiet()


def test_4_a_model_that_kills_two_devices_is_to_blame() -> None:
    """After the second death in a row its waiters are told, and no third device is sacrificed at once."""
    fleet = Fleet((model("a", 2),), budgets=(3, 3, 3), load_s=5.0)
    call = fleet.ask("a")
    for _ in range(2):
        fleet.run(0.5)
        (loading,) = [one for one in fleet.devices if one.alive and "a" in one.shelf.models]
        loading.crash(drain=True)
        fleet.run(EXPIRY + 0.2)
    assert call.outcome == "refused load_failed"
    assert fleet.loads == 2
    for device in fleet.devices:
        if not device.alive:
            device.start()
    fleet.quiet()


def test_5_a_device_dies_while_a_victim_drains_and_no_ghost_is_left() -> None:
    """When it is back it says what it holds, which is nothing; who waited for the newcomer is served."""
    fleet = Fleet((model("a", 2), model("c", 3)))
    fleet.warm("a")
    working = fleet.ask("a", tokens=400)
    fleet.run(SOON)
    wanting = fleet.ask("c")
    fleet.run(3.0)  # its turn has come: a drains
    assert fleet.states() == {"a": "draining", "c": "loading"}
    fleet.devices[0].crash(drain=True)
    fleet.run(0.5)
    fleet.devices[0].start()
    fleet.run(5.0)
    assert working.outcome == "failed neuron_lost"
    assert wanting.outcome == "finished"
    assert fleet.states() == {"c": "hot"}
    fleet.quiet()


# ── 13-16: loads that fail, hang, or find no room ────────────────────────────────────────────────────────────────


def test_13_a_load_fails_at_90_percent() -> None:
    """Each waiter is told once and why; the room is given back; no load is tried during the backoff, one after it."""
    fleet = Fleet((model("a", 2),))
    fleet.devices[0].fate.fails = 1
    calls = [fleet.ask("a") for _ in range(3)]
    fleet.run(1.0)
    assert outcomes(calls) == ["refused load_failed"]
    assert fleet.devices[0].shelf.free == 3
    early = fleet.ask("a")
    fleet.run(3.0)
    assert early.outcome == "refused load_failed"
    assert fleet.loads == 1
    fleet.run(2.0)
    late = fleet.ask("a")
    fleet.run(2.0)
    assert late.outcome == "finished"
    fleet.quiet()


def test_13_nobody_is_evicted_for_a_load_that_fits_elsewhere() -> None:
    """What would fail has cost nobody the place, for there was a free device."""
    fleet = Fleet((model("a", 2), model("b", 2)), budgets=(3, 3))
    fleet.warm("a")
    for device in fleet.devices:
        device.fate.fails = 1
    call = fleet.ask("b")
    fleet.run(2.0)
    assert call.outcome == "refused load_failed"
    assert [one.is_hot("a") for one in (device.shelf for device in fleet.devices)].count(True) == 1
    fleet.quiet()


def test_14_a_load_hangs_and_the_device_notices() -> None:
    """The device gives the load up at its deadline: waiters are told, the reservation is released."""
    fleet = Fleet((model("a", 2),))
    fleet.devices[0].fate.hangs = 1
    call = fleet.ask("a")
    fleet.run(9.0)
    assert not call.outcome
    fleet.run(2.0)
    assert call.outcome == "refused load_failed"
    assert fleet.devices[0].shelf.free == 3
    fleet.quiet()


def test_14_a_load_hangs_and_the_device_never_notices() -> None:
    """The broker gives the load up at its deadline: waiters are told, and the next are served by another device."""
    fleet = Fleet((model("a", 2),), budgets=(3, 4))
    fleet.devices[0].fate.deaf = 1
    calls = [fleet.ask("a") for _ in range(3)]
    fleet.run(9.5 + GRACE)
    assert outcomes(calls) == [""]
    fleet.run(1.5)
    assert outcomes(calls) == ["refused load_failed"]
    fleet.run(5.0)  # the backoff
    late = fleet.ask("a")
    fleet.run(2.0)
    assert late.outcome == "finished"
    assert fleet.states(0) == {"a": "loading"}
    assert fleet.states(1) == {"a": "hot"}
    fleet.quiet()


def test_15_somebody_else_takes_the_memory() -> None:
    """Measured memory beats the books: no load is tried where it is not free, and the first to fit is."""
    fleet = Fleet((model("a", 2),))
    fleet.devices[0].shelf.foreign = 2
    call = fleet.ask("a", queue_s=20.0)
    fleet.run(6.0)
    assert not call.outcome
    assert fleet.loads == 0
    fleet.devices[0].shelf.foreign = 0
    fleet.run(3.0)
    assert call.outcome == "finished"
    fleet.quiet()


def test_16_memory_that_an_unload_does_not_give_back_is_waited_for_no_longer_than_the_deadline() -> None:
    """A victim went and its memory did not: another device serves, or the waiter is told in time."""
    fleet = Fleet((model("a", 2), model("b", 2)))
    fleet.warm("a")
    fleet.world.order(m.Command(command="op-1", verb="unload", model="a"))
    fleet.devices[0].shelf.foreign = 2
    fleet.run(1.0)
    assert fleet.states() == {}
    call = fleet.ask("b", queue_s=3.0)
    fleet.run(4.0)
    assert call.outcome == "refused no_capacity"
    assert fleet.loads == 1
    fleet.devices[0].shelf.foreign = 0
    fleet.quiet()


# ── 39: clients that leave ───────────────────────────────────────────────────────────────────────────────────────


def test_39_who_leaves_a_load_leaves_it_to_the_others() -> None:
    """The load goes on while others wait; they are served, and nothing is run for who left."""
    fleet = Fleet((model("a", 2),))
    leaver, stayer = fleet.ask("a", patience=0.4), fleet.ask("a")
    fleet.run(3.0)
    assert (leaver.outcome, stayer.outcome) == ("left", "finished")
    assert fleet.loads == 1
    assert not fleet.broker.requests.live
    fleet.quiet()


def test_39_who_leaves_the_queue_frees_its_place_and_no_load_is_begun_for_it() -> None:
    """It waited for room that somebody else worked in: when that is free, nobody is there to load for."""
    fleet = Fleet((model("a", 2), model("c", 3)), policy=Policy(turn_s=60.0))
    fleet.warm("a")
    fleet.ask("a", tokens=100)
    fleet.run(SOON)
    leaver = fleet.ask("c", patience=1.0)
    fleet.run(6.0)
    assert leaver.outcome == "left"
    assert fleet.states() == {"a": "hot"}
    assert fleet.loads == 1
    fleet.quiet()


# ── 58, 59: requests for victims ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("delay", [0.0, 0.5 * LATENCY, 2 * LATENCY, 0.3, 1.2])
def test_58_a_request_comes_for_a_victim(delay: float) -> None:
    """It waits for the victim's return, whenever in the eviction it comes; both are served."""
    fleet = Fleet((model("a", 2), model("c", 3)))
    fleet.warm("a")
    newcomer = fleet.ask("c")
    fleet.run(delay)
    latecomer = fleet.ask("a")
    fleet.run(8.0)
    assert (newcomer.outcome, latecomer.outcome) == ("finished", "finished")
    assert fleet.loads == 3
    fleet.quiet()


@pytest.mark.parametrize("delay", [-0.002, -0.001, 0.0, 0.001, 0.002, 0.2])
def test_59_a_request_comes_as_the_time_to_live_ends(delay: float) -> None:
    """Whoever is first, it is served: by the model that stays, or after one more load."""
    fleet = Fleet((model("a", 2, ttl=4.0),))
    fleet.warm("a")
    probe = Fleet((model("a", 2, ttl=4.0),))
    probe.warm("a")
    start = probe.world.now
    while probe.states():
        probe.world.run_until(probe.world.now + 0.001)
    fleet.run(probe.world.now - start + delay)
    call = fleet.ask("a")
    fleet.run(3.0)
    assert call.outcome == "finished"
    assert fleet.loads in {1, 2}
    fleet.quiet()


# ── 60, 61: no room ──────────────────────────────────────────────────────────────────────────────────────────────


def test_60_everything_is_pinned_or_busy() -> None:
    """Who wants another model waits, is told at the deadline, and nobody has left for it."""
    fleet = Fleet(
        (model("a", 2, pinned=True), model("b", 2), model("c", 2)),
        budgets=(2, 2),
        policy=Policy(turn_s=60.0),
    )
    fleet.run(3.0)
    fleet.warm("b")
    working = fleet.ask("b", tokens=200)
    fleet.run(SOON)
    impatient = fleet.ask("c", queue_s=2.0)
    first, second = fleet.ask("c", queue_s=30.0), fleet.ask("c", queue_s=30.0)
    fleet.run(3.0)
    assert impatient.outcome == "refused no_capacity"
    assert not first.outcome
    fleet.run(8.0)
    assert (working.outcome, first.outcome, second.outcome) == ("finished",) * 3
    assert any(device.shelf.is_hot("a") for device in fleet.devices)
    fleet.quiet()


def test_61_a_model_that_can_never_fit() -> None:
    """It is refused at once, and nobody is evicted."""
    fleet = Fleet((model("a", 2), model("giant", 9)))
    fleet.warm("a")
    call = fleet.ask("giant")
    fleet.run(SOON)
    assert call.outcome == "refused does_not_fit"
    assert fleet.states() == {"a": "hot"}
    fleet.quiet()


# ── 62, 63: herds and thrashing ──────────────────────────────────────────────────────────────────────────────────


def test_62_a_thousand_requests_on_a_cold_model() -> None:
    """Exactly one load, and all are served."""
    fleet = Fleet((model("a", 2),), budgets=(3, 3))
    calls = [fleet.ask("a", tokens=1, queue_s=120.0) for _ in range(1000)]
    fleet.run(60.0)
    assert outcomes(calls) == ["finished"]
    assert fleet.loads == 1
    fleet.quiet()


def alternate(fleet: Fleet, *, tokens: int) -> tuple[float, float]:
    """Requests for two models in turn over ten minutes; answers swaps per minute and the longest wait in seconds."""
    minutes, period, longest = 10, 0.5, 0.0
    waiting: list[Call] = []
    before = fleet.loads
    for number in range(int(60 * minutes / period)):
        waiting.append(fleet.ask("ab"[number % 2], tokens=tokens, queue_s=120.0))
        fleet.run(period)
        for call in [call for call in waiting if call.outcome]:
            waiting.remove(call)
            assert call.outcome == "finished"
            longest = max(longest, fleet.world.now - call.arrived)
    swaps = (fleet.loads - before) / minutes
    fleet.quiet(30.0)
    return swaps, longest


LOAD_S = 0.5


@pytest.mark.parametrize(("turn", "residency"), [(2.0, 5.0), (8.0, 3.0)])
def test_63_two_models_alternate_and_are_idle_now_and_then(turn: float, residency: float) -> None:
    """Who is idle leaves at once, but not before its residency is over: that bounds the swaps and the waiting."""
    pair = (model("a", 2, min_residency=residency), model("b", 2, min_residency=residency))
    fleet = Fleet(pair, policy=Policy(turn_s=turn), load_s=LOAD_S)
    swaps, longest = alternate(fleet, tokens=8)
    assert swaps <= 60 / residency + 1
    assert longest <= turn + residency + 2 * LOAD_S + 1.0


@pytest.mark.parametrize(("turn", "residency"), [(5.0, 0.0), (8.0, 3.0)])
def test_63_two_models_alternate_and_are_never_idle(turn: float, residency: float) -> None:
    """Who works is let finish and leaves when the others have waited their turn: that bounds the swaps as well."""
    pair = (model("a", 2, min_residency=residency), model("b", 2, min_residency=residency))
    fleet = Fleet(pair, policy=Policy(turn_s=turn), load_s=LOAD_S)
    swaps, longest = alternate(fleet, tokens=48)
    assert swaps <= 60 / max(turn, residency) + 1
    assert longest <= 2 * (turn + residency + 2 * LOAD_S) + 3.0
