"""Who waits for a load: what they are told, how long they wait, and when nothing is loaded for them."""

from __future__ import annotations

import pytest
from broker_bench import to_edge
from fleets import Fleet, messages_to, profile, told

from cortex.broker.catalogue import Replicas
from cortex.broker.view import Policy
from cortex.protocol import messages as m
from cortex.protocol.faults import Code


def refusals(fleet: Fleet) -> dict[str, m.Refused]:
    return {one.request: one for one in messages_to(fleet.sent, m.Refused)}


def test_everybody_who_waits_is_told_of_the_load_and_of_its_progress() -> None:
    """Where it loads, and each new percentage once."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    assert told(fleet.ask("m"), "r1") == ["Loading"]
    assert told(fleet.ask("m"), "r2") == ["Loading"]
    command = fleet.place(card).command
    fleet.accept(card)
    news = m.LoadProgress(command=command, model="m", percent=40, detail="reading")
    loading = messages_to(fleet.from_neuron(news, card.route), m.Loading)
    assert [(one.request, one.percent, one.node) for one in loading] == [
        ("r1", 40, "a/sim-0"),
        ("r2", 40, "a/sim-0"),
    ]
    assert not messages_to(fleet.from_neuron(news, card.route), m.Loading)
    [late] = messages_to(fleet.ask("m"), m.Loading)
    assert late.percent == 40


def test_who_waits_for_a_load_waits_for_it_once() -> None:
    """Its queue deadline moves by the profile's load deadline once a device took the load on, and not again."""
    fleet = Fleet(profile("m", load_deadline=20.0))
    card = fleet.card("a")
    fleet.ask("m", queue_ms=5000)
    request = fleet.broker.requests.live["r1", 1]
    fleet.live(2.0)
    fleet.decline(card, Code.STALE)
    assert len(fleet.places()) >= 2
    assert request.deadline == 100.0 + 5.0
    fleet.accept(card)
    assert request.deadline == fleet.now + 25.0
    deadline = request.deadline
    fleet.live(2.0)
    fleet.leave(card, "m")
    fleet.accept(card)
    assert request.deadline == deadline
    fleet.live(deadline - fleet.now + 0.5)
    assert "r1" in refusals(fleet)


def test_a_refused_load_moves_nobodys_deadline() -> None:
    """Who waits for what no device takes on waits in the queue and no longer; joining a load that began is another thing."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    fleet.ask("m", queue_ms=3000)
    for _ in range(8):
        fleet.live(0.5)
        if fleet.neuron(card).asked:
            fleet.decline(card, Code.BUSY)
    assert refusals(fleet)["r1"].fault.code is Code.NO_CAPACITY
    assert fleet.now <= 104.0


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        (Code.LOAD_FAILED, Code.LOAD_FAILED),
        (Code.UNSUPPORTED, Code.LOAD_FAILED),
        (Code.DOES_NOT_FIT, Code.DOES_NOT_FIT),
    ],
)
def test_what_every_device_refuses_for_good_is_told_at_once(code: Code, seen: Code) -> None:
    """The next device is asked first; when none is left everybody hears the reason, later ones at once."""
    fleet = Fleet(profile("m"))
    first, second = fleet.card("a"), fleet.card("b")
    fleet.ask("m")
    fleet.decline(first, code, "m: its source is not there.")
    assert not refusals(fleet)
    fleet.decline(second, code, "m: its source is not there.")
    fleet.ask("m")
    found = refusals(fleet)
    assert {name: one.fault.code for name, one in found.items()} == {"r1": seen, "r2": seen}
    assert all("its source is not there" in one.fault.message for one in found.values())
    if seen is Code.LOAD_FAILED:
        assert found["r2"].fault.retry_after == pytest.approx(60.0, abs=1.0)
    assert fleet.order("load", "m").state == "running", (
        "an operator who orders it has done something about it"
    )
    for card in (first, second):
        fleet.decline(card, code, "m: its source is not there.")
    ordered = fleet.operation("load-m-")
    assert ordered.state == "failed"
    assert "its source is not there" in ordered.detail
    card = fleet.card("c")
    fleet.ask("m")
    assert len(fleet.places(card)) == 1, "a device that was not asked yet may take it"


def test_a_failed_load_is_told_once_to_everybody() -> None:
    """One refusal each, with the reason; nobody waits any more."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    for _ in range(3):
        fleet.ask("m")
    fleet.accept(card)
    effects = fleet.become(card, "m", "failed", detail="its file is broken")
    refused = messages_to(effects, m.Refused)
    assert [one.request for one in refused] == ["r1", "r2", "r3"]
    assert all(
        one.fault.code is Code.LOAD_FAILED and "its file is broken" in one.fault.message for one in refused
    )
    assert not fleet.broker.requests.live
    assert not messages_to(fleet.repeat(card), m.Refused)


def test_another_brokers_load_fails_for_our_waiters_too() -> None:
    """They joined it, so they hear of its end."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    card.hold("m", state="loading")
    fleet.tell(card)
    fleet.ask("m")
    effects = fleet.become(card, "m", "failed", detail="out of memory")
    [refused] = messages_to(effects, m.Refused)
    assert refused.fault.code is Code.LOAD_FAILED


def test_nothing_is_loaded_for_a_client_that_left() -> None:
    """While the device was busy with another placement its client went away."""
    fleet = Fleet(profile("m"), profile("n"))
    card = fleet.card()
    fleet.ask("m")
    fleet.ask("n")
    fleet.cancel("r2")
    fleet.accept(card)
    fleet.become(card, "m", "hot")
    fleet.live(3.0)
    assert [place.load.model for place in fleet.places() if place.load is not None] == ["m"]


def test_the_same_request_sent_again_takes_its_old_place() -> None:
    """Its client gave up and tried again: it is not behind those who came meanwhile."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    for digest in (b"first", b"second"):
        fleet.ask("m", digest=digest)
    fleet.cancel("r1")
    fleet.now += 2.0
    fleet.ask("m", digest=b"first")
    keys = list(fleet.broker.requests.waiting.keys("m"))
    assert keys == [("r3", 1), ("r2", 1)]
    fleet.accept(card)
    effects = fleet.become(card, "m", "hot")
    assert [one.request for one in messages_to(effects, m.Generate)] == ["r3", "r2"]


def test_a_kept_place_lapses() -> None:
    """Ten seconds later the same request is one like any other."""
    fleet = Fleet(profile("m"))
    fleet.card()
    fleet.ask("m", digest=b"first")
    fleet.ask("m")
    fleet.cancel("r1")
    fleet.now += 10.0
    fleet.ask("m", digest=b"first")
    assert list(fleet.broker.requests.waiting.keys("m")) == [("r2", 1), ("r3", 1)]


def test_a_turn_that_has_come_drains_who_works() -> None:
    """Idle victims there are none; after `turn_s` those who work are drained for it."""
    fleet = Fleet(profile("m", 20_000), profile("old", 20_000), policy=Policy(turn_s=5.0))
    card = fleet.card(old=20_000)
    fleet.ask("old")
    assert told(fleet.ask("m"), "r2") == ["Queued"]
    fleet.live(4.0)
    assert not fleet.places()
    fleet.live(1.5)
    place = fleet.place(card)
    assert (place.evict, place.drain) == (("old",), True)


def test_a_victim_that_has_just_become_idle_makes_room_at_once() -> None:
    """The end of its last request is what the waiting model waited for."""
    fleet = Fleet(profile("m", 20_000), profile("old", 20_000))
    card = fleet.card(old=20_000)
    fleet.ask("old")
    fleet.ask("m")
    fleet.from_neuron(m.Finished(request="r1", attempt=1, totals=(1,)), card.route)
    assert fleet.place(card).evict == ("old",)


def test_a_client_with_too_many_requests_is_told_to_come_back() -> None:
    """429: per principal, whoever it is; others are not concerned, and an end makes room."""
    fleet = Fleet(profile("m"), policy=Policy(per_principal=2))
    card = fleet.card(m=8000)
    for _ in range(3):
        fleet.ask("m", principal="p")
    fault = refusals(fleet)["r3"].fault
    assert (fault.code, fault.retry_after) == (Code.RATE_LIMITED, 2)
    [generate] = messages_to(fleet.ask("m", principal="q"), m.Generate)
    assert generate.principal == "q", "the device shares nothing between principals"  # type: ignore[attr-defined]
    fleet.from_neuron(m.Finished(request="r1", attempt=1, totals=(1,)), card.route)
    assert messages_to(fleet.ask("m", principal="p"), m.Generate)


def test_a_queue_that_is_too_long_takes_nobody_in() -> None:
    """503: the one who comes last is turned away, those before it wait on."""
    fleet = Fleet(profile("m"), policy=Policy(max_waiting=2))
    fleet.card()
    for _ in range(3):
        fleet.ask("m")
    assert set(refusals(fleet)) == {"r3"}
    assert refusals(fleet)["r3"].fault.code is Code.OVERLOADED


def test_what_can_never_be_served_is_refused_at_once() -> None:
    """507: it fits nowhere; 404: nobody knows it."""
    fleet = Fleet(profile("giant", 99_000))
    fleet.card()
    fleet.ask("giant")
    fleet.ask("nobody")
    codes = [refusals(fleet)[name].fault.code for name in ("r1", "r2")]
    assert codes == [Code.DOES_NOT_FIT, Code.MODEL_NOT_FOUND]


def test_a_long_queue_gets_another_replica_in_free_memory_only() -> None:
    """As many wait as there are slots, for two seconds, and the profile allows it; nobody is driven out for it."""
    fleet = Fleet(profile("m", replicas=Replicas(max=2)), profile("old", 20_000))
    fleet.card("a", m=8000)
    full = fleet.card("b", old=20_000)
    for _ in range(8):
        fleet.ask("m", queue_ms=60_000)
    fleet.live(4.0)
    assert not fleet.places()
    free = fleet.card("c")
    assert fleet.place(free).load.model == "m"  # type: ignore[union-attr]
    fleet.accept(free)
    effects = fleet.become(free, "m", "hot")
    assert len(messages_to(effects, m.Generate)) == 4
    assert not fleet.places(full)


def test_a_queue_shorter_than_the_slots_gets_no_other_replica() -> None:
    """It will be gone before the load is."""
    fleet = Fleet(profile("m", replicas=Replicas(max=2)))
    fleet.card("a", m=8000)
    fleet.card("b")
    for _ in range(7):
        fleet.ask("m", queue_ms=60_000)
    fleet.live(4.0)
    assert not fleet.places()


def test_who_waited_too_long_is_told_what_for() -> None:
    """A busy model, or one that had no room: each in its words."""
    fleet = Fleet(profile("m"), profile("big", 24_000))
    fleet.card(m=8000)
    for _ in range(5):
        fleet.ask("m", queue_ms=3000)
    fleet.ask("big", queue_ms=3000)
    fleet.live(4.0)
    found = refusals(fleet)
    assert (found["r5"].fault.code, found["r6"].fault.code) == (Code.OVERLOADED, Code.NO_CAPACITY)
    assert "no device has room" in found["r6"].fault.message
    assert to_edge(fleet.sent)
