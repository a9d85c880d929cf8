"""Where a model may go, who would leave, and why not elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from fleets import Card, Fleet, profile

from cortex.broker.placement import Plan, could_ever, looks
from cortex.broker.view import Policy, Strategy
from cortex.protocol import messages as m
from cortex.protocol.values import Use


def where(plan: Plan | None) -> list[str]:
    """The devices that load, the leader first."""
    return [part.neuron.name for part in plan.parts if part.loads] if plan is not None else []


def used(fleet: Fleet, card: Card, model: str, ago: float) -> None:
    """The model was last used there so long ago."""
    fleet.neuron(card).used[model] = fleet.now - ago


# ── who is able ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"affinity": ("b", "c/sim-0")}, "the profile's affinity is b, c/sim-0"),
        ({"source": ""}, "models.toml names no source for it, and this device does not know it"),
        ({"min_device_vram_mb": 30_000}, "the profile asks for a device of at least 30000 MiB"),
        ({"vram_mb": 25_000}, "it needs 25000 MiB, and models may take 24000 MiB here: 1000 MiB short"),
    ],
)
def test_a_device_that_can_never_hold_a_model_says_why(more: dict[str, Any], reason: str) -> None:
    """The reason names what is wanted and what is there, and no plan goes there."""
    fleet = Fleet(profile("m", **more))
    card = fleet.card()
    assert fleet.reason("m", card) == reason
    assert fleet.plan("m") is None
    assert could_ever(fleet.view, fleet.profile("m")) == (False, False)


def test_a_device_without_a_budget_takes_no_placements() -> None:
    """As one whose operator serves fixed models alone."""
    fleet = Fleet(profile("m"))
    card = Card("a", budget=0)
    fleet.join_card(card)
    assert fleet.reason("m", card) == "it takes no placements"


def test_a_model_that_a_device_knows_itself_needs_no_source() -> None:
    """A cold model of the neuron's own settings is loaded there, with the footprint that it estimates."""
    fleet = Fleet()
    card = Card("a")
    card.hold("own", 9000, "cold", slots=0)
    fleet.join_card(card)
    other = fleet.card("b")
    assert where(fleet.plan("own")) == ["a/sim-0"]
    assert (
        fleet.reason("own", other) == "models.toml names no source for it, and this device does not know it"
    )


def test_affinity_names_hosts_and_single_devices() -> None:
    """HOST lets all its devices take it, HOST/KIND-INDEX this one alone."""
    fleet = Fleet(profile("host", affinity=("b",)), profile("device", affinity=("b/sim-1",)))
    for node, index in (("a", 0), ("b", 0), ("b", 1)):
        fleet.card(node, index)
    able = {
        name: [
            one.neuron.name
            for one in looks(fleet.view, fleet.profile(name), fleet.now)
            if one.victims is not None
        ]
        for name in ("host", "device")
    }
    assert able == {"host": ["b/sim-0", "b/sim-1"], "device": ["b/sim-1"]}


# ── not now ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_device_that_is_closed_for_now_says_why() -> None:
    """Starting, stalled, drained, asked, occupied by the model itself, shut after a refusal: each in words."""
    fleet = Fleet(profile("m"), profile("other"))
    starting = Card("starting")
    fleet.cards[starting.route] = starting
    fleet.from_neuron(m.Register(node="starting", device=starting.device()), starting.route)
    stalled, drained, asked, holding, shut = (
        fleet.card(name) for name in ("stalled", "drained", "asked", "holding", "shut")
    )
    fleet.pulse(stalled, stalled=True)
    drained.drained = True
    fleet.tell(drained)
    holding.hold("m", state="draining")
    fleet.tell(holding)
    fleet.neuron(shut).shut["m"] = fleet.now + 1.0
    fleet.neuron(asked).asked = "c"
    assert [fleet.reason("m", card) for card in (starting, stalled, drained, asked, holding, shut)] == [
        "the device is starting",
        "the device makes no progress",
        "the device is drained until cortex-ctl resume",
        "another placement is being answered",
        "it is draining here",
        "its last placement here was refused or failed",
    ]
    assert fleet.plan("m") is None
    assert could_ever(fleet.view, fleet.profile("m")) == (True, True)
    fleet.neuron(asked).asked = ""


def test_a_device_that_left_could_hold_it_when_it_is_back() -> None:
    """What is absent is told from what can never be."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    fleet.from_neuron(m.Goodbye(), card.route)
    assert could_ever(fleet.view, fleet.profile("m")) == (False, True)


@pytest.mark.parametrize(
    ("more", "held", "reason"),
    [
        ({"pinned": True}, {}, "8000 MiB short: old is pinned"),
        ({}, {"pinned": True}, "8000 MiB short: old is pinned"),
        ({"priority": 200}, {}, "8000 MiB short: old has the higher priority 200"),
        ({"min_residency": 30.0}, {}, "8000 MiB short: old was loaded only 10 s ago and stays for 30 s"),
    ],
)
def test_who_may_not_leave_is_named(more: dict[str, Any], held: dict[str, Any], reason: str) -> None:
    """Pinned here or in models.toml, more important, or loaded too short a time ago."""
    fleet = Fleet(profile("m", 16_000), profile("old", 16_000, **more))
    card = Card("a")
    card.hold("old", 16_000, **held)
    fleet.join_card(card)
    fleet.now += 10.0
    assert fleet.reason("m", card) == reason
    assert fleet.plan("m") is None


@pytest.mark.parametrize("how", ["ours", "others", "waiters"])
def test_who_works_leaves_only_when_it_may_be_drained(how: str) -> None:
    """Requests of ours, requests of other brokers, or somebody who waits for it keep a model where it is."""
    fleet = Fleet(profile("m", 16_000), profile("old", 16_000))
    card = fleet.card(old=16_000)
    if how == "ours":
        fleet.ask("old")
    elif how == "others":
        fleet.pulse(card, use={"old": Use(running=1, idle_ms=0)})
    else:
        fleet.neuron(card).full.add("old")
        fleet.ask("old")
    assert "old is busy" in fleet.reason("m", card)
    assert fleet.plan("m") is None
    plan = fleet.plan("m", drain=True)
    assert plan is not None
    assert (plan.victims, plan.drain) == (("old",), True)


def test_measured_free_memory_counts_not_the_budget() -> None:
    """What somebody else took on the device is not there, whatever the ledger says."""
    fleet = Fleet(profile("m", 16_000))
    card = Card("a", taken=10_000)
    fleet.join_card(card)
    assert fleet.reason("m", card) == "2000 MiB short"


# ── the best ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_room_beats_an_eviction_and_an_empty_device_beats_a_shared_one() -> None:
    """Nobody is driven out while there is room; large residents keep company with nobody."""
    fleet = Fleet(profile("m"), profile("a"), profile("b"))
    fleet.card("full", a=8000, b=8000, c=8000)
    fleet.card("shared", d=8000)
    fleet.card("empty")
    assert where(fleet.plan("m")) == ["empty/sim-0"]


def test_a_model_wakes_where_it_sleeps() -> None:
    """Among devices with room, and among full ones if nobody has to wait for it longer; never in place of a free one."""
    fleet = Fleet(profile("m", 16_000), profile("old", min_residency=0), policy=Policy(strategy="lru"))
    for node in ("a", "b"):
        fleet.card(node)
    sleeping = Card("c", index=1)
    sleeping.hold("m", 16_000, "asleep", slots=0)
    fleet.join_card(sleeping)
    assert where(fleet.plan("m")) == ["c/sim-1"]
    sleeping.hold("old", 16_000)
    fleet.tell(sleeping)
    assert where(fleet.plan("m")) == ["a/sim-0"]
    for card in list(fleet.cards.values()):
        card.hold("old", 16_000)
        fleet.tell(card)
        used(fleet, card, "old", ago=1.0 if card is sleeping else 1000.0)
    fleet.now += 1000.0
    plan = fleet.plan("m")
    assert where(plan) == ["c/sim-1"]
    assert plan is not None
    assert plan.victims == ("old",)


def test_of_empty_devices_the_smaller_takes_it() -> None:
    """The large one stays free for a model that needs it."""
    fleet = Fleet(profile("m"))
    fleet.card("large", memory=48_000)
    fleet.card("small", memory=12_000)
    assert where(fleet.plan("m")) == ["small/sim-0"]


def test_names_decide_between_equals() -> None:
    """Every broker that sees the same chooses the same."""
    fleet = Fleet(profile("m"))
    for node in ("b", "a", "c"):
        fleet.card(node)
    assert where(fleet.plan("m")) == ["a/sim-0"]


def test_the_fewest_leave_among_equals() -> None:
    """One large victim rather than two small ones of the same age."""
    fleet = Fleet(profile("m", 16_000), profile("x"), profile("y"), profile("z"))
    two = fleet.card("a", x=12_000, y=12_000)
    one = fleet.card("b", z=24_000)
    for card, name in ((two, "x"), (two, "y"), (one, "z")):
        used(fleet, card, name, 50.0)
    plan = fleet.plan("m")
    assert plan is not None
    assert (where(plan), plan.victims) == (["b/sim-0"], ("z",))


@pytest.mark.parametrize(("strategy", "victim"), [("lru", "old"), ("priority", "minor"), ("cost", "unloved")])
def test_the_strategy_names_the_victim_among_devices(strategy: Strategy, victim: str) -> None:
    """lru: the longest unused; priority: the least important; cost: the one whose loss costs least."""
    fleet = Fleet(
        profile("m", 24_000),
        profile("old", 24_000),
        profile("minor", 24_000, priority=50),
        profile("unloved", 24_000),
        policy=Policy(strategy=strategy),
    )
    cards = {name: fleet.card(name, **{name: 24_000}) for name in ("old", "minor", "unloved")}
    for name, ago in (("old", 90.0), ("minor", 20.0), ("unloved", 10.0)):
        used(fleet, cards[name], name, ago)
    for name in ("old", "minor"):
        fleet.view.usage.asked(name, fleet.now)
    plan = fleet.plan("m")
    assert plan is not None
    assert plan.victims == (victim,)


def test_an_extra_replica_leaves_first() -> None:
    """A copy too many is dearer to nobody, though it was used a moment ago; a copy that is wanted is no extra."""
    fleet = Fleet(profile("m", 24_000), profile("twice", 24_000), profile("old", 24_000))
    for node in ("a", "b"):
        used(fleet, fleet.card(node, twice=24_000), "twice", 0.0)
    used(fleet, fleet.card("c", old=24_000), "old", 90.0)
    plan = fleet.plan("m")
    assert plan is not None
    assert plan.victims == ("twice",)


# ── several devices ──────────────────────────────────────────────────────────────────────────────────────────────


def test_every_device_holds_its_share() -> None:
    """A model over two devices needs half its footprint on each, and two of one host; the lowest index leads."""
    fleet = Fleet(profile("wide", 40_000, min_devices=2))
    fleet.card("alone")
    fleet.card("a", 1)
    assert fleet.plan("wide") is None
    assert could_ever(fleet.view, fleet.profile("wide")) == (False, False)
    fleet.card("a", 0)
    plan = fleet.plan("wide")
    assert plan is not None
    assert (where(plan), plan.devices) == (["a/sim-0", "a/sim-1"], (0, 1))
    fleet.ask("wide")
    loads = [place.load for place in fleet.places()]
    assert all(load is not None and load.footprint_bytes == 20_000 * 2**20 for load in loads)
    assert all(load is not None and load.devices == (0, 1) for load in loads)


def test_the_cheapest_devices_of_a_host_are_taken() -> None:
    """Of three, the two where nobody has to leave."""
    fleet = Fleet(profile("wide", 40_000, min_devices=2), profile("x", 20_000))
    fleet.card("a", 0, x=20_000)
    fleet.card("a", 1)
    fleet.card("a", 2)
    plan = fleet.plan("wide")
    assert plan is not None
    assert (plan.devices, plan.victims) == ((1, 2), ())


def test_a_victim_that_spans_devices_leaves_all_of_them() -> None:
    """Who makes room on one device is unloaded on the other too, in the same command."""
    fleet = Fleet(profile("m", 16_000), profile("wide", 40_000, min_devices=2))
    cards = [Card("a", index) for index in (0, 1)]
    for index, card in enumerate(cards):
        card.hold("wide", 20_000, slots=4 if not index else 0, devices=(0, 1))
        fleet.join_card(card)
    plan = fleet.plan("m")
    assert plan is not None
    assert {part.neuron.name: (part.evict, part.loads) for part in plan.parts} == {
        "a/sim-0": (("wide",), True),
        "a/sim-1": (("wide",), False),
    }
    assert plan.victims == ("wide",)


def test_a_spanning_victim_is_busy_where_its_leader_is() -> None:
    """The share on the second device shows no requests of its own, and stays all the same."""
    fleet = Fleet(profile("m", 16_000, affinity=("a/sim-1",)), profile("wide", 40_000, min_devices=2))
    cards = [Card("a", index) for index in (0, 1)]
    for index, card in enumerate(cards):
        card.hold("wide", 20_000, slots=4 if not index else 0, devices=(0, 1))
        fleet.join_card(card)
    fleet.ask("wide")
    assert fleet.plan("m") is None
    assert "wide is busy" in fleet.reason("m", cards[1])
