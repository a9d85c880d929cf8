"""Fleets drawn from a seed: any that may be, after some life has gone through it, or full ones for who must leave."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fleets import Card, Fleet, profile

from cortex.broker.catalogue import MIB, Profile, Replicas
from cortex.broker.view import Policy
from cortex.protocol import messages as m
from cortex.protocol.faults import Code
from cortex.protocol.values import Use


def draw(seed: int) -> Fleet:
    """A fleet that some life has gone through, all of it by events: loads, failures, queues, drains, pins."""
    rng = Random(seed)
    profiles = [_draw_profile(rng, f"m{number}") for number in range(rng.randint(3, 12))]
    policy = Policy(
        strategy=rng.choice(["lru", "priority", "cost"]),
        turn_s=rng.choice([1.0, 4.0, 1000.0]),
    )
    fleet = Fleet(*profiles, policy=policy, settled=rng.random() < 0.95, checked=False)
    names = [one.id for one in profiles] + ["bare"]
    cards: list[Card] = []
    for host in range(rng.randint(0, 4) if rng.random() < 0.1 else rng.randint(1, 5)):
        cards += [_draw_card(rng, f"h{host}", index, names, fleet) for index in range(rng.randint(1, 3))]
    for card in cards:
        fleet.join_card(card)
    for _ in range(rng.randint(0, 40)):
        rng.choice(LIFE)(rng, fleet, names)
    return fleet


def _draw_profile(rng: Random, name: str) -> Profile:
    spans = rng.random() < 0.15
    affinity: tuple[str, ...] = ()
    if rng.random() < 0.2:
        affinity = tuple(rng.sample(["h0", "h1", "h2", "h0/sim-1", "h1/sim-0"], rng.randint(1, 2)))
    return profile(
        name,
        rng.choice([1, 2, 4, 6, 8, 12, 99]) * 1000,
        source="" if rng.random() < 0.1 else f"/models/{name}",
        min_devices=2 if spans else 1,
        min_device_vram_mb=rng.choice([0, 0, 0, 0, 10_000]),
        affinity=affinity,
        pinned=rng.random() < 0.06,
        priority=rng.choice([90, 100, 100, 100, 110]),
        ttl=rng.choice([0.0, 0.0, 6.0]),
        min_residency=rng.choice([0.0, 0.0, 3.0, 30.0]),
        load_deadline=rng.choice([5.0, 600.0]),
        replicas=Replicas(min=rng.choice([0, 0, 0, 1]), max=rng.choice([1, 1, 2, 3])),
    )


def _draw_card(rng: Random, node: str, index: int, names: list[str], fleet: Fleet) -> Card:
    card = Card(node, index, memory=rng.choice([8, 12, 16, 16, 24]) * 1000)
    if rng.random() < 0.05:
        card.budget = 0
    card.taken = rng.choice([0, 0, 0, 500, 3000])
    card.drained = rng.random() < 0.05
    left = (card.memory if card.budget is None else card.budget) - card.taken
    for name in rng.sample(names, min(len(names), rng.randint(0, 6))):
        mib = fleet.profile(name).footprint_bytes // MIB or 1000
        if mib <= left and fleet.profile(name).min_devices == 1:
            left -= mib
            state = rng.choices(["hot", "loading", "draining"], [10, 1, 1])[0]
            card.hold(name, mib, state, slots=rng.choice([1, 2, 4]), pinned=rng.random() < 0.08)  # type: ignore[arg-type]
        elif rng.random() < 0.3:
            card.hold(name, mib, rng.choice(["cold", "failed", "asleep"]), slots=0)  # type: ignore[arg-type]
    return card


def _known(rng: Random, fleet: Fleet) -> Card | None:
    routes = list(fleet.broker.neurons)
    return fleet.cards[rng.choice(routes)] if routes else None


def _asks(rng: Random, fleet: Fleet, names: list[str]) -> None:
    model = "unheard-of" if rng.random() < 0.03 else rng.choice(names)
    fleet.ask(model, principal=rng.choice(["", "p", "q"]), priority=rng.choice([0, 0, 1]))


def _answers(rng: Random, fleet: Fleet, _names: list[str]) -> None:
    """A device that was asked to place something answers."""
    asked = [neuron for neuron in fleet.broker.neurons.values() if neuron.asked]
    if not asked:
        return
    neuron = rng.choice(asked)
    card = fleet.cards[neuron.route]
    placement = fleet.broker.state.loads.by_command.get(neuron.asked)
    if placement is None:
        fleet.tell(card)
    elif rng.random() < 0.8:
        fleet.accept(card, placement.messages[neuron.route])
    else:
        code = rng.choice([Code.BUSY, Code.STALE, Code.NO_CAPACITY, Code.DOES_NOT_FIT])
        fleet.decline(card, code, place=placement.messages[neuron.route])


def _loads_end(rng: Random, fleet: Fleet, _names: list[str]) -> None:
    card = _known(rng, fleet)
    for name, model in list(card.models.items()) if card is not None else []:
        assert card is not None
        if model.state == "loading" and rng.random() < 0.7:
            fails = rng.random() < 0.3
            fleet.become(card, name, "failed" if fails else "hot", detail="broken file" if fails else "")
        elif model.state == "draining":
            fleet.leave(card, name)


def _requests_end(rng: Random, fleet: Fleet, _names: list[str]) -> None:
    for neuron in list(fleet.broker.neurons.values()):
        for request, attempt in list(neuron.assigned):
            if rng.random() < 0.4:
                finished = m.Finished(request=request, attempt=attempt, totals=(1,))
                fleet.from_neuron(finished, neuron.route)


def _beats(rng: Random, fleet: Fleet, _names: list[str]) -> None:
    card = _known(rng, fleet)
    if card is not None:
        hot = [name for name, model in card.models.items() if model.state == "hot"]
        use = {name: Use(running=rng.choice([0, 0, 2]), idle_ms=rng.randint(0, 9000)) for name in hot}
        fleet.pulse(card, stalled=rng.random() < 0.1, use=use)


def _time_passes(rng: Random, fleet: Fleet, _names: list[str]) -> None:
    fleet.live(rng.choice([0.2, 1.0, 2.5, 6.0]))


def _progresses(rng: Random, fleet: Fleet, _names: list[str]) -> None:
    for placement in list(fleet.broker.state.loads.by_model.values()):
        message = m.LoadProgress(
            command=placement.command, model=placement.model, percent=rng.randint(0, 100), detail="reading"
        )
        fleet.from_neuron(message, placement.plan.leader.route)


def _drains(rng: Random, fleet: Fleet, _names: list[str]) -> None:
    card = _known(rng, fleet)
    if card is not None:
        card.drained = not card.drained
        fleet.repeat(card)


def _leaves(rng: Random, fleet: Fleet, _names: list[str]) -> None:
    card = _known(rng, fleet)
    if card is not None and rng.random() < 0.4:
        fleet.from_neuron(m.Goodbye(), card.route)


LIFE: list[Callable[[Random, Fleet, list[str]], None]] = [
    *[_asks] * 6,
    *[_answers] * 4,
    *[_loads_end] * 3,
    *[_requests_end] * 2,
    *[_beats] * 2,
    *[_time_passes] * 3,
    _progresses,
    _drains,
    _leaves,
]


def draw_full(seed: int, *, cards: int = 12) -> Fleet:
    """Devices full of models that differ in everything that eviction weighs; the model `cold` is not loaded."""
    rng = Random(seed)
    profiles = [
        profile(
            f"m{number}",
            rng.choice([500, 1000, 2000, 4000, 8000]),
            priority=rng.choice([80, 90, 100]),
            min_residency=rng.choice([0.0, 0.0, 0.0, 50.0]),
            replicas=Replicas(min=rng.choice([0, 0, 2])),
        )
        for number in range(rng.randint(10, 60))
    ]
    fleet = Fleet(*profiles, profile("cold", rng.choice([3000, 6000, 11_000])), checked=False)
    for number in range(cards):
        card = Card(f"h{number // 4}", number % 4, memory=rng.choice([12_000, 24_000]))
        left = card.memory
        for one in rng.sample(profiles, rng.randint(0, len(profiles))):
            if one.vram_mb <= left:
                left -= one.vram_mb
                card.hold(one.id, one.vram_mb, pinned=rng.random() < 0.03)
        card.taken = max(0, left - 2000)
        fleet.join_card(card)
    fleet.now += 20.0
    working = rng.choice([0.0, 0.3, 0.9])
    for neuron in fleet.broker.neurons.values():
        for name in neuron.models:
            fleet.view.usage.asked(name, fleet.now - rng.choice([0.0, 5.0, 900.0]))
            neuron.used[name] = fleet.now - rng.choice([0, 1, 2, 3, 10, 15])
            neuron.since[name] -= rng.choice([0.0, 100.0])
            if rng.random() < working:
                neuron.foreign[name] = 1
    return fleet
