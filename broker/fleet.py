"""Who is there: neurons and edges as last heard. Beliefs only; the neuron is the authority on what it holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from cortex.broker.waiting import Key
from cortex.protocol.faults import Fault
from cortex.protocol.messages import Heartbeat, Ready
from cortex.protocol.values import Device, Model, Phase

OCCUPYING = frozenset({"loading", "hot", "draining"})
"""States in which a model has its footprint reserved on a device."""


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
    name: str = ""
    counter: bytes = b""
    """The routing id of the socket on which it counts tokens; empty if it does not."""
    state: Literal["registered", "ready"] = "registered"
    version: int = -1
    drained: bool = False
    cycles: int = 0
    evictions: int = 0
    models: dict[str, Model] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    """When each hot model became hot, as seen from here."""
    used: dict[str, float] = field(default_factory=dict)
    """When each hot model last had a request in hand."""
    foreign: dict[str, int] = field(default_factory=dict)
    """Requests of other brokers that it has in hand, as of the last beat."""
    assigned: dict[Key, str] = field(default_factory=dict)
    load: Counter[str] = field(default_factory=Counter)
    full: set[str] = field(default_factory=set)
    """Models that it just refused for lack of room; cleared by its next word on the matter."""
    closing: set[str] = field(default_factory=set)
    """Victims of a placement that it has not answered: irrevocable from here, so nothing new is sent to them."""
    asked: str = ""
    """The placement that it has not answered: one at a time, for each changes the version that the next must name."""
    shut: dict[str, float] = field(default_factory=dict)
    """Models whose placement it refused or failed, and until when it is not asked again."""
    refused: dict[str, Fault] = field(default_factory=dict)
    """Why it cannot take a model at all, of those that it refused for a reason that will last."""
    stuck: set[str] = field(default_factory=set)
    """Models that it still says are loading, though their load took too long and was given up: nobody waits for it."""
    strays: dict[Key, float] = field(default_factory=dict)
    """Requests it reports as live that this broker did not send: since when."""
    turn: int = -1
    phase: Phase = "starting"
    stalled: bool = False
    detail: str = ""
    tokens: int = 0
    tokens_per_s: float = 0.0
    dispatches: int = 0

    def __post_init__(self) -> None:
        self.name = f"{self.node}/{self.device.kind}-{self.device.index}"

    @property
    def serves(self) -> bool:
        """Whether it may be given requests."""
        return self.state == "ready" and not self.stalled and not self.drained

    def is_named(self, name: str) -> bool:
        """Whether an operator who says this means this device: by its host, or by itself."""
        return name in (self.node, self.name)

    def is_hot(self, model: str) -> bool:
        held = self.models.get(model)
        return held is not None and held.state == "hot" and held.slots > 0

    def free(self, model: str) -> int:
        """Slots that are free for a model, as far as this broker knows."""
        held = self.models.get(model)
        if (
            held is None
            or held.state != "hot"
            or not self.serves
            or model in self.full
            or model in self.closing
        ):
            return 0
        return held.slots - self.load[model]

    def in_hand(self, model: str) -> int:
        """Requests that it works on for a model: this broker's own, and what it reported of others."""
        return self.load[model] + self.foreign.get(model, 0)

    def assign(self, key: Key, model: str, now: float) -> None:
        self.assigned[key] = model
        self.load[model] += 1
        self.used[model] = now
        self.dispatches += 1

    def release(self, key: Key, now: float) -> None:
        """Give a slot back: room again, whatever was refused before."""
        model = self.assigned.pop(key)
        self.load[model] -= 1
        if not self.load[model]:
            del self.load[model]
        self.used[model] = now
        self.full.discard(model)

    def hold(self, models: tuple[Model, ...], now: float) -> None:
        """Believe what the neuron says about its residency."""
        self.models = {model.id: model for model in models}
        hot = {model.id for model in models if model.state == "hot"}
        if self.stuck:
            self.stuck &= {model.id for model in models if model.state == "loading"}
        self.since = {name: self.since.get(name, now) for name in hot}
        self.used = {name: self.used.get(name, now) for name in hot}

    def announce(self, message: Ready, now: float) -> None:
        """Note what it holds now."""
        self.seen = now
        self.warm()
        self.version = message.version
        self.device = message.device
        self.drained = message.drained
        self.cycles = message.cycles
        self.evictions = message.evictions
        self.full.clear()

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
        if message.free_bytes and self.state == "ready":
            self.device = replace(self.device, free_bytes=message.free_bytes)
        self.full.clear()
        self.foreign = {}
        for model, use in message.use.items():
            others = use.running - self.load[model]
            if others > 0:
                self.foreign[model] = others
            idle_since = now if use.running else now - use.idle_ms / 1000
            self.used[model] = max(self.used.get(model, 0.0), idle_since)
