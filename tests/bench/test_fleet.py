"""What the fleet brain costs: one event, one decision, one listing. Measured, never asserted.

`make bench` runs it. Everything is processor time of the core alone, the best of several rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from core_cost import core_events_per_s, seconds
from figures import Figures
from fleets import Card, Fleet, profile
from msgspec.structs import replace

from cortex.broker import control
from cortex.broker.explain import explain
from cortex.broker.listing import Listing
from cortex.broker.routing import Load, Serve, Wait, Want, choose
from cortex.broker.view import Policy, Strategy

pytestmark = pytest.mark.bench

DEVICES, MODELS = 100, 200
STRATEGIES: tuple[Strategy, ...] = ("lru", "priority", "cost")


@pytest.fixture(scope="module")
def figures() -> Iterator[Figures]:
    collected = Figures("fleet")
    yield collected
    collected.write()


def test_core_events(figures: Figures) -> None:
    """Submit, accept, finish through a core with eight devices."""
    figures.add("core_events_per_s", core_events_per_s(), "submit, accepted, finished; 8 devices")


def crowd(strategy: Strategy = "lru", *, busy: bool = False) -> Fleet:
    """100 devices, each full with four models or so, all idle or all busy; 200 models are written down."""
    rng = Random(7)
    profiles = [profile(f"m{number}", rng.choice([4000, 6000, 8000])) for number in range(MODELS - 1)]
    fleet = Fleet(*profiles, profile("cold", 10_000), policy=Policy(strategy=strategy), checked=False)
    for number in range(DEVICES):
        card = Card(f"h{number // 8}", number % 8)
        left = card.memory
        for one in rng.sample(profiles, len(profiles)):
            if one.vram_mb <= left:
                left -= one.vram_mb
                card.hold(one.id, one.vram_mb)
        fleet.join_card(card)
    for neuron in fleet.broker.neurons.values():
        for name in neuron.models:
            fleet.view.usage.asked(name, fleet.now + rng.random())
            neuron.used[name] = fleet.now + rng.random()
            if busy:
                neuron.load[name] = 1
    fleet.now += 60.0
    return fleet


def test_deciding_to_serve(figures: Figures) -> None:
    """The model is hot on 100 devices, some of which have seen the conversation's beginning."""
    fleet = Fleet(*[profile(f"m{number}") for number in range(MODELS)], checked=False)
    rng = Random(7)
    for number in range(DEVICES):
        card = Card(f"h{number // 8}", number % 8)
        card.hold("m0", slots=16)
        card.hold(f"m{number + 1}")
        fleet.join_card(card)
        fleet.broker.neurons[card.route].load["m0"] = rng.randint(0, 12)
    matched = {card: rng.random() for card in rng.sample(sorted(fleet.cards), 6)}
    bare, known = Want("m0"), Want("m0", matched)
    assert isinstance(choose(bare, fleet.view, fleet.now), Serve)
    took = seconds(lambda: choose(bare, fleet.view, fleet.now), 200)
    figures.add("decision_serve_us", 1e6 * took, f"{DEVICES} replicas, {MODELS} models")
    took = seconds(lambda: choose(known, fleet.view, fleet.now), 200)
    figures.add("decision_serve_matched_us", 1e6 * took, "the same, and 6 replicas have seen its beginning")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_deciding_to_load(figures: Figures, strategy: Strategy) -> None:
    """A cold model, and every device is full with idle ones."""
    fleet = crowd(strategy)
    want = Want("cold")
    assert isinstance(choose(want, fleet.view, fleet.now), Load)
    took = seconds(lambda: choose(want, fleet.view, fleet.now), 50)
    figures.add(f"decision_load_{strategy}_us", 1e6 * took, f"{DEVICES} devices, each full with idle models")
    if strategy == Policy().strategy:
        figures.add(
            "decision_load_us", 1e6 * took, f"the same: {strategy} is what holds where nothing is said"
        )


def test_deciding_to_wait(figures: Figures) -> None:
    """A cold model, and every device is full with busy ones: asked again with every event while somebody waits."""
    fleet = crowd(busy=True)
    want = Want("cold")
    assert isinstance(choose(want, fleet.view, fleet.now), Wait)
    took = seconds(lambda: choose(want, fleet.view, fleet.now), 50)
    figures.add("decision_wait_us", 1e6 * took, f"{DEVICES} devices, each full with busy models")
    want = Want("cold", waited=60.0)
    took = seconds(lambda: choose(want, fleet.view, fleet.now), 50)
    figures.add("decision_turn_us", 1e6 * took, "the same, and its queue's turn has come: who works may go")


def test_listings(figures: Figures) -> None:
    """What edges and operators are told about 100 devices and 200 models."""
    fleet = crowd()
    core, state = fleet.broker, fleet.broker.state
    took = seconds(lambda: Listing().entries(fleet.view), 5)
    figures.add("listing_ms", 1e3 * took, f"{DEVICES} devices, {MODELS} models, from nothing")
    card = next(iter(fleet.cards.values()))
    name = next(iter(card.models))

    def changes() -> None:
        card.models[name] = replace(card.models[name], slots=card.models[name].slots % 9 + 1)
        state.edges.clear()
        fleet.tell(card)

    figures.add("change_ms", 1e3 * seconds(changes, 5), "one device says that its residency changed")
    figures.add(
        "ready_ms", 1e3 * seconds(lambda: fleet.repeat(card), 5), "one device says what it holds, as before"
    )
    figures.add("beat_us", 1e6 * seconds(lambda: fleet.pulse(card), 50), "one device beats")
    figures.add("tick_ms", 1e3 * seconds(lambda: core._look_after(fleet.now), 5), "once a second")
    figures.add("explain_ms", 1e3 * seconds(lambda: explain(state, "cold", fleet.now), 5), "a cold model")
    figures.add("models_ms", 1e3 * seconds(lambda: control.models(core, fleet.now), 5), "for cortex-ctl")
