"""A broker core on the bench: short words for what edges and neurons say, and `check()` after each of them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from cortex.broker.core import Broker
from cortex.broker.events import Effect, Event, FromEdge, FromNeuron, ToEdge, ToNeuron
from cortex.broker.fleet import Neuron
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Device, Model

BUSY = Fault(code=Code.BUSY, message="full")
PROMPT = (b"the prompt",)


def session_of(route: bytes) -> bytes:
    """The session that a peer of the bench has unless told otherwise."""
    return (b"session-" + route)[-8:]


def models(**slots: int) -> tuple[Model, ...]:
    return tuple(Model(id=name, state="hot", slots=count) for name, count in slots.items())


class Bench:
    """One core, and a clock that stands until a test moves it."""

    def __init__(self, *, settled: bool = True) -> None:
        self.broker = Broker("broker-0", 0.0)
        self.now = 100.0 if settled else 0.0

    def handle(self, event: Event) -> list[Effect]:
        effects = self.broker.handle(event, self.now)
        self.broker.check()
        return effects

    def tick(self, after: float = 0.0) -> list[Effect]:
        self.now += after
        effects = self.broker.tick(self.now)
        self.broker.check()
        return effects

    def from_edge(
        self, message: Struct, route: bytes = b"edge", payload: tuple[bytes, ...] = ()
    ) -> list[Effect]:
        return self.handle(FromEdge(route, session_of(route), message, payload))

    def from_neuron(
        self, message: Struct, route: bytes = b"neuron", payload: tuple[bytes, ...] = (), session: bytes = b""
    ) -> list[Effect]:
        return self.handle(FromNeuron(route, session or session_of(route), message, payload))

    # ── edges ────────────────────────────────────────────────────────────────────────────────────────────────────

    def submit(
        self,
        request: str,
        model: str = "m",
        *,
        attempt: int = 1,
        route: bytes = b"edge",
        queue_ms: int = 30_000,
    ) -> list[Effect]:
        message = m.Submit(request=request, attempt=attempt, model=model, queue_ms=queue_ms)
        return self.from_edge(message, route, PROMPT)

    def cancel(self, request: str, route: bytes = b"edge") -> list[Effect]:
        return self.from_edge(m.Cancel(request=request, attempt=1), route)

    def query(self, request: str, route: bytes = b"edge") -> list[Effect]:
        return self.from_edge(m.Query(request=request, attempt=1), route)

    def edge_beat(self, catalogue: int = -1, route: bytes = b"edge") -> list[Effect]:
        return self.from_edge(m.EdgeBeat(name="edge-1", catalogue=catalogue), route)

    # ── neurons ──────────────────────────────────────────────────────────────────────────────────────────────────

    def register(self, route: bytes = b"neuron", session: bytes = b"") -> list[Effect]:
        message = m.Register(node=route.decode(), device=Device(kind="sim"))
        return self.from_neuron(message, route, session=session)

    def ready(self, route: bytes = b"neuron", version: int = 1, **slots: int) -> list[Effect]:
        message = m.Ready(version=version, device=Device(kind="sim"), models=models(**slots))
        return self.from_neuron(message, route)

    def join(self, route: bytes = b"neuron", **slots: int) -> Neuron:
        """A neuron that registered and is ready."""
        self.register(route)
        self.ready(route, **slots)
        return self.broker.neurons[route]

    def beat(
        self,
        route: bytes = b"neuron",
        *,
        live: Sequence[str] = (),
        turn: int | None = None,
        stalled: bool = False,
        after: float = 0.0,
    ) -> list[Effect]:
        """A heartbeat, through a pulse with a route of its own; each one tells of a new turn unless told otherwise."""
        self.now += after
        known = self.broker.neurons.get(route)
        turn = turn if turn is not None else (known.turn if known is not None else 0) + 1
        message = m.Heartbeat(
            route=route, turn=turn, phase="decode", stalled=stalled, live=tuple((name, 1) for name in live)
        )
        return self.handle(FromNeuron(b"pulse-of-" + route, session_of(route), message))

    def accept(self, request: str, route: bytes = b"neuron") -> list[Effect]:
        return self.from_neuron(m.Accepted(request=request, attempt=1), route)

    def finish(self, request: str, route: bytes = b"neuron", *, cancelled: bool = False) -> list[Effect]:
        return self.from_neuron(
            m.Finished(request=request, attempt=1, totals=(3,), cancelled=cancelled), route
        )

    def fail(self, request: str, route: bytes = b"neuron") -> list[Effect]:
        fault = Fault(code=Code.ENGINE_FAILED, message="broken")
        return self.from_neuron(m.Failed(request=request, attempt=1, fault=fault), route)

    def refuse(
        self, request: str, route: bytes = b"neuron", *, fault: Fault = BUSY, truth: tuple[Model, ...] = ()
    ) -> list[Effect]:
        return self.from_neuron(m.Refused(request=request, attempt=1, fault=fault, models=truth), route)

    def state(self, request: str) -> str:
        """Where a request is; "gone" once it left."""
        found = self.broker.requests.live.get((request, 1))
        return "gone" if found is None else str(found.state)


def to_edge(effects: list[Effect], route: bytes = b"edge") -> list[Struct]:
    """What an edge is told."""
    return [effect.message for effect in effects if isinstance(effect, ToEdge) and effect.route == route]


def to_neuron(effects: list[Effect], route: bytes = b"neuron") -> list[Struct]:
    """What a neuron is told."""
    return [effect.message for effect in effects if isinstance(effect, ToNeuron) and effect.route == route]


def kinds(messages: Sequence[Struct]) -> list[str]:
    return [type(message).__name__ for message in messages]


def fault_code(message: Struct) -> Code:
    """The code of a refusal or failure."""
    assert isinstance(message, m.Refused | m.Failed)
    return message.fault.code
