"""What clients are told that they may ask for, and where it is."""

from __future__ import annotations

import pytest
from broker_bench import to_edge
from drawn_fleets import draw
from fleets import Card, Fleet, profile

from cortex.broker import control
from cortex.broker.catalogue import MIB, Catalogue, Limit
from cortex.broker.listing import Listing
from cortex.protocol import messages as m
from cortex.protocol.faults import Code


def entry(fleet: Fleet, model: str) -> m.CatalogueEntry:
    """The line of a model, as edges have it."""
    [found] = [one for one in fleet.broker.state.listed if one.id == model]
    return found


def test_a_profile_is_listed_before_any_device_is_there() -> None:
    """What is written in models.toml may be asked for, though nobody could hold it yet."""
    found = entry(Fleet(profile("m")), "m")
    assert (found.state, found.loaded, found.feasible_on) == ("cold", False, ())


def test_a_model_without_a_profile_is_listed_once_it_was_held() -> None:
    """Neurons bring models of their own, and these stay on the list when they leave."""
    fleet = Fleet()
    card = fleet.card(own=4000)
    assert entry(fleet, "own").loaded
    fleet.from_neuron(m.Goodbye(), card.route)
    assert entry(fleet, "own").state == "cold"


def test_hosts_that_could_hold_a_model_are_named() -> None:
    """By affinity, the floor in memory and the share of the footprint; what stands there now does not matter."""
    fleet = Fleet(
        profile("m", 20_000), profile("pair", 40_000, min_devices=2), profile("here", affinity=("b",))
    )
    fleet.card("a", 0, other=20_000)
    fleet.card("a", 1)
    fleet.card("b", 0)
    fleet.card("c", 0, memory=12_000)
    assert entry(fleet, "m").feasible_on == ("a", "b")
    assert entry(fleet, "pair").feasible_on == ("a",)
    assert entry(fleet, "here").feasible_on == ("b",)


def test_the_best_state_of_all_places_is_the_models_state() -> None:
    """Hot on one device counts more than loading or failed on others; each place is told."""
    fleet = Fleet(profile("m"))
    fleet.card("a", m=8000)
    for node, state in (("b", "loading"), ("c", "failed")):
        card = Card(node)
        card.hold("m", state=state)  # type: ignore[arg-type]
        fleet.join_card(card)
    found = entry(fleet, "m")
    assert (found.state, found.loaded) == ("hot", True)
    places = [("a/sim-0", "hot"), ("b/sim-0", "loading"), ("c/sim-0", "failed")]
    assert [one[:2] for one in found.locations] == places
    assert found.locations[0][2] == 8000 * MIB


def test_a_stalled_device_is_told_and_its_model_is_not_loaded() -> None:
    """A model that stands on a stalled device alone cannot be used now."""
    fleet = Fleet(profile("m"))
    card = fleet.card(m=8000)
    fleet.pulse(card, stalled=True)
    found = entry(fleet, "m")
    assert (found.loaded, found.locations[0][1]) == (False, "stalled")


def test_the_smallest_context_is_promised() -> None:
    """Of the profile's limit and what each hot replica can do."""
    fleet = Fleet(profile("m", limit=Limit(context=4096, output=512)))
    card = Card("a")
    card.hold("m", context=2048, capabilities=("tools",))
    fleet.join_card(card)
    found = entry(fleet, "m")
    assert (found.context, found.max_output, found.capabilities) == (2048, 512, ("tools",))


def test_what_stands_on_drained_devices_alone_cannot_be_served() -> None:
    """An edge behind which everything is drained says so to its load balancer; resumed, all is as it was."""
    fleet = Fleet(profile("m", vram_mb=1000))
    card = Card("a")
    card.hold("m")
    card.drained = True
    fleet.join_card(card)
    assert entry(fleet, "m").feasible_on == ()
    card.drained = False
    fleet.repeat(card)
    assert entry(fleet, "m").feasible_on == ("a",)


def test_edges_hear_of_a_change_once_and_of_nothing_else() -> None:
    """A list goes to each edge when it changed; a device that says the same again changes nothing."""
    fleet = Fleet(profile("m"))
    fleet.edge_beat()
    card = fleet.card(m=8000)
    [welcome] = [one for one in to_edge(fleet.sent) if getattr(one, "models", None) and one.models[0].loaded]  # type: ignore[attr-defined]
    assert welcome.catalogue == fleet.broker.state.listing_version  # type: ignore[attr-defined]
    assert to_edge(fleet.repeat(card)) == []


@pytest.mark.parametrize("part", range(2))
def test_lines_taken_as_they_were_are_right(part: int) -> None:
    """Whatever a fleet went through, the list that was kept up to date is the one that is made from nothing."""
    for seed in range(part, 200, 2):
        fleet = draw(seed)
        fleet.broker.edgeside.fleet_changed()
        assert fleet.broker.state.listed == Listing().entries(fleet.view), seed


def test_what_was_refused_is_told_until_it_loads_or_its_profile_changes() -> None:
    """As failed, with the device's reason and when it is tried again; nobody is told that it could be served."""
    fleet = Fleet(profile("m", 1000))
    card = fleet.card("a")
    assert entry(fleet, "m").servable
    fleet.ask("m")
    fleet.decline(card, Code.LOAD_FAILED, "m: There is no '/nope' on this host.")
    fleet.tick(1.0)
    found = entry(fleet, "m")
    assert (found.state, found.servable) == ("failed", False)
    [told] = control.models(fleet.broker, fleet.now).models
    assert told.detail == "a/sim-0: There is no '/nope' on this host."
    assert 58_000 <= told.retry_ms <= 60_000
    for _ in range(31):
        fleet.pulse(card)
        fleet.tick(2.0)
    found = entry(fleet, "m")
    assert (found.state, found.servable) == ("failed", True)
    fleet.broker.reload(Catalogue(models=(profile("m", 2000),)), fleet.now)
    assert entry(fleet, "m").state == "cold"


def test_a_model_that_a_device_would_not_load_when_it_started_is_told_as_failed() -> None:
    """neuron.toml names it and its files are not there: that is no cold model."""
    fleet = Fleet()
    card = Card("a")
    card.hold("m", state="cold", detail="There is no '/nope' on this host.", failures=1)
    fleet.join_card(card)
    found = entry(fleet, "m")
    assert (found.state, found.servable) == ("failed", False)
    [told] = control.models(fleet.broker, fleet.now).models
    assert told.detail == "a/sim-0: There is no '/nope' on this host."


def test_what_a_device_loads_by_itself_can_be_served_once_it_is_hot() -> None:
    """A load that somebody ordered can be waited for; a fleet that sleeps is woken by whoever asks."""
    fleet = Fleet()
    card = Card("a")
    card.hold("m", state="loading")
    fleet.join_card(card)
    assert not entry(fleet, "m").servable
    fleet.become(card, "m", "hot")
    assert entry(fleet, "m").servable
    fleet.pulse(card, stalled=True)
    assert not entry(fleet, "m").servable
    fleet = Fleet(profile("m", 1000))
    card = fleet.card("a")
    fleet.ask("m")
    fleet.accept(card)
    assert (entry(fleet, "m").state, entry(fleet, "m").servable) == ("loading", True)


def test_who_goes_to_sleep_and_who_wakes_is_told_so() -> None:
    """Neither is read from disk or lost: that is no eviction for good, and no load."""
    fleet = Fleet(profile("m", 1000))
    card = fleet.card("a", m=1000)
    fleet.become(card, "m", "asleep")
    fleet.ask("m")
    told = [(one.what, one.subject) for one in fleet.broker.state.decisions.since(0)]
    assert ("sleep", "m on a/sim-0") in told
    assert ("wake", "m on a/sim-0") in told
