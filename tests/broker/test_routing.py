"""The numbered cases of `choose`, one after the other."""

from __future__ import annotations

import pytest
from broker_bench import to_edge
from fleets import Card, Fleet, messages_to, profile

from cortex.broker.routing import Choice, Join, Load, Refuse, Serve, Wait, Want, choose
from cortex.protocol import messages as m
from cortex.protocol.faults import Code
from cortex.protocol.values import Usage

BLOCKS = ((b"one", 100), (b"two", 1000))


def decide(fleet: Fleet, model: str, waited: float = 0.0) -> Choice:
    return choose(Want(model, waited=waited), fleet.view, fleet.now)


def node(effects: list[object]) -> bytes:
    """Where the one request went."""
    [sent] = [one for one in effects if isinstance(getattr(one, "message", None), m.Generate)]
    return sent.route  # type: ignore[attr-defined,no-any-return]


def test_an_unknown_name_is_refused_once_everybody_has_spoken() -> None:
    """A broker that has just started waits for neurons that may know it."""
    fleet = Fleet(settled=False)
    assert decide(fleet, "nobody") == Wait("this broker has just started")
    fleet.tick(after=3.0)
    choice = decide(fleet, "nobody")
    assert isinstance(choice, Refuse)
    assert (choice.fault.code, choice.fault.param) == (Code.MODEL_NOT_FOUND, "model")


def test_the_least_loaded_replica_serves() -> None:
    """By the share of its slots that are taken; equals take turns."""
    fleet = Fleet(profile("m"))
    large, small = Card("large"), Card("small")
    large.hold("m", slots=4)
    small.hold("m", slots=1)
    fleet.join_card(large)
    fleet.join_card(small)
    taken = [node(fleet.ask("m")) for _ in range(5)]
    assert taken[0] != taken[1]
    assert taken.count(small.route) == 1
    assert decide(fleet, "m") == Wait("every replica is busy", is_busy=True)


@pytest.mark.parametrize("how", ["stalled", "drained", "draining", "closing", "refused"])
def test_a_replica_that_takes_nothing_new_is_passed_over(how: str) -> None:
    """Whatever keeps it from serving, the next one serves."""
    fleet = Fleet(profile("m"))
    card = fleet.card("a", m=8000)
    other = fleet.card("b", m=8000)
    if how == "stalled":
        fleet.pulse(card, stalled=True)
    elif how == "drained":
        card.drained = True
        fleet.tell(card)
    elif how == "draining":
        fleet.become(card, "m", "draining")
    elif how == "closing":
        fleet.neuron(card).closing.add("m")
    else:
        fleet.neuron(card).full.add("m")
    choices = {choice.neuron.name for _ in range(3) if isinstance(choice := decide(fleet, "m"), Serve)}
    assert choices == {other.name}
    fleet.neuron(card).closing.clear()


def test_the_second_device_of_a_replica_serves_nothing() -> None:
    """It has no slots: the one that leads does."""
    fleet = Fleet(profile("m", min_devices=2))
    for index in (0, 1):
        card = Card("a", index)
        card.hold("m", slots=4 if index else 0, devices=(0, 1))
        fleet.join_card(card)
    choice = decide(fleet, "m")
    assert isinstance(choice, Serve)
    assert choice.neuron.name == "a/sim-1"


# ── prefixes ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_conversation_returns_to_where_it_was() -> None:
    """Though another replica is less loaded, by less than what is cached is worth."""
    fleet = Fleet(profile("m"))
    for name in ("a", "b", "c"):
        fleet.card(name, m=8000)
    home = node(fleet.ask("m", blocks=BLOCKS))
    assert node(fleet.ask("m", blocks=BLOCKS)) == home
    assert node(fleet.ask("m")) != home


def test_a_crowded_home_is_left() -> None:
    """Where the excess of load outweighs the match, another replica learns the conversation."""
    fleet = Fleet(profile("m"))
    for name in ("a", "b"):
        card = Card(name)
        card.hold("m", slots=32)
        fleet.join_card(card)
    home = node(fleet.ask("m", blocks=BLOCKS))
    others = {node(fleet.ask("m", blocks=BLOCKS)) for _ in range(12)}
    assert len(others | {home}) == 2


def test_a_belief_that_proves_wrong_is_corrected() -> None:
    """The neuron tells how much was cached; what was believed beyond that is forgotten."""
    fleet = Fleet(profile("m"))
    card = fleet.card("a", m=8000)
    prefixes = fleet.broker.state.prefixes
    for request, cached in (("r1", 0), ("r2", 100)):
        fleet.ask("m", blocks=BLOCKS)
        usage = Usage(prompt=1000, cached=cached, completion=1)
        fleet.from_neuron(m.Finished(request=request, attempt=1, totals=(1,), usage=usage), card.route)
    assert prefixes.matched("m", BLOCKS) == {card.route: 0.1}


def test_a_replica_that_left_is_no_home() -> None:
    """With the device goes what was believed of its cache."""
    fleet = Fleet(profile("m"))
    card = fleet.card("a", m=8000)
    fleet.ask("m", blocks=BLOCKS)
    fleet.from_neuron(m.Goodbye(), card.route)
    assert fleet.broker.state.prefixes.matched("m", BLOCKS) == {}


# ── cold models ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_load_under_way_is_joined_whoever_ordered_it() -> None:
    """Our own with its percentage; another broker's, which the device shows."""
    fleet = Fleet(profile("ours"), profile("theirs"))
    card = fleet.card("a")
    fleet.ask("ours")
    assert decide(fleet, "ours") == Join("a/sim-0", 0)
    fleet.accept(card)
    card.hold("theirs", state="loading")
    fleet.tell(card)
    assert decide(fleet, "theirs") == Join("a/sim-0", 0)
    assert len(fleet.places()) == 1


def test_a_failed_load_is_not_tried_again_for_a_while() -> None:
    """The fault tells what went wrong and when to come back; then it is tried again."""
    fleet = Fleet(profile("m"))
    card = fleet.card("a")
    fleet.ask("m")
    fleet.accept(card)
    fleet.become(card, "m", "failed", detail="its file is broken")
    choice = decide(fleet, "m")
    assert isinstance(choice, Refuse)
    assert choice.fault.code is Code.LOAD_FAILED
    assert choice.fault.retry_after == 5.0
    assert "its file is broken" in choice.fault.message
    fleet.now += 5.0
    assert isinstance(decide(fleet, "m"), Load)


def test_a_model_that_could_fit_is_waited_for() -> None:
    """Were it not for who works there; once its turn has come, these are drained."""
    fleet = Fleet(profile("m", 24_000), profile("old", 24_000))
    fleet.card("a", old=24_000)
    fleet.ask("old")
    assert decide(fleet, "m") == Wait("no device has room that may be given to it")
    choice = decide(fleet, "m", waited=fleet.view.policy.turn_s)
    assert isinstance(choice, Load)
    assert (choice.plan.victims, choice.plan.drain) == (("old",), True)


def test_a_model_whose_device_is_away_is_waited_for() -> None:
    """It fits on a device that was here, on one that may yet announce itself, or on nobody's while nobody is here."""
    fleet = Fleet(profile("m", 24_000))
    assert decide(fleet, "m") == Wait("no replica is ready")
    large = fleet.card("large")
    fleet.card("small", memory=8000)
    assert isinstance(decide(fleet, "m"), Load)
    fleet.from_neuron(m.Goodbye(), large.route)
    assert decide(fleet, "m") == Wait("no replica is ready")


def test_a_model_that_never_fits_is_refused_with_the_reasons() -> None:
    """Each device says why; a model over several devices tells how many it needs."""
    fleet = Fleet(profile("giant", 99_000), profile("wide", 40_000, min_devices=3))
    for index in (0, 1):
        fleet.card("a", index)
    effects = fleet.ask("giant")
    [refused] = messages_to(effects, m.Refused)
    assert refused.fault.code is Code.DOES_NOT_FIT
    assert "a/sim-0, a/sim-1: it needs 99000 MiB, and models may take 24000 MiB here" in refused.fault.message
    [refused] = [one for one in to_edge(fleet.ask("wide")) if isinstance(one, m.Refused)]
    assert "it needs 3 devices of one host that can each hold a share" in refused.fault.message
