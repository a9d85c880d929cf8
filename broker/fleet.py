"""Who is there: neurons and edges as last heard. Beliefs only; the neuron is the authority on what it holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from cortex.broker.waiting import Key
from cortex.protocol.messages import CatalogueEntry, Heartbeat
from cortex.protocol.values import Device, Model, Phase


@dataclass(slots=True)
class Edge:
    """An edge worker, and the catalogue version that it was last sent."""

    route: bytes
    session: bytes
    seen: float
    name: str = "?"
    catalogue: int = -1
    requests: set[Key] = field(default_factory=set)


@dataclass(slots=True)
class Neuron:
    """One device process. `assigned` holds what this broker sent it and has not seen end."""

    route: bytes
    session: bytes
    node: str
    device: Device
    seen: float
    state: Literal["registered", "ready"] = "registered"
    version: int = -1
    models: dict[str, Model] = field(default_factory=dict)
    assigned: dict[Key, str] = field(default_factory=dict)
    load: Counter[str] = field(default_factory=Counter)
    full: set[str] = field(default_factory=set)
    """Models that it just refused for lack of room; cleared by its next word on the matter."""
    strays: dict[Key, float] = field(default_factory=dict)
    """Requests it reports as live that this broker did not send: since when."""
    turn: int = -1
    phase: Phase = "starting"
    stalled: bool = False
    detail: str = ""
    tokens: int = 0
    tokens_per_s: float = 0.0
    dispatches: int = 0

    @property
    def name(self) -> str:
        return f"{self.node}/{self.device.kind}-{self.device.index}"

    def free(self, model: str) -> int:
        """Slots that are free for a model, as far as this broker knows."""
        held = self.models.get(model)
        if held is None or held.state != "hot" or self.state != "ready" or self.stalled or model in self.full:
            return 0
        return held.slots - self.load[model]

    def assign(self, key: Key, model: str) -> None:
        self.assigned[key] = model
        self.load[model] += 1
        self.dispatches += 1

    def release(self, key: Key) -> None:
        """Give a slot back: room again, whatever was refused before."""
        model = self.assigned.pop(key)
        self.load[model] -= 1
        if not self.load[model]:
            del self.load[model]
        self.full.discard(model)

    def hold(self, models: tuple[Model, ...]) -> None:
        """Believe what the neuron says about its residency."""
        self.models = {model.id: model for model in models}

    def warm(self) -> None:
        """It serves from now on; its next beat says the same."""
        self.state = "ready"
        if self.phase in ("starting", "loading"):
            self.phase, self.detail = "idle", ""

    def beat(self, message: Heartbeat, now: float) -> None:
        """Note a heartbeat."""
        if now > self.seen and message.tokens >= self.tokens:
            rate = (message.tokens - self.tokens) / (now - self.seen)
            self.tokens_per_s = rate if not self.tokens_per_s else 0.5 * (rate + self.tokens_per_s)
        self.seen = now
        self.tokens = message.tokens
        self.turn = message.turn
        self.phase = message.phase
        self.stalled = message.stalled
        self.detail = message.detail
        self.full.clear()


def catalogue_of(neurons: list[Neuron], known: set[str]) -> tuple[CatalogueEntry, ...]:
    """Every model that was ever held, and where it is now."""
    places: dict[str, list[tuple[Neuron, Model]]] = {name: [] for name in known}
    for neuron in neurons:
        for model in neuron.models.values():
            places[model.id].append((neuron, model))
    return tuple(
        CatalogueEntry(
            id=name,
            loaded=any(_serves(neuron, model) for neuron, model in held),
            context=min((model.context for _, model in held if model.context), default=0),
            capabilities=tuple(sorted({item for _, model in held for item in model.capabilities})),
            locations=tuple(sorted((neuron.name, _word(neuron, model)) for neuron, model in held)),
        )
        for name, held in sorted(places.items())
    )


def _serves(neuron: Neuron, model: Model) -> bool:
    return neuron.state == "ready" and not neuron.stalled and model.state == "hot"


def _word(neuron: Neuron, model: Model) -> str:
    return "stalled" if neuron.stalled else model.state
