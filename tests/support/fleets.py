"""Fleets on the bench: devices that describe themselves as real ones do, profiles in a word, and fleets drawn from a seed.

Sizes are in MiB. A `Card` is what one device process would say of itself; the core hears it only through `Fleet.tell`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from random import Random
from typing import Any

from broker_bench import PROMPT, Bench, session_of
from msgspec import Struct
from msgspec.structs import replace

from cortex.broker.catalogue import MIB, Catalogue, Profile, Replicas
from cortex.broker.core import Broker
from cortex.broker.events import Effect, FromCtl, FromNeuron, ToEdge, ToNeuron
from cortex.broker.fleet import OCCUPYING, Neuron
from cortex.broker.placement import Plan, looks, plan
from cortex.broker.view import Policy, View
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Device, Model, ModelState, Use


def profile(name: str, mib: int = 8000, **more: Any) -> Profile:
    """A model whose files are known everywhere; young ones may be evicted unless told otherwise."""
    return Profile(id=name, **{"source": f"/models/{name}", "vram_mb": mib, "min_residency": 0.0, **more})


@dataclass(slots=True)
class Card:
    """One device process, as it would describe itself."""

    node: str
    index: int = 0
    memory: int = 24_000
    budget: int | None = None
    taken: int = 0
    """Memory that somebody else has."""
    version: int = 0
    drained: bool = False
    cycles: int = 0
    models: dict[str, Model] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.node}/sim-{self.index}"

    @property
    def route(self) -> bytes:
        return f"{self.node}-{self.index}".encode()

    def hold(
        self, name: str, mib: int = 8000, state: ModelState = "hot", *, slots: int = 4, **more: Any
    ) -> None:
        """From now on it has this model, in this state."""
        self.models[name] = Model(id=name, state=state, slots=slots, footprint_bytes=mib * MIB, **more)

    def device(self) -> Device:
        budget = self.memory if self.budget is None else self.budget
        reserved = sum(one.footprint_bytes for one in self.models.values() if one.state in OCCUPYING)
        return Device(
            kind="sim",
            index=self.index,
            memory_bytes=self.memory * MIB,
            budget_bytes=budget * MIB,
            free_bytes=max(0, (budget - self.taken) * MIB - reserved),
        )


class Fleet(Bench):
    """A bench whose neurons have memory. Every effect since the last `forget` is in `sent`."""

    def __init__(
        self,
        *profiles: Profile,
        policy: Policy | None = None,
        settled: bool = True,
        name: str = "broker-0",
        checked: bool = True,
    ) -> None:
        self.broker = Broker(
            name, 0.0, policy=policy, catalogue=Catalogue(models=profiles) if profiles else None
        )
        self.now = 100.0 if settled else 0.0
        self.checked = checked
        self.cards: dict[bytes, Card] = {}
        self.sent: list[Effect] = []
        self.number = 0

    def handle(self, event: Any) -> list[Effect]:
        effects = self.broker.handle(event, self.now)
        return self._kept(effects)

    def tick(self, after: float = 0.0) -> list[Effect]:
        self.now += after
        return self._kept(self.broker.tick(self.now))

    def live(self, seconds: float, step: float = 0.5) -> list[Effect]:
        """Time passes while every device beats and every edge is heard."""
        effects: list[Effect] = []
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(end, self.now + step)
            for neuron in list(self.broker.neurons.values()):
                effects += self.pulse(self.cards[neuron.route])
            for route in list(self.broker.edges):
                effects += self.edge_beat(route=route)
            effects += self.tick()
        return effects

    def _kept(self, effects: list[Effect]) -> list[Effect]:
        if self.checked:
            self.broker.check()
        self.sent += effects
        return effects

    @property
    def view(self) -> View:
        return self.broker.state.view

    def profile(self, model: str) -> Profile:
        return self.view.profile(model)

    def neuron(self, card: Card) -> Neuron:
        return self.broker.neurons[card.route]

    # ── devices ──────────────────────────────────────────────────────────────────────────────────────────────────

    def card(self, node: str = "a", index: int = 0, memory: int = 24_000, **models: int) -> Card:
        """A device joins, with these hot models, each of so many MiB."""
        card = Card(node, index, memory)
        for name, mib in models.items():
            card.hold(name, mib)
        self.join_card(card)
        return card

    def join_card(self, card: Card) -> None:
        self.cards[card.route] = card
        self.from_neuron(m.Register(node=card.node, device=card.device()), card.route)
        self.tell(card)

    def tell(self, card: Card) -> list[Effect]:
        """The device's residency changed: it says so."""
        card.version += 1
        return self.repeat(card)

    def repeat(self, card: Card) -> list[Effect]:
        """The device says again what it holds."""
        models = tuple(card.models.values())
        message = m.Ready(
            version=card.version,
            device=card.device(),
            models=models,
            drained=card.drained,
            cycles=card.cycles,
        )
        return self.from_neuron(message, card.route)

    def pulse(self, card: Card, *, stalled: bool = False, use: dict[str, Use] | None = None) -> list[Effect]:
        """A beat that names exactly what the broker gave this device."""
        neuron = self.broker.neurons[card.route]
        message = m.Heartbeat(
            route=card.route,
            turn=neuron.turn + 1,
            phase="idle",
            stalled=stalled,
            live=tuple(neuron.assigned),
            use=use or {},
        )
        return self.handle(FromNeuron(b"pulse", session_of(card.route), message))

    # ── placements ───────────────────────────────────────────────────────────────────────────────────────────────

    def places(self, card: Card | None = None) -> list[m.Place]:
        """What devices were asked to place since the last `forget`."""
        return [
            effect.message
            for effect in self.sent
            if isinstance(effect, ToNeuron)
            and isinstance(effect.message, m.Place)
            and (card is None or effect.route == card.route)
        ]

    def place(self, card: Card) -> m.Place:
        """The last thing that this device was asked to place."""
        return self.places(card)[-1]

    def forget(self) -> None:
        self.sent.clear()

    def accept(self, card: Card, place: m.Place | None = None) -> list[Effect]:  # type: ignore[override]
        """The device does as it was asked: victims go at once, what it loads is loading."""
        place = place or self.place(card)
        for victim in place.evict:
            card.models.pop(victim, None)
        if place.load is not None:
            load = place.load
            lead = not load.devices or card.index == min(load.devices)
            card.hold(
                load.model,
                load.footprint_bytes // MIB,
                "loading",
                slots=4 if lead else 0,
                pinned=load.pinned,
                devices=load.devices,
            )
            card.cycles += 1
        card.version += 1
        effects = self.from_neuron(m.Placed(command=place.command, version=card.version), card.route)
        return effects + self.repeat(card)

    def decline(self, card: Card, code: Code = Code.BUSY, place: m.Place | None = None) -> list[Effect]:
        """The device refuses and tells the truth."""
        place = place or self.place(card)
        message = m.PlaceRefused(
            command=place.command,
            fault=Fault(code=code, message=f"refused: {code}"),
            version=card.version,
            models=tuple(card.models.values()),
            device=card.device(),
        )
        return self.from_neuron(message, card.route)

    def become(self, card: Card, model: str, state: ModelState, **more: Any) -> list[Effect]:
        """A model changes its state on a device."""
        card.models[model] = replace(card.models[model], state=state, **more)
        return self.tell(card)

    def leave(self, card: Card, model: str) -> list[Effect]:
        del card.models[model]
        return self.tell(card)

    def load_all(self) -> None:
        """Every placement asked for is accepted, and what loads becomes hot, until nothing is asked any more."""
        for _ in range(50):
            asked = [neuron for neuron in self.broker.neurons.values() if neuron.asked]
            loading = [
                (card, name)
                for card in self.cards.values()
                for name, model in card.models.items()
                if model.state == "loading" and card.route in self.broker.neurons
            ]
            if not asked and not loading:
                return
            for neuron in asked:
                if neuron.asked:
                    placement = self.broker.state.loads.by_command[neuron.asked]
                    self.accept(self.cards[neuron.route], placement.messages[neuron.route])
            for card, name in loading:
                self.become(card, name, "hot")
        raise AssertionError("it never became quiet")

    # ── requests and orders ──────────────────────────────────────────────────────────────────────────────────────

    def ask(self, model: str, **more: Any) -> list[Effect]:
        """A client asks for a model; requests are r1, r2, and so on."""
        self.number += 1
        message = m.Submit(request=f"r{self.number}", attempt=1, model=model, **more)
        return self.from_edge(message, payload=PROMPT)

    def order(self, verb: m.Verb, model: str = "", node: str = "", command: str = "") -> m.Operation:
        """An operator orders something."""
        command = command or f"{verb}-{model}-{node}"
        self.handle(FromCtl(m.Command(command=command, verb=verb, model=model, node=node)))
        return self.operation(command)

    def operation(self, command: str) -> m.Operation:
        return self.broker.operations.orders[command].describe()

    # ── decisions ────────────────────────────────────────────────────────────────────────────────────────────────

    def plan(self, model: str, *, drain: bool = False) -> Plan | None:
        """Where the model would go, by the exhaustive ranking."""
        wanted = self.profile(model)
        return plan(self.view, wanted, looks(self.view, wanted, self.now, drain=drain), drain=drain)

    def reason(self, model: str, card: Card) -> str:
        """What is said of a device as a place for the model."""
        [found] = looks(self.view, self.profile(model), self.now, only=card.name)
        return found.reason


def messages_to(effects: list[Effect], kind: type[Struct]) -> list[Any]:
    """All messages of one kind among the effects."""
    return [effect.message for effect in effects if isinstance(effect.message, kind)]


def told(effects: list[Effect], request: str) -> list[str]:
    """The kinds of what an edge is told of one request."""
    return [
        type(effect.message).__name__
        for effect in effects
        if isinstance(effect, ToEdge) and getattr(effect.message, "request", None) == request
    ]


# ── fleets drawn from a seed ─────────────────────────────────────────────────────────────────────────────────────


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
        fleet.decline(card, code, placement.messages[neuron.route])


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


def snapshot(value: Any, seen: dict[int, int] | None = None) -> Any:
    """All that can be reached from here, as plain tuples that compare: what a pure question must leave as it was."""
    seen = {} if seen is None else seen
    if callable(value) or isinstance(value, (str, bytes, int, float, type(None), Struct)):
        return "callable" if callable(value) else value
    if id(value) in seen:
        return ("seen", seen[id(value)])
    seen[id(value)] = len(seen)
    if isinstance(value, dict):
        return tuple((snapshot(key, seen), snapshot(one, seen)) for key, one in value.items())
    if isinstance(value, (set, frozenset)):
        return tuple(sorted(map(repr, value)))
    if is_dataclass(value):
        return tuple(snapshot(getattr(value, one.name, None), seen) for one in fields(value))
    if hasattr(value, "__dict__"):
        return tuple((name, snapshot(one, seen)) for name, one in vars(value).items())
    return tuple(snapshot(one, seen) for one in value)
