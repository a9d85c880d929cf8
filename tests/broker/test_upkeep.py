"""What is done without anybody asking."""

from __future__ import annotations

from fleets import Card, Fleet, messages_to, profile

from cortex.broker.catalogue import Catalogue, Replicas
from cortex.broker.events import NeuronUnreachable
from cortex.broker.view import Policy
from cortex.protocol import messages as m
from cortex.protocol.faults import Code
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
    fresh = Card("a", life=1)
    fleet.forget()
    fleet.join_card(fresh)
    fleet.live(1.5)
    place = fleet.place(fresh)
    assert place.load is not None
    assert (place.load.model, place.load.pinned) == ("m", True)
    fleet.load_all()
    fleet.live(1.5)
    assert not fleet.broker.restoring.lost
    assert loaded(fleet) == ["m"]


def test_a_pin_that_cannot_be_put_back_keeps_no_other_from_its_place() -> None:
    """It is tried with growing pauses; the others return, and other devices are restarted meanwhile."""
    fleet = Fleet(
        *[profile(name, 2000) for name in ("bad", "good", "n")], policy=Policy(defrag_after_cycles=4)
    )
    card, worn = Card("a", cycles=4), Card("b")
    card.hold("bad", 2000, pinned=True)
    card.hold("good", 2000, pinned=True)
    worn.hold("n", 2000)
    fleet.join_card(card)
    fleet.join_card(worn)
    fleet.live(1.0)
    fleet.from_neuron(m.Goodbye(), card.route)
    fresh = Card("a", life=1, cycles=9)
    fleet.join_card(fresh)
    fleet.forget()
    for _ in range(30):
        fleet.live(1.0)
        if fleet.neuron(fresh).asked:
            place = fleet.place(fresh)
            fleet.accept(fresh, place)
            fails = place.load is not None and place.load.model == "bad"
            fleet.become(fresh, place.load.model, "failed" if fails else "hot")
    tried = [place.load.model for place in fleet.places(fresh) if place.load is not None]
    assert tried.count("good") == 1
    assert 2 <= tried.count("bad") <= 4
    worn.cycles = 4
    fleet.tell(worn)
    fleet.live(2.0)
    assert [one.route for one in fleet.sent if isinstance(one.message, m.Drain)] == [worn.route]


def test_what_a_crash_took_is_put_back() -> None:
    """Pins and an operator's drain live in the process: when it dies they return with the next one, unless taken back."""
    fleet = Fleet(profile("m", 2000), profile("n", 2000))
    cards = [Card("a"), Card("b")]
    for card, name in zip(cards, ("m", "n"), strict=True):
        card.hold(name, 2000, pinned=True)
        card.drained = name == "n"
        fleet.join_card(card)
        fleet.handle(NeuronUnreachable(card.route))
    fleet.forget()
    fresh = [Card("a", life=1), Card("b", life=1)]
    for card in fresh:
        fleet.join_card(card)
    fleet.live(1.5)
    place = fleet.place(fresh[0])
    assert place.load is not None
    assert (place.load.model, place.load.pinned) == ("m", True)
    drains = [one for one in fleet.sent if isinstance(one.message, m.Drain)]
    assert {one.route for one in drains} == {fresh[1].route}
    fleet.order("resume", node="b")
    fleet.forget()
    fleet.live(1.5)
    assert not messages_to(fleet.sent, m.Drain)
    assert fleet.place(fresh[1]).load is not None, "it serves, so its pin returns"


def test_two_models_that_are_to_be_kept_do_not_swap_places() -> None:
    """Room for one: the other is loaded for a client, and never pushes the first out by itself."""
    kept = {"replicas": Replicas(min=1)}
    fleet = Fleet(profile("m", 20_000, **kept), profile("n", 20_000, **kept))
    card = fleet.card("a")
    for _ in range(40):
        fleet.live(1.0)
        fleet.load_all()
    assert len([place for place in fleet.places() if place.load is not None]) == 1
    [there] = card.models
    other = "n" if there == "m" else "m"
    fleet.ask(other)
    fleet.load_all()
    assert list(card.models) == [other]


def test_the_last_copies_stay_when_several_are_idle_at_once() -> None:
    """Two idle copies of which one is kept: one leaves."""
    fleet = Fleet(profile("m", 2000, ttl=3.0, replicas=Replicas(min=1, max=2)))
    for host in ("a", "b"):
        fleet.card(host, m=2000)
    fleet.live(8.0)
    assert {place.evict for place in fleet.places()} == {("m",)}
    assert len({place.command for place in fleet.places()}) == 1


def test_a_copy_whose_load_fails_is_not_tried_again_at_once() -> None:
    """An extra replica backs off like the first."""
    fleet = Fleet(profile("m", 2000, replicas=Replicas(max=2)))
    fleet.card("a", m=2000)
    other = fleet.card("b")
    for _ in range(12):
        fleet.ask("m")
    for _ in range(20):
        fleet.live(0.5)
        if fleet.neuron(other).asked:
            fleet.accept(other)
            fleet.become(other, "m", "failed")
    assert 1 <= len(fleet.places(other)) <= 3


def test_a_load_that_waits_for_room_is_given_up_when_its_client_has_left() -> None:
    """Its victim goes all the same, for it was told; nothing is loaded, and nobody is blamed."""
    fleet = Fleet(profile("old", 20_000), profile("new", 20_000), policy=Policy(turn_s=2.0))
    card = fleet.card("a", old=20_000)
    fleet.ask("old")
    fleet.from_neuron(m.Accepted(request="r1", attempt=1), card.route)
    fleet.ask("new")
    fleet.live(3.0)
    place = fleet.place(card)
    assert place.drain
    assert place.load is not None
    card.hold("old", 20_000, "draining")
    card.hold("new", 20_000, "loading")
    card.version += 1
    fleet.from_neuron(m.Placed(command=place.command, version=card.version), card.route)
    fleet.repeat(card)
    fleet.cancel("r2")
    fleet.live(2.0)
    given_up = fleet.place(card)
    assert (given_up.evict, given_up.load) == (("new",), None)
    del card.models["new"], card.models["old"]
    card.version += 1
    fleet.from_neuron(m.Placed(command=given_up.command, version=card.version), card.route)
    fleet.tell(card)
    fleet.live(3.0)
    assert not fleet.broker.state.loads.by_command
    assert not fleet.broker.state.crashes
    assert loaded(fleet) == ["new"], "that one order, and no other"


def test_what_nobody_writes_down_or_holds_is_forgotten() -> None:
    """A model that was taken out of models.toml and left memory does not exist any more."""
    fleet = Fleet(profile("m", 2000), profile("n", 2000))
    card = fleet.card("a", m=2000, n=2000)
    fleet.broker.reload(Catalogue(models=(profile("n", 2000),)), fleet.now)
    fleet.live(1.5)
    assert fleet.view.exists("m"), "it is still in memory"
    fleet.leave(card, "m")
    fleet.live(1.5)
    assert not fleet.view.exists("m")
    [refused] = messages_to(fleet.ask("m"), m.Refused)
    assert refused.fault.code is Code.MODEL_NOT_FOUND
    assert "m" not in {entry.id for entry in fleet.broker.state.listed}
