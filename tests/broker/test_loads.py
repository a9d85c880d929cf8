"""The book of placements: ordering, answers, losses, lateness."""

from __future__ import annotations

import pytest
from broker_bench import to_neuron
from fleets import Card, Fleet, messages_to, profile, told

from cortex.broker.events import NeuronUnreachable
from cortex.broker.loads import GRACE
from cortex.protocol import messages as m
from cortex.protocol.faults import Code


def wide(*, devices: int = 2) -> tuple[Fleet, list[Card]]:
    """A fleet with one host, and a request for a model that takes all its devices."""
    fleet = Fleet(profile("wide", 20_000 * devices, min_devices=devices))
    cards = [fleet.card("a", index) for index in range(devices)]
    fleet.ask("wide")
    return fleet, cards


def test_a_load_is_ordered_with_all_that_the_device_needs_to_know() -> None:
    """Version, victims, source, bytes, slots, deadline: as the profile says."""
    fleet = Fleet(
        profile("m", 20_000, engine="sim", quantization="q4", slots=3, load_deadline=7.0), profile("old")
    )
    card = fleet.card(old=8000)
    fleet.ask("m")
    [place] = fleet.places()
    assert (place.version, place.evict, place.drain) == (card.version, ("old",), False)
    assert place.load == m.LoadSpec(
        model="m",
        source="/models/m",
        engine="sim",
        quantization="q4",
        footprint_bytes=20_000 * 2**20,
        deadline_ms=7000,
        slots=3,
    )


def test_a_model_is_loaded_once_for_all_who_want_it() -> None:
    """Ten requests, one order; all are served when it is hot."""
    fleet = Fleet(profile("m"))
    card = fleet.card("a")
    fleet.card("b")
    for _ in range(10):
        fleet.ask("m")
    assert len(fleet.places()) == 1
    fleet.accept(card)
    fleet.ask("m")
    effects = fleet.become(card, "m", "hot")
    assert len(messages_to(effects, m.Generate)) == 4
    assert len(fleet.places()) == 1


def test_a_device_is_asked_one_thing_at_a_time() -> None:
    """Each placement changes the version that the next one must name: the second waits for the first's answer."""
    fleet = Fleet(profile("m"), profile("n"))
    card = fleet.card()
    fleet.ask("m")
    fleet.ask("n")
    assert [place.load.model for place in fleet.places() if place.load is not None] == ["m"]
    fleet.accept(card)
    assert [place.load.model for place in fleet.places() if place.load is not None] == ["m", "n"]
    assert fleet.place(card).version == card.version


def test_victims_are_given_nothing_from_the_moment_they_are_chosen() -> None:
    """Their requests wait, for the choice is irrevocable until the device says otherwise."""
    fleet = Fleet(profile("m", 20_000), profile("old"))
    card = fleet.card(old=8000)
    fleet.ask("m")
    assert not messages_to(fleet.ask("old"), m.Generate)
    effects = fleet.decline(card)
    assert len(messages_to(effects, m.Generate)) == 1


def test_an_unanswered_order_is_sent_again_under_the_same_name() -> None:
    """With the next beat after a second, word for word: the device carries it out once."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    fleet.ask("m")
    [first] = fleet.places()
    fleet.now += 0.5
    assert not messages_to(fleet.pulse(card), m.Place)
    fleet.now += 0.5
    assert messages_to(fleet.pulse(card), m.Place) == [first]


def test_an_order_that_is_never_answered_is_given_up() -> None:
    """After ten seconds another device is asked."""
    fleet = Fleet(profile("m"))
    mute = fleet.card("a")
    other = fleet.card("b")
    fleet.ask("m", queue_ms=60_000)
    fleet.live(9.5)
    assert not fleet.places(other)
    fleet.live(1.0)
    assert len(fleet.places(other)) == 1
    assert not fleet.neuron(mute).asked


@pytest.mark.parametrize("code", [Code.STALE, Code.BUSY])
def test_a_refusal_leads_to_another_plan_by_the_truth_that_came_along(code: Code) -> None:
    """A stale version is tried again at once with the right one; a busy device is left alone for a second."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    fleet.ask("m")
    card.version += 3
    fleet.decline(card, code)
    assert len(fleet.places()) == (2 if code is Code.STALE else 1)
    fleet.live(1.5)
    last = fleet.place(card)
    assert last.version == card.version
    assert last.command != fleet.places()[0].command


def test_a_device_that_can_never_do_it_is_left_alone_for_long() -> None:
    """Any other refusal shuts it for this model for a minute."""
    fleet = Fleet(profile("m"), profile("n"))
    card = fleet.card()
    fleet.ask("m")
    fleet.decline(card, Code.UNSUPPORTED)
    fleet.live(20.0)
    assert len(fleet.places()) == 1
    fleet.ask("n")
    assert len(fleet.places()) == 2


def test_a_lost_device_ends_its_load_and_another_takes_it() -> None:
    """The first such loss is the device's fault, the second in a row the model's."""
    fleet = Fleet(profile("m"))
    cards = [fleet.card(name) for name in ("a", "b", "c")]
    fleet.ask("m")
    fleet.accept(cards[0])
    fleet.handle(NeuronUnreachable(cards[0].route))
    assert len(fleet.places(cards[1])) == 1
    fleet.accept(cards[1])
    effects = fleet.handle(NeuronUnreachable(cards[1].route))
    assert not fleet.places(cards[2])
    [refused] = messages_to(effects, m.Refused)
    assert refused.fault.code is Code.LOAD_FAILED


def test_backoff_grows_with_each_failure_and_a_success_ends_it() -> None:
    """5 s, 10 s, 20 s and so on, 300 at most; once it was hot, the next failure is the first again."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    pauses = []
    for _ in range(8):
        fleet.ask("m")
        fleet.accept(card)
        fleet.become(card, "m", "failed", detail="broken")
        pauses.append(fleet.view.failures["m"].until - fleet.now)
        fleet.now = fleet.view.failures["m"].until
        fleet.pulse(card)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]
    fleet.edge_beat()
    fleet.ask("m")
    fleet.accept(card)
    fleet.become(card, "m", "hot")
    assert "m" not in fleet.view.failures


def test_a_load_that_takes_too_long_has_failed() -> None:
    """Who waits is told, and the device is not asked for it again for a while; if the load ends after all, it serves."""
    fleet = Fleet(profile("m", load_deadline=4.0))
    card = fleet.card()
    fleet.ask("m")
    fleet.accept(card)
    fleet.live(4.5 + GRACE)
    assert "m" not in fleet.broker.state.loads.by_model
    assert fleet.view.failures["m"].detail == "it was not loaded within 4 s"
    assert fleet.neuron(card).shut["m"] > fleet.now + 50.0
    fleet.become(card, "m", "hot")
    assert "m" not in fleet.view.failures
    assert messages_to(fleet.ask("m"), m.Generate)


def test_waiting_for_victims_does_not_count_as_loading() -> None:
    """While a drained victim ends what runs, the load's deadline moves on."""
    fleet = Fleet(profile("m", 20_000, load_deadline=3.0), profile("old", 20_000))
    card = fleet.card(old=20_000)
    fleet.ask("old")
    fleet.ask("m", waited_ms=60_000, queue_ms=100_000)
    place = fleet.place(card)
    assert place.drain
    fleet.from_neuron(m.Placed(command=place.command, version=card.version + 1), card.route)
    card.hold("old", 20_000, "draining")
    card.hold("m", 20_000, "loading")
    fleet.tell(card)
    for _ in range(5):
        fleet.live(1.0)
        fleet.repeat(card)
    assert "m" in fleet.broker.state.loads.by_model


# ── several devices ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_replica_over_devices_is_committed_when_all_have_reserved() -> None:
    """Not a moment earlier, and once."""
    fleet, cards = wide()
    assert not messages_to(fleet.accept(cards[0]), m.Commit)
    commits = messages_to(fleet.accept(cards[1]), m.Commit)
    assert [one.command for one in commits] == [fleet.place(cards[0]).command] * 2
    for card in reversed(cards):
        fleet.become(card, "wide", "hot")
    assert told(fleet.sent, "r1")[-1] == "Loading"
    assert messages_to(fleet.sent, m.Generate)


def test_a_member_that_refuses_ends_the_whole_placement() -> None:
    """Nobody is told to load; what the others reserved lapses by itself."""
    fleet, cards = wide()
    fleet.accept(cards[0])
    fleet.decline(cards[1], Code.NO_CAPACITY)
    assert not messages_to(fleet.sent, m.Commit)
    assert "wide" not in fleet.broker.state.loads.by_model


def test_a_lost_commit_is_sent_again() -> None:
    """A device that still waits for it is told with its next beat."""
    fleet, cards = wide()
    version = cards[1].version
    fleet.accept(cards[0])
    place = fleet.place(cards[1])
    cards[1].hold("wide", 20_000, "loading", slots=0, devices=(0, 1))
    fleet.from_neuron(m.Placed(command=place.command, version=version + 1), cards[1].route)
    fleet.now += 1.0
    assert m.Commit(command=place.command) in to_neuron(fleet.pulse(cards[1]), cards[1].route)


def test_an_answer_that_comes_after_all_is_taken() -> None:
    """A `Placed` for a placement that was given up frees the device for the next question."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    fleet.ask("m")
    place = fleet.place(card)
    fleet.live(10.5)
    card.version += 1
    fleet.from_neuron(m.Placed(command=place.command, version=card.version), card.route)
    card.hold("m", state="loading")
    fleet.repeat(card)
    fleet.become(card, "m", "hot")
    assert not fleet.neuron(card).asked
    assert messages_to(fleet.ask("m"), m.Generate)
