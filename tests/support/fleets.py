"""Fleets on the bench: devices that describe themselves as real ones do, profiles in a word, and fleets drawn from a seed.

Sizes are in MiB. A `Card` is what one device process would say of itself; the core hears it only through `Fleet.tell`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from broker_bench import PROMPT, Bench, session_of
from msgspec import Struct
from msgspec.structs import replace

from cortex.broker.catalogue import MIB, Catalogue, Profile
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
    life: int = 0
    """Which process of the device this is."""
    models: dict[str, Model] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.node}/sim-{self.index}"

    @property
    def route(self) -> bytes:
        return f"{self.node}-{self.index}{f'-{self.life}' if self.life else ''}".encode()

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

    def decline(
        self, card: Card, code: Code = Code.BUSY, why: str = "", place: m.Place | None = None
    ) -> list[Effect]:
        """The device refuses and tells the truth."""
        place = place or self.place(card)
        message = m.PlaceRefused(
            command=place.command,
            fault=Fault(code=code, message=why or f"refused: {code}"),
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
