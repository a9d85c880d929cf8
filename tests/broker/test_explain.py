"""`explain` tells what then happens, and changes nothing."""

from __future__ import annotations

import pytest
from broker_bench import kinds, to_edge
from drawn_fleets import draw
from fleets import Card, Fleet, messages_to, profile
from msgspec.structs import replace
from snapshots import snapshot

from cortex.broker.events import ToNeuron
from cortex.broker.explain import explain
from cortex.broker.view import Policy
from cortex.protocol import messages as m
from cortex.protocol.faults import Code

FLEETS = 1000
PARTS = 4


def explained(fleet: Fleet, model: str) -> m.Explanation:
    return explain(fleet.broker.state, model, fleet.now)


def happens(fleet: Fleet, model: str, foretold: m.Explanation) -> None:
    """A client asks for the model; what follows is what was foretold."""
    view = fleet.view
    name = f"r{fleet.number + 1}"
    effects = fleet.ask(model)
    fleet.broker.check()
    told = [one for one in to_edge(effects) if getattr(one, "request", "") == name]
    places = [
        (effect.route, effect.message)
        for effect in effects
        if isinstance(effect, ToNeuron) and isinstance(effect.message, m.Place)
    ]
    match foretold.verdict:
        case "serve":
            [sent] = [one for one in effects if isinstance(one.message, m.Generate)]
            assert sent.message.request == name  # type: ignore[attr-defined]
            assert view.neurons[sent.route].name == foretold.node
            assert not places
        case "join":
            [loading] = told
            assert isinstance(loading, m.Loading)
            assert loading.node == foretold.node
            assert not places
        case "load":
            [loading] = told
            assert isinstance(loading, m.Loading)
            assert loading.node == foretold.node
            loads = [view.neurons[route].name for route, place in places if place.load is not None]
            assert loads[0] == foretold.node
            victims = dict.fromkeys(victim for _, place in places for victim in place.evict)
            assert tuple(victims) == foretold.victims
            assert {place.load.model for _, place in places if place.load is not None} == {model}
        case "wait":
            assert kinds(told) == ["Queued"]
            assert not any(place.evict for _, place in places), "another replica drives nobody out"
        case "refuse":
            [refused] = told
            assert isinstance(refused, m.Refused)
            assert foretold.fault is not None
            if refused.fault.code is Code.MODEL_NOT_FOUND:  # operators are told more: which names are near
                assert foretold.fault.code is Code.MODEL_NOT_FOUND
            else:
                assert refused.fault == foretold.fault
            assert not places


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_explained_is_what_happens(part: int) -> None:
    """Over fleets that some life has gone through, for a model of each: same verdict, device, victims, fault."""
    seen: dict[str, int] = {}
    for seed in range(part, FLEETS, PARTS):
        fleet = draw(seed)
        models = [*fleet.view.profiles, "bare", "unheard-of"]
        model = models[seed % len(models)]
        foretold = explained(fleet, model)
        try:
            happens(fleet, model, foretold)
        except Exception as error:
            error.add_note(f"seed {seed}, {model}: {foretold}")
            raise
        seen[foretold.verdict] = seen.get(foretold.verdict, 0) + 1
    assert min(seen.get(one, 0) for one in ("serve", "join", "load", "wait", "refuse")) >= 10, seen


def test_explaining_changes_nothing() -> None:
    """Nothing that the core knows differs afterwards, for any model."""
    for seed in range(60):
        fleet = draw(seed)
        for model in (*fleet.view.profiles, "bare", "unheard-of"):
            explained(fleet, model)  # what is worked out at the first look may be kept
        before = snapshot(fleet.broker.state)
        for model in (*fleet.view.profiles, "bare", "unheard-of"):
            explained(fleet, model)
        assert snapshot(fleet.broker.state) == before


def test_the_snapshot_sees_a_change() -> None:
    """What the test above rests on."""
    fleet = Fleet(profile("m"))
    card = fleet.card(m=8000)
    before = snapshot(fleet.broker.state)
    fleet.neuron(card).shut["m"] = 7.0
    assert snapshot(fleet.broker.state) != before


# ── in words ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_hot_model_is_explained_with_its_slots() -> None:
    """Where it is, and how many of its slots are taken."""
    fleet = Fleet(profile("m"))
    fleet.card(m=8000)
    fleet.ask("m")
    found = explained(fleet, "m")
    assert (found.verdict, found.node) == ("serve", "a/sim-0")
    assert found.reason == "it is hot on a/sim-0, 1 of 4 slots taken"
    assert found.owner == "broker-0"


def test_a_cold_model_is_explained_with_its_victims() -> None:
    """Who would leave, and that they are idle; and an estimate of the wait."""
    fleet = Fleet(profile("m", 20_480), profile("old", 20_000))
    fleet.card(old=20_000)
    found = explained(fleet, "m")
    assert (found.verdict, found.node, found.victims) == ("load", "a/sim-0", ("old",))
    assert found.reason == "it is cold, and there is room on a/sim-0 once old left, which is idle"
    assert found.wait_ms == 40_000


def test_every_device_is_an_option_with_a_reason() -> None:
    """What could take it, what cannot now, what never can; by name."""
    fleet = Fleet(profile("m", 20_000), profile("kept", 20_000, pinned=True))
    fleet.card("a", memory=12_000)
    fleet.card("b", kept=20_000)
    fleet.card("c")
    found = explained(fleet, "m")
    assert [(one.node, one.verdict) for one in found.options] == [
        ("a/sim-0", "never"),
        ("b/sim-0", "not now"),
        ("c/sim-0", "could take it"),
    ]
    assert "kept is pinned" in found.options[1].reason


def test_victims_that_work_are_options_when_the_turn_has_come() -> None:
    """A placement that drains is told with the devices as it saw them."""
    fleet = Fleet(profile("m", 20_000), profile("old", 20_000))
    fleet.card(old=20_000)
    fleet.ask("old")
    fleet.ask("m")
    assert explained(fleet, "m").options[0].verdict == "not now"
    fleet.now += 20.0
    found = explained(fleet, "m")
    assert (found.verdict, found.victims) == ("load", ("old",))
    assert found.reason.endswith("which must end what runs first")
    assert (found.options[0].verdict, found.options[0].victims) == ("could take it", ("old",))


def test_a_load_under_way_is_explained_with_what_is_left() -> None:
    """By its percentage, or by how long the last load took."""
    fleet = Fleet(profile("m", 10_240))
    card = fleet.card()
    fleet.ask("m")
    fleet.accept(card)
    fleet.now += 5.0
    assert explained(fleet, "m").wait_ms == 15_000
    fleet.from_neuron(m.LoadProgress(command=fleet.place(card).command, model="m", percent=25), card.route)
    found = explained(fleet, "m")
    assert (found.verdict, found.reason) == ("join", "it is loading on a/sim-0, 25 % done")
    assert found.wait_ms == 15_000
    assert found.waiting == 1


def test_a_refusal_is_explained_with_the_fault_that_clients_get() -> None:
    """A model that nobody knows, one that fits nowhere, one whose load failed a moment ago."""
    fleet = Fleet(profile("giant", 99_000), profile("broken"))
    card = fleet.card()
    fleet.ask("broken")
    fleet.accept(card)
    fleet.become(card, "broken", "failed", detail="its file is broken")
    codes = [
        fault.code
        for model in ("nobody", "giant", "broken")
        if (fault := explained(fleet, model).fault) is not None
    ]
    assert codes == [Code.MODEL_NOT_FOUND, Code.DOES_NOT_FIT, Code.LOAD_FAILED]
    assert explained(fleet, "broken").wait_ms == 5000


def test_who_would_come_behind_others_is_told_so() -> None:
    """A slot that has just become free is for those who wait already."""
    fleet = Fleet(profile("m"))
    card = fleet.card(m=8000)
    for _ in range(5):
        fleet.ask("m")
    neuron = fleet.neuron(card)
    neuron.models["m"] = replace(neuron.models["m"], slots=9)  # as if nobody had been served from it yet
    found = explained(fleet, "m")
    assert (found.verdict, found.reason, found.waiting) == ("wait", "others wait before it", 1)


def test_time_alone_settles_a_broker() -> None:
    """A broker that nobody has spoken to for long knows that nobody holds a model, and says so."""
    fleet = Fleet(settled=False)
    assert explained(fleet, "nobody").verdict == "wait"
    fleet.now = 3.0
    assert explained(fleet, "nobody").verdict == "refuse"


def test_who_waits_for_an_unknown_model_is_told_when_the_broker_has_settled() -> None:
    """The core asks to be woken for it, though nothing else is due."""
    fleet = Fleet(settled=False)
    fleet.ask("nobody")
    fleet.now = 2.0
    fleet.edge_beat()
    assert fleet.broker.next_deadline() == 3.0
    assert [one.request for one in messages_to(fleet.tick(1.0), m.Refused)] == ["r1"]


def test_who_waits_for_a_drained_device_is_told_so() -> None:
    """The reason of the whole is that of each device that could hold the model, alike ones together."""
    fleet = Fleet(profile("m", 1000))
    for host in ("a", "b"):
        fleet.card(host)
    for neuron in fleet.broker.neurons.values():
        neuron.drained = True
    told = explained(fleet, "m")
    assert told.verdict == "wait"
    assert told.reason == (
        "no device has room that may be given to it (a/sim-0, b/sim-0: the device is drained until cortex-ctl resume)"
    )


def test_of_many_devices_a_few_are_named() -> None:
    """A sentence stays a sentence in a fleet of a hundred."""
    fleet = Fleet(profile("m", 1000))
    for number in range(9):
        fleet.card(f"h{number}")
    for neuron in fleet.broker.neurons.values():
        neuron.drained = True
    assert explained(fleet, "m").reason.endswith(
        "h3/sim-0: the device is drained until cortex-ctl resume; 5 more)"
    )


def test_the_device_that_comes_nearest_is_named_first() -> None:
    """Of those that can never hold it, of those that lack room now, and by what it would take there."""
    fleet = Fleet(profile("giant", 90_000), profile("m", 20_000), profile("old", pinned=True))
    for host, memory, taken in (("a", 24_000, 0), ("b", 80_000, 70_000), ("c", 48_000, 0)):
        card = Card(host, memory=memory, taken=taken)
        card.hold("old", {"a": 20_000, "b": 2000, "c": 30_000}[host])
        fleet.join_card(card)
    assert explained(fleet, "giant").reason == (
        "giant fits on no device of this fleet (b/sim-0: it needs 90000 MiB, and models may take 80000 MiB here: 10000 "
        "MiB short; c/sim-0: it needs 90000 MiB, and models may take 48000 MiB here: 42000 MiB short; a/sim-0: it needs "
        "90000 MiB, and models may take 24000 MiB here: 66000 MiB short)."
    )
    places = explained(fleet, "m").reason.partition("(")[2].rstrip(")").split("; ")
    assert [place.partition(":")[0] for place in places] == ["c/sim-0", "b/sim-0", "a/sim-0"]
    assert places[0] == "c/sim-0: 2000 MiB short: old is pinned"


def test_of_devices_that_found_it_too_large_the_largest_speaks() -> None:
    """Its words say what would fit there."""
    fleet = Fleet(profile("m", 0))
    small, large = (Card(host, memory=memory) for host, memory in (("a", 24_000), ("b", 48_000)))
    for card in (small, large):
        fleet.join_card(card)
    fleet.ask("m")
    for card in (small, large):
        fleet.decline(card, Code.DOES_NOT_FIT, f"It is too large for {card.node}.")
    refused = explained(fleet, "m").fault
    assert refused is not None
    assert refused.message == "m fits nowhere: b/sim-0 comes nearest: It is too large for b."


def test_a_wait_is_estimated_from_how_long_requests_take() -> None:
    """Behind a busy model's queue, and for room that another's work takes until the turn has come."""
    fleet = Fleet(profile("m", 20_000), profile("n", 20_000), policy=Policy(turn_s=10.0))
    card = fleet.card("a", m=20_000)
    assert explained(fleet, "m").wait_ms == 0
    for number in range(5):
        fleet.ask("m")
        if number < 4:
            fleet.from_neuron(m.Accepted(request=f"r{number + 1}", attempt=1), card.route)
    assert explained(fleet, "m").wait_ms == 0, "nobody knows yet how long one takes"
    fleet.now += 6.0
    fleet.from_neuron(m.Finished(request="r1", attempt=1, totals=(3,)), card.route)
    assert explained(fleet, "m").wait_ms == 6000
    for _ in range(5):
        fleet.ask("m")
    assert explained(fleet, "m").wait_ms == 12_000, "six wait, and four are served at once"
    fleet.now += 4.0
    wanted = explained(fleet, "n")
    assert (wanted.verdict, wanted.wait_ms) == ("wait", 10_000 + int(1000 * 2 * 20_000 / 1024))
    assert "m is busy with" in wanted.reason
    assert "True" not in wanted.reason


def test_a_model_that_is_refused_is_not_said_to_have_a_place() -> None:
    """While nothing is loaded after a failure, a device with room is told with when it is tried again."""
    fleet = Fleet(profile("m", 1000))
    card = fleet.card("a")
    fleet.card("b")
    fleet.ask("m")
    fleet.accept(card)
    fleet.become(card, "m", "failed", detail="its file is broken")
    found = explained(fleet, "m")
    assert found.verdict == "refuse"
    assert {one.verdict for one in found.options} == {"not now"}
    assert found.options[1].reason == "there is room, but no load is tried for 5 s"
    assert found.fault is not None
    assert found.fault.message == (
        "m could not be loaded: its file is broken. It is tried again after 5 s, or at once by `cortex-ctl load m`."
    )


def test_a_model_that_sleeps_is_said_to_sleep() -> None:
    """It is not read from disk: that is no cold one."""
    fleet = Fleet(profile("m", 1000))
    card = Card("a")
    card.hold("m", state="asleep")
    fleet.join_card(card)
    assert explained(fleet, "m").reason == "it is asleep, and there is room on a/sim-0"
