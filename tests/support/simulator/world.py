"""Virtual time, links and the rim round the broker core: what a process and a network would be.

Links follow TCP: in order within one connection, and whatever is in flight is lost when the connection breaks.
Knows nothing about what the messages mean.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from cortex.broker.catalogue import Catalogue
from cortex.broker.core import Broker
from cortex.broker.events import (
    EdgeUnreachable,
    Effect,
    Event,
    FromCtl,
    FromNeuron,
    NeuronUnreachable,
    ToEdge,
)
from cortex.broker.view import Policy
from cortex.protocol.deltas import Deltas
from cortex.protocol.messages import Command

if TYPE_CHECKING:
    from simulator.oracle import Oracle

BrokerFactory = Callable[..., Broker]
"""Called as `Broker` is."""


@dataclass(slots=True)
class Tokens:
    """A token frame on its way: only the broker's `relay` looks at its three addresses."""

    neuron: bytes
    session: bytes
    edge: bytes
    body: Deltas


@dataclass(slots=True)
class Spec:
    """What a client asks for, and so what it must get: `totals` tokens per choice, made from `base`."""

    request: str
    model: str
    totals: tuple[int, ...]
    base: int
    queue_ms: int
    fails_at: int | None
    """The engine fails after this many tokens of the first choice."""
    principal: str = ""
    digest: bytes = b""
    """What the client sends again after it gave up has the same one."""

    def token(self, choice: int, index: int) -> int:
        return (self.base + choice * 7919 + index * index * 31 + index) % 50021


class Peer(Protocol):
    """A process at the other end of a link."""

    link: Link

    def receive(self, message: Struct, payload: tuple[Any, ...], session: bytes | None) -> None: ...
    def connected(self) -> None: ...


class Link:
    """One peer's connection to the broker."""

    def __init__(self, world: World, name: str, latency: float) -> None:
        self.world = world
        self.name = name
        self.latency = latency
        self.lag = 0.0
        self.doubles = 0
        """How many of the next messages arrive twice."""
        self.up = False
        self.hidden = False
        """Broken, but the broker's end has not noticed."""
        self.peer: Peer | None = None
        self._epoch_in = 0
        self._epoch_out = 0
        self._last_in = 0.0
        self._last_out = 0.0

    def connect(self) -> None:
        """Open a new connection if both ends are there."""
        if self.up or self.peer is None or self.world.broker is None:
            return
        self.up = True
        self.hidden = False
        self.peer.connected()

    def connect_in(self, delay: float) -> None:
        self.world.after(delay, self.connect)

    def sever(self, *, hidden: bool = False, drain: bool = False) -> None:
        """Break the connection. `drain`: what the peer had sent still arrives, as after a process's death."""
        self._epoch_out += 1
        if not drain:
            self._epoch_in += 1
        self.up = False
        self.hidden = hidden

    def to_broker(self, item: Event | Tokens) -> bool:
        """Send; False when there is no connection."""
        if not self.up:
            return False
        world = self.world
        for _ in range(self._copies()):
            self._last_in = max(
                self._last_in, world.now + self.lag + self.latency * (0.5 + world.rng.random())
            )
            world.at(self._last_in, self._arrive_in, (self._epoch_in, item))
        return True

    def to_peer(self, message: Struct, payload: tuple[Any, ...], session: bytes | None) -> bool:
        """Send; False when the broker's end knows that there is no connection."""
        if not self.up:
            return self.hidden
        world = self.world
        for _ in range(self._copies()):
            self._last_out = max(
                self._last_out, world.now + self.lag + self.latency * (0.5 + world.rng.random())
            )
            world.at(self._last_out, self._arrive_out, (self._epoch_out, message, payload, session))
        return True

    def _copies(self) -> int:
        if not self.doubles:
            return 1
        self.doubles -= 1
        return 2

    def _arrive_in(self, epoch: int, item: Event | Tokens) -> None:
        if epoch == self._epoch_in:
            self.world.deliver(item)

    def _arrive_out(
        self, epoch: int, message: Struct, payload: tuple[Any, ...], session: bytes | None
    ) -> None:
        if epoch == self._epoch_out and self.peer is not None:
            self.peer.receive(message, payload, session)


class World:
    """The clock, the heap of what is to happen, and the broker's rim."""

    def __init__(self, rng: Random, broker_factory: BrokerFactory) -> None:
        self.rng = rng
        self.now = 0.0
        self.broker: Broker | None = None
        self.oracle: Oracle
        self.specs: dict[str, Spec] = {}
        self.peers: dict[bytes, Peer] = {}
        """Device threads and edges that run, by routing id."""
        self.links: list[Link] = []
        self._factory = broker_factory
        self.catalogue = Catalogue()
        self.policy = Policy()
        self.lives = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._tick_at: float | None = None
        self._tick_number = 0

    def at(self, when: float, action: Callable[..., None], args: tuple[Any, ...] = ()) -> None:
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, action, args))

    def after(self, delay: float, action: Callable[..., None], args: tuple[Any, ...] = ()) -> None:
        self.at(self.now + delay, action, args)

    def run_until(self, end: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.now, _, action, args = heapq.heappop(heap)
            action(*args)
        self.now = end

    def fresh(self, size: int) -> bytes:
        """A new routing id or session."""
        return self.rng.randbytes(size)

    # ── the broker's process ─────────────────────────────────────────────────────────────────────────────────────

    def start_broker(self) -> None:
        """A new core with an empty state; the links find it again, each in its own time."""
        self.lives += 1
        self.broker = self._factory(
            "broker-0", self.now, epoch=str(self.lives), policy=self.policy, catalogue=self.catalogue
        )
        self.oracle.broker_started(self.broker)
        for link in self.links:
            link.connect_in(self.rng.uniform(0.01, 0.8))

    def stop_broker(self) -> None:
        """Everything it knew is gone, and so is every connection."""
        if self.broker is not None:
            self.oracle.broker_stopped()
        self.broker = None
        self._tick_at = None
        for link in self.links:
            link.sever()

    def order(self, command: Command) -> None:
        """An operator orders something, if there is a broker to order it from."""
        if self.broker is not None:
            self._feed(FromCtl(command))

    def deliver(self, item: Event | Tokens) -> None:
        """Something reached the broker's sockets."""
        if self.broker is None:
            return
        if isinstance(item, Tokens):
            self._relay(item)
        else:
            self._feed(item)

    def _relay(self, frame: Tokens) -> None:
        assert self.broker is not None
        passes = self.broker.relay(frame.neuron, frame.session, frame.edge)
        self.oracle.relayed(frame, passes)
        if passes:
            edge = self.peers.get(frame.edge)
            if edge is None or not edge.link.to_peer(frame.body, (), frame.session):
                self._feed(EdgeUnreachable(frame.edge))

    def _feed(self, event: Event) -> None:
        broker = self.broker
        assert broker is not None
        pending: deque[Event] = deque([event])
        while pending:
            event = pending.popleft()
            self.oracle.before(event)
            effects = broker.handle(event, self.now)
            self.oracle.after(event, effects)
            self._perform(effects, pending)
        self._arm_tick()

    def _perform(self, effects: list[Effect], pending: deque[Event]) -> None:
        for effect in effects:
            peer = self.peers.get(effect.route)
            if isinstance(effect, ToEdge):
                if peer is None or not peer.link.to_peer(effect.message, effect.payload, effect.session):
                    pending.append(EdgeUnreachable(effect.route))
            elif peer is None or not peer.link.to_peer(effect.message, effect.payload, None):
                pending.append(NeuronUnreachable(effect.route))

    def _arm_tick(self) -> None:
        assert self.broker is not None
        due = self.broker.next_deadline()
        if due is not None and (self._tick_at is None or due < self._tick_at):
            self._tick_at = due
            self._tick_number += 1
            self.at(max(due, self.now), self._tick, (self._tick_number,))

    def _tick(self, number: int) -> None:
        if self.broker is None or self._tick_at is None or number != self._tick_number:
            return
        self._tick_at = None
        pending: deque[Event] = deque()
        self.oracle.before(None)
        effects = self.broker.tick(self.now)
        self.oracle.after(None, effects)
        self._perform(effects, pending)
        while pending:
            self._feed(pending.popleft())
        self._arm_tick()


def of_neuron(route: bytes, session: bytes, message: Struct) -> FromNeuron:
    """A message of a neuron, as the broker's rim would hand it in."""
    return FromNeuron(route, session, message)
