"""The broker's mind: events in, effects out. No clock, socket, thread, log or randomness.

Every request that an edge submits ends exactly once: finished, failed or refused towards the edge, or silently when
the edge cancelled it or is gone. What the broker believes of a neuron may be wrong; heartbeats name the attempts
that the neuron really has, and the two are made to agree:

- assigned here, but missing from two successive beats: a frame was lost with a connection. Not accepted yet → it
  returns to the front of its queue; accepted → it failed, retryably.
- reported there, but not assigned here for a while: nobody reads it → cancel it, until it is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from cortex.broker.events import (
    EdgeUnreachable,
    Effect,
    Event,
    FromEdge,
    FromNeuron,
    NeuronUnreachable,
    ToEdge,
    ToNeuron,
)
from cortex.broker.fleet import Edge, Neuron, catalogue_of
from cortex.broker.lifecycle import State
from cortex.broker.requests import Request, Requests
from cortex.broker.routing import Refuse, Serve, choose
from cortex.broker.waiting import Key
from cortex.protocol import liveness
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault

SETTLE = liveness.EXPIRY
"""Until a broker has run this long, a neuron that it has not heard of may still announce itself."""
UNHEARD = liveness.EXPIRY
"""How long a request may be missing from a neuron's beats after it was sent there."""
STRAY = 5.0
"""How long a neuron may work on what no edge has claimed through this broker."""
MAX_WAITING = 4096

WELCOME = m.Registered(interval_ms=int(liveness.INTERVAL * 1000))
LOST = Fault(code=Code.NEURON_LOST, message="The neuron that served this request is gone; try again.")
FRAME_LOST = Fault(code=Code.NEURON_LOST, message="The answer was lost with a connection; try again.")
STALLED = Fault(code=Code.STALLED, message="The device that served this request stopped making progress.")
UNKNOWN = Fault(code=Code.UNKNOWN_REQUEST, message="This broker does not know the request (any more).")
CROWDED = Fault(code=Code.OVERLOADED, message="Too many requests are waiting; try again.", retry_after=5)


class Broker:
    """See the module's docstring. `handle` and `tick` answer what must be done, in order."""

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.started = now
        self.neurons: dict[bytes, Neuron] = {}
        self.edges: dict[bytes, Edge] = {}
        self.known: set[str] = set()
        self.gone: dict[str, tuple[Neuron, float]] = {}
        self.dropped: Counter[str] = Counter()
        self.catalogue_version = 0
        self.catalogue: tuple[m.CatalogueEntry, ...] = ()
        self._effects: list[Effect] = []
        self.requests = Requests(self._effects)
        self._from_edge: dict[type[Struct], Callable[[Edge, Any, FromEdge, float], None]] = {
            m.EdgeBeat: self._edge_beat,
            m.Submit: self._submit,
            m.Cancel: self._cancel,
            m.Query: self._query,
        }
        self._from_neuron: dict[type[Struct], Callable[[Neuron, Any, FromNeuron, float], None]] = {
            m.Ready: self._ready,
            m.Heartbeat: self._heartbeat,
            m.Accepted: self._accepted,
            m.Refused: self._refused,
            m.Finished: self._terminal,
            m.Failed: self._terminal,
            m.Goodbye: self._goodbye,
        }

    # ── doors ────────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event. A message of a kind that does not belong on its plane is counted and dropped."""
        match event:
            case FromEdge():
                self._on_edge(event, now)
            case FromNeuron():
                self._on_neuron(event, now)
            case EdgeUnreachable(route=route):
                self._lose_edge(route)
            case NeuronUnreachable(route=route):
                self._lose_neuron(route, now)
        return self._take()

    def tick(self, now: float) -> list[Effect]:
        """Do what has become due: drop who is gone, refuse who waited too long."""
        for neuron in [n for n in self.neurons.values() if liveness.is_gone(n.seen, now)]:
            self._lose_neuron(neuron.route, now)
        for edge in [e for e in self.edges.values() if liveness.is_gone(e.seen, now)]:
            self._lose_edge(edge.route)
        self._serve_all(now)
        for key in self.requests.waiting.overdue(now):
            request = self.requests.live[key]
            self.requests.refuse(request, self._overdue_fault(request))
        return self._take()

    def next_deadline(self) -> float | None:
        """The moment at which `tick` will next have something to do; None while nobody is there."""
        times = [liveness.expires_at(neuron.seen) for neuron in self.neurons.values()]
        times += [liveness.expires_at(edge.seen) for edge in self.edges.values()]
        waiting = self.requests.waiting.next_deadline()
        if waiting is not None:
            times.append(waiting)
        return min(times, default=None)

    def relay(self, neuron: bytes, session: bytes, edge: bytes) -> bool:
        """May token frames of this neuron's session pass to this edge?"""
        found = self.neurons.get(neuron)
        if found is None or found.session != session:
            self.dropped["deltas_of_unknown_neuron"] += 1
            return False
        if edge not in self.edges:
            self.dropped["deltas_to_unknown_edge"] += 1
            return False
        return True

    def _take(self) -> list[Effect]:
        self.requests.tell_returned()
        effects = self._effects[:]
        self._effects.clear()
        return effects

    # ── edges ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_edge(self, event: FromEdge, now: float) -> None:
        handler = self._from_edge.get(type(event.message))
        if handler is None:
            self.dropped["unexpected_from_edge"] += 1
            return
        edge = self.edges.get(event.route)
        if edge is None or edge.session != event.session:
            self._lose_edge(event.route)
            edge = self.edges[event.route] = Edge(event.route, event.session, now)
        edge.seen = now
        handler(edge, event.message, event, now)

    def _edge_beat(self, edge: Edge, message: m.EdgeBeat, _event: FromEdge, _now: float) -> None:
        edge.name = message.name
        if message.catalogue != edge.catalogue:  # a number of another broker's, or what was sent got lost
            edge.catalogue = -1
        self._welcome(edge)

    def _welcome(self, edge: Edge) -> None:
        news = self.catalogue if edge.catalogue != self.catalogue_version else None
        edge.catalogue = self.catalogue_version
        ready = sum(neuron.state == "ready" for neuron in self.neurons.values())
        message = m.Welcome(broker=self.name, catalogue=self.catalogue_version, neurons=ready, models=news)
        self._effects.append(ToEdge(edge.route, message))

    def _submit(self, edge: Edge, message: m.Submit, event: FromEdge, now: float) -> None:
        key = (message.request, message.attempt)
        if (present := self.requests.live.get(key)) is not None:
            self.requests.answer(present)
            return
        if self.requests.has_ended(key):
            self._fail_unknown(edge, *key)
            return
        earlier = self._of_edge(edge, (message.request, message.attempt - 1))
        if earlier is not None:
            self.requests.abandon(earlier)
        request = self.requests.add(key, edge, message, event.payload, now)
        self._serve(message.model, now)
        if request.state is State.WAITING:
            if len(self.requests.waiting) > MAX_WAITING:
                self.requests.refuse(request, CROWDED)
            else:
                self.requests.answer(request)

    def _cancel(self, edge: Edge, message: m.Cancel, _event: FromEdge, _now: float) -> None:
        request = self._of_edge(edge, (message.request, message.attempt))
        if request is not None:
            self.requests.abandon(request)

    def _query(self, edge: Edge, message: m.Query, _event: FromEdge, _now: float) -> None:
        request = self._of_edge(edge, (message.request, message.attempt))
        if request is None or request.state is State.CANCELLING:
            self._fail_unknown(edge, message.request, message.attempt)
        else:
            self.requests.answer(request)

    def _of_edge(self, edge: Edge, key: Key) -> Request | None:
        """The attempt, if it is this edge's."""
        return self.requests.live.get(key) if key in edge.requests else None

    def _fail_unknown(self, edge: Edge, request: str, attempt: int) -> None:
        self._effects.append(ToEdge(edge.route, m.Failed(request=request, attempt=attempt, fault=UNKNOWN)))

    def _lose_edge(self, route: bytes) -> None:
        edge = self.edges.pop(route, None)
        if edge is not None:
            for key in sorted(edge.requests):
                self.requests.abandon(self.requests.live[key])

    # ── neurons ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_neuron(self, event: FromNeuron, now: float) -> None:
        if isinstance(event.message, m.Register):
            self._register(event, event.message, now)
            return
        handler = self._from_neuron.get(type(event.message))
        if handler is None:
            self.dropped["unexpected_from_neuron"] += 1
            return
        route = event.message.route if isinstance(event.message, m.Heartbeat) else event.route
        neuron = self.neurons.get(route)
        if neuron is None or neuron.session != event.session:
            self.dropped["unregistered_neuron"] += 1
            self._effects.append(ToNeuron(route, m.RegisterAgain()))
            return
        handler(neuron, event.message, event, now)

    def _register(self, event: FromNeuron, message: m.Register, now: float) -> None:
        known = self.neurons.get(event.route)
        if known is None or known.session != event.session:
            self._lose_neuron(event.route, now)
            neuron = Neuron(event.route, event.session, message.node, message.device, now)
            self._ask_namesakes(neuron)
            self.neurons[event.route] = neuron
        self._effects.append(ToNeuron(event.route, WELCOME))

    def _ask_namesakes(self, neuron: Neuron) -> None:
        """A process that was replaced is unreachable, which this message finds out at once; one that lives ignores it."""
        for other in self.neurons.values():
            if other.name == neuron.name:
                self._effects.append(ToNeuron(other.route, WELCOME))

    def _ready(self, neuron: Neuron, message: m.Ready, _event: FromNeuron, now: float) -> None:
        if message.version < neuron.version:
            return
        neuron.seen = now
        neuron.warm()
        self.gone.pop(neuron.name, None)
        neuron.version = message.version
        neuron.device = message.device
        neuron.hold(message.models)
        neuron.full.clear()
        self.known.update(neuron.models)
        self._fleet_changed()
        self._serve_all(now)

    def _heartbeat(self, neuron: Neuron, message: m.Heartbeat, _event: FromNeuron, now: float) -> None:
        has_turned = message.turn > neuron.turn
        was_stalled = neuron.stalled
        neuron.beat(message, now)
        if has_turned:
            self._reconcile(neuron, set(message.live), now)
        if neuron.stalled and not was_stalled:
            for key in list(neuron.assigned):
                self.requests.give_up(self.requests.live[key], STALLED)
        if neuron.stalled != was_stalled:
            self._fleet_changed()
        self._serve_all(now)

    def _reconcile(self, neuron: Neuron, live: set[Key], now: float) -> None:
        """Make the two views of what this neuron works on agree; see the module's docstring."""
        for key in list(neuron.assigned):
            request = self.requests.live[key]
            if key in live:
                request.missing = 0
                if request.state is State.CANCELLING:
                    self.requests.cancel(request)
            elif now - request.sent >= UNHEARD:
                request.missing += 1
                if request.missing == 2:
                    self.dropped["lost_frames"] += 1
                    self.requests.drop(request, FRAME_LOST)
        strays = sorted(live - neuron.assigned.keys())
        neuron.strays = {key: neuron.strays.get(key, now) for key in strays}
        for (name, attempt), since in neuron.strays.items():
            if now - since >= STRAY:
                self._effects.append(ToNeuron(neuron.route, m.Cancel(request=name, attempt=attempt)))

    def _accepted(self, neuron: Neuron, message: m.Accepted, _event: FromNeuron, _now: float) -> None:
        request = self._of_neuron(neuron, message.request, message.attempt)
        if request is not None and request.state is State.ASSIGNED:
            self.requests.accepted(request, message)

    def _refused(self, neuron: Neuron, message: m.Refused, _event: FromNeuron, now: float) -> None:
        request = self._of_neuron(neuron, message.request, message.attempt)
        if request is None:
            return
        if request.state is State.ASSIGNED and message.fault.code is Code.BUSY:
            self.requests.put_back(request)
            if message.models:
                neuron.hold(message.models)
                self.known.update(neuron.models)
                self._fleet_changed()
            neuron.full.add(request.model)
        else:
            self.requests.end(request, message)
        self._serve_all(now)

    def _terminal(
        self, neuron: Neuron, message: m.Finished | m.Failed, event: FromNeuron, now: float
    ) -> None:
        request = self._of_neuron(neuron, message.request, message.attempt)
        if request is None:
            return
        cancelled = isinstance(message, m.Finished) and message.cancelled
        if cancelled and request.state is not State.CANCELLING:  # as a stray, before it was sent there again
            message = m.Failed(request=message.request, attempt=message.attempt, fault=FRAME_LOST)
        self.requests.end(request, message, event.payload)
        self._serve(request.model, now)

    def _goodbye(self, neuron: Neuron, _message: m.Goodbye, _event: FromNeuron, now: float) -> None:
        self._lose_neuron(neuron.route, now)

    def _of_neuron(self, neuron: Neuron, request: str, attempt: int) -> Request | None:
        """The attempt, if this neuron is the one that has it; anything else is an echo of the past."""
        key = (request, attempt)
        if key not in neuron.assigned:
            self.dropped["late"] += 1
            return None
        return self.requests.live[key]

    def _lose_neuron(self, route: bytes, now: float) -> None:
        neuron = self.neurons.pop(route, None)
        if neuron is None:
            return
        self.gone[neuron.name] = (neuron, now)
        for key in list(neuron.assigned):
            self.requests.drop(self.requests.live[key], LOST)
        self._fleet_changed()
        self._serve_all(now)

    def _fleet_changed(self) -> None:
        """Push a new catalogue if the change shows in it."""
        catalogue = catalogue_of(list(self.neurons.values()), self.known)
        if catalogue != self.catalogue:
            self.catalogue = catalogue
            self.catalogue_version += 1
            for edge in self.edges.values():
                self._welcome(edge)

    # ── serving ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _serve_all(self, now: float) -> None:
        for model in self.requests.waiting.models():
            self._serve(model, now)

    def _serve(self, model: str, now: float) -> None:
        """Hand out a model's free slots in the order of its queue, or turn the queue away."""
        settled = now >= self.started + SETTLE
        while (key := self.requests.waiting.first(model)) is not None:
            choice = choose(model, self.neurons.values(), self.known, settled=settled)
            match choice:
                case Serve(neuron=neuron):
                    self.requests.dispatch(self.requests.live[key], neuron, now)
                case Refuse(fault=fault):
                    self.requests.refuse(self.requests.live[key], fault)
                case _:
                    return

    def _overdue_fault(self, request: Request) -> Fault:
        served = any(request.model in neuron.models for neuron in self.neurons.values())
        code = Code.OVERLOADED if served else Code.NO_CAPACITY
        why = "every replica stayed busy" if served else "no replica became ready"
        return Fault(code=code, message=f"{request.model}: {why} in time; try again.", retry_after=5)

    def check(self) -> None:
        """Assert every invariant. Cheap enough to run after every event of a simulation."""
        self.requests.check()
        assigned = 0
        for neuron in self.neurons.values():
            assigned += len(neuron.assigned)
            assert sum(neuron.load.values()) == len(neuron.assigned), f"{neuron.name}: slots leaked"
            for key in neuron.assigned:
                assert self.requests.live[key].neuron is neuron, f"{key} is held by a neuron it left"
        in_hand = len(self.requests.live)
        assert assigned + len(self.requests.waiting) == in_hand, "a request is in no place or in two"
        for model in self.requests.waiting.models():
            choice = choose(model, self.neurons.values(), self.known, settled=False)
            assert not isinstance(choice, Serve), f"{model}: somebody waits beside a free slot"
