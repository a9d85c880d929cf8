"""What is done without anybody asking."""

from __future__ import annotations

from fleets import Card, Fleet, messages_to, profile

from cortex.broker.catalogue import Replicas
from cortex.broker.events import NeuronUnreachable
from cortex.broker.view import Policy
from cortex.protocol import messages as m
from cortex.protocol.values import Use


def loaded(fleet: Fleet) -> list[str]:
    """Models whose load was ordered, in order; a replica once, however often its order was sent."""
    loads = {place.command: place.load.model for place in fleet.places() if place.load is not None}
    return list(loads.values())


def test_pinned_models_and_least_replicas_are_placed_unasked() -> None:
    """As soon as the fleet has spoken; two replicas go to two devices."""
    fleet = Fleet(
        profile("pinned", pinned=True), profile("two", replicas=Replicas(min=2, max=2)), profile("asked")
    )
    for name in ("a", "b", "c"):
        fleet.card(name)
    for _ in range(6):
        fleet.live(1.0)
        fleet.load_all()
    assert sorted(loaded(fleet)) == ["pinned", "two", "two"]
    assert fleet.view.copies("two") == 2
    assert all(card.models["pinned"].pinned for card in fleet.cards.values() if "pinned" in card.models)


def test_nothing_is_placed_unasked_before_everybody_could_speak() -> None:
    """It may be hot already on a device that has not announced itself."""
    fleet = Fleet(profile("pinned", pinned=True), settled=False)
    fleet.card()
    fleet.live(2.5)
    assert not fleet.places()
    fleet.live(1.5)
    assert loaded(fleet) == ["pinned"]


def test_a_pinned_model_that_fails_is_tried_again_after_its_pause() -> None:
    """Not before, and not given up."""
    fleet = Fleet(profile("pinned", pinned=True))
    card = fleet.card()
    fleet.live(1.0)
    fleet.accept(card)
    fleet.become(card, "pinned", "failed", detail="broken")
    fleet.live(4.0)
    assert len(loaded(fleet)) == 1
    fleet.live(2.5)
    assert len(loaded(fleet)) == 2


def test_an_idle_model_is_unloaded_when_its_time_is_over() -> None:
    """Neither a busy one, nor one that another broker uses, nor the least number of replicas."""
    fleet = Fleet(
        profile("idle", 1000, ttl=5.0),
        profile("busy", 1000, ttl=5.0),
        profile("theirs", 1000, ttl=5.0),
        profile("kept", 1000, ttl=5.0, replicas=Replicas(min=1)),
        profile("pinned", 1000, ttl=5.0),
        profile("forever", 1000),
    )
    card = Card("a")
    for name in ("idle", "busy", "theirs", "kept", "forever"):
        card.hold(name, 1000)
    card.hold("pinned", 1000, pinned=True)
    fleet.join_card(card)
    fleet.ask("busy")
    for _ in range(6):
        fleet.live(1.0)
        fleet.pulse(card, use={"theirs": Use(running=1, idle_ms=0)})
    evicted = [name for place in fleet.places() for name in place.evict]
    assert set(evicted) == {"idle"}


def test_a_broken_replica_is_taken_away() -> None:
    """One of its devices is gone: what is left only takes memory, pinned or not."""
    fleet = Fleet(profile("wide", 40_000, min_devices=2))
    cards = [Card("a", index) for index in (0, 1)]
    for index, card in enumerate(cards):
        card.hold("wide", 20_000, slots=0 if index else 4, devices=(0, 1), pinned=True)
        fleet.join_card(card)
    fleet.handle(NeuronUnreachable(cards[0].route))
    fleet.live(1.5)
    assert fleet.place(cards[1]).evict == ("wide",)
    [pin] = messages_to(fleet.sent, m.Pin)[:1]
    assert (pin.model, pin.pinned) == ("wide", False)


def test_a_worn_device_is_restarted_when_it_is_idle() -> None:
    """One at a time, the most worn first; one that works waits, until it is twice as worn."""
    fleet = Fleet(profile("m"), profile("n"), policy=Policy(defrag_after_cycles=4))
    a, b = Card("a", cycles=5), Card("b", cycles=6)
    a.hold("m")
    b.hold("n")
    fleet.join_card(a)
    fleet.join_card(b)
    fleet.ask("n")
    fleet.live(1.0)
    drains = [(one.route, one.message) for one in fleet.sent if isinstance(one.message, m.Drain)]
    assert {route for route, _ in drains} == {a.route}
    assert all(message.restart and message.drained for _, message in drains)  # type: ignore[attr-defined]
    assert len(drains) == 1
    b.cycles = 8
    a.drained = True
    fleet.tell(a)
    fleet.repeat(b)
    fleet.live(2.0)
    assert not [one for one in fleet.sent if isinstance(one.message, m.Drain) and one.route == b.route]


def test_what_was_pinned_at_run_time_is_put_back_after_the_restart() -> None:
    """The pin lived in the process that was restarted, so the broker remembers it meanwhile."""
    fleet = Fleet(profile("m"), profile("other"), policy=Policy(defrag_after_cycles=4))
    card = Card("a", cycles=4)
    card.hold("m", pinned=True)
    card.hold("other")
    fleet.join_card(card)
    fleet.live(1.0)
    assert messages_to(fleet.sent, m.Drain)
    fleet.from_neuron(m.Goodbye(), card.route)
    fresh = Card("a")
    fleet.forget()
    fleet.join_card(fresh)
    fleet.live(1.5)
    place = fleet.place(fresh)
    assert place.load is not None
    assert (place.load.model, place.load.pinned) == ("m", True)
    fleet.load_all()
    fleet.live(1.5)
    assert not fleet.broker.state.restores
    assert loaded(fleet) == ["m"]
