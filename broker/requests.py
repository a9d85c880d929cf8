"""The requests that the broker has in hand: each is in exactly one place, and leaves exactly once.

Knows how a request moves (wait, go to a neuron, come back, be abandoned, end), what the edge and the neuron are told
then, and that a slot is given back on every way out. Does not know why it moves: that is the core's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from cortex.broker.events import Effect, ToEdge, ToNeuron
from cortex.broker.fleet import Edge, Neuron
from cortex.broker.lifecycle import State, Trigger, after
from cortex.broker.waiting import Key, Waiting
from cortex.protocol import messages as m
from cortex.protocol.faults import Fault
from cortex.protocol.frames import Frame

principal_of = attrgetter("submit.principal")
REMEMBERED = 4096
"""Ended attempts whose late duplicates are recognised."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why somebody waits; `discreet`: without the names of other models."""

    full: str
    discreet: str


NO_REASON = Why("", "")


@dataclass(slots=True)
class Request:
    """One attempt at one request; `number` is its place in the order of arrival.

    `missing` counts the beats of its neuron that did not name it.
    """

    key: Key
    number: int
    edge: Edge
    submit: m.Submit
    payload: tuple[Frame, ...]
    arrived: float
    deadline: float
    since: float = 0.0
    """When it, or the request whose place it took, came."""
    charged: int = 0
    """What its principal was charged when it was last served."""
    matched: float = 0.0
    """The share of its beginning that its replica was believed to have seen."""
    is_told: bool = False
    """Its edge knows that its model is being loaded."""
    was_extended: bool = False
    """Its deadline was moved once already for a cold load."""
    state: State = State.WAITING
    neuron: Neuron | None = None
    sent: float = 0.0
    missing: int = 0

    @property
    def model(self) -> str:
        return self.submit.model

    @property
    def principal(self) -> str:
        return self.submit.principal

    @property
    def priority(self) -> int:
        return self.submit.priority

    def on(self, trigger: Trigger) -> None:
        self.state = after(self.state, trigger)


class Requests:
    """The book. Effects go to the list that the core hands out."""

    def __init__(self, effects: list[Effect]) -> None:
        self.live: dict[Key, Request] = {}
        self.waiting = Waiting()
        self.of_principal: Counter[str] = Counter()
        self.loading: dict[str, tuple[str, int]] = {}
        """Where each model that somebody waits for is loading, and how far: what its waiters are told."""
        self.reasons: dict[str, Why] = {}
        """Why those wait who wait for a model that is not being loaded."""
        self.submitted = 0
        self.ended: Counter[str] = Counter()
        self._ended_keys: dict[Key, None] = {}
        self._returned: list[Request] = []
        self._effects = effects

    def has_ended(self, key: Key) -> bool:
        """Whether this attempt ended not long ago."""
        return key in self._ended_keys

    def has_waiters(self, model: str) -> bool:
        """Whether somebody waits for this model."""
        return self.waiting.first(model) is not None

    def add(
        self,
        key: Key,
        edge: Edge,
        submit: m.Submit,
        payload: tuple[Frame, ...],
        now: float,
    ) -> Request:
        """Take a request in; it waits until it is dispatched or ended. The same one sent again takes its old place."""
        deadline = now + max(0, submit.queue_ms - submit.waited_ms) / 1000
        self.submitted += 1
        request = Request(key, self.submitted, edge, submit, payload, now, deadline)
        request.since = now - submit.waited_ms / 1000
        place = (
            self.waiting.reclaim(submit.model, submit.principal, submit.digest, now)
            if submit.digest
            else None
        )
        if place is not None:
            request.number, request.since = place.number, place.since
        self.live[key] = request
        self.of_principal[submit.principal] += 1
        edge.requests.add(key)
        self._enqueue(request)
        return request

    def _enqueue(self, request: Request) -> None:
        submit = request.submit
        self.waiting.add(
            request.model,
            request.key,
            request.deadline,
            request.number,
            principal=submit.principal,
            cost=max(1, submit.cost),
            priority=request.priority,
            since=request.since,
            charged=request.charged,
        )
        request.charged = 0

    def extend(self, request: Request, deadline: float) -> None:
        """Let a request wait longer, once, because its model is being loaded for it."""
        if deadline > request.deadline:
            request.deadline = deadline
            self.waiting.set_deadline(request.key, deadline)

    def dispatch(self, request: Request, neuron: Neuron, now: float) -> None:
        """Send it to a neuron, taking one of its slots."""
        request.on(Trigger.DISPATCHED)
        request.charged = self.waiting.take(request.model, request.key)
        request.neuron, request.sent, request.missing = neuron, now, 0
        neuron.assign(request.key, request.model, now)
        submit = request.submit
        message = m.Generate(
            request=submit.request,
            attempt=submit.attempt,
            edge=request.edge.route,
            model=submit.model,
            wait_ms=submit.waited_ms + int((now - request.arrived) * 1000),
            prefix=submit.prefix,
            principal=submit.principal,
        )
        self._effects.append(ToNeuron(neuron.route, message, request.payload))

    def accepted(self, request: Request, message: m.Accepted) -> None:
        """Its neuron runs it; the broker need not keep the prompt any longer."""
        request.on(Trigger.ACCEPTED)
        request.payload = ()
        self._tell(request, message)

    def put_back(self, request: Request, now: float) -> None:
        """To its old place, ahead of all who came later: no attempt was spent."""
        request.on(Trigger.RETURNED)
        self._release(request, now)
        self._enqueue(request)
        self._returned.append(request)

    def tell_returned(self) -> None:
        """Those that came back and found no other place at once: their edges learn that they wait."""
        for request in self._returned:
            if request.state is State.WAITING:
                self.answer(request)
        self._returned.clear()

    def abandon(self, request: Request, now: float) -> None:
        """Nobody waits for it: forget it but for its place, or have its neuron stop first."""
        if request.state is State.WAITING:
            if request.submit.digest:
                self.waiting.keep(request.model, request.key, request.submit.digest, request.principal, now)
            self.end(request, None, now)
        elif request.state is not State.CANCELLING:
            request.on(Trigger.ABANDONED)
            self.cancel(request)

    def cancel(self, request: Request) -> None:
        """Tell its neuron to stop (again)."""
        assert request.neuron is not None
        name, attempt = request.key
        self._effects.append(ToNeuron(request.neuron.route, m.Cancel(request=name, attempt=attempt)))

    def give_up(self, request: Request, fault: Fault, now: float) -> None:
        """Fail it towards the edge, but keep its slot until the neuron has let go."""
        if request.state is not State.CANCELLING:
            self._tell(request, m.Failed(request=request.key[0], attempt=request.key[1], fault=fault))
            self.abandon(request, now)

    def drop(self, request: Request, fault: Fault, now: float) -> None:
        """Its neuron has it no longer: put it back if it was never accepted, fail it if it was."""
        if request.state is State.ASSIGNED:
            self.put_back(request, now)
        else:
            self.end(request, m.Failed(request=request.key[0], attempt=request.key[1], fault=fault), now)

    def refuse(self, request: Request, fault: Fault, now: float) -> None:
        self.end(request, m.Refused(request=request.key[0], attempt=request.key[1], fault=fault), now)

    def end(
        self,
        request: Request,
        terminal: m.Finished | m.Failed | m.Refused | None,
        now: float,
        payload: tuple[Frame, ...] = (),
    ) -> None:
        """The one way out: tell whoever still listens, free the slot or the place, forget."""
        outcome = "cancelled"
        if terminal is not None and request.state is not State.CANCELLING:
            outcome = type(terminal).__name__.lower()
            self._tell(request, terminal, payload)
        if request.state is State.WAITING:
            if request.key in self.waiting:  # not if its place was kept
                self.waiting.remove(request.model, request.key)
        else:
            self._settle(request, terminal)
        request.on(Trigger.ENDED)
        self._release(request, now)
        del self.live[request.key]
        self.of_principal[request.principal] -= 1
        if not self.of_principal[request.principal]:
            del self.of_principal[request.principal]
        request.edge.requests.discard(request.key)
        self.ended[outcome] += 1
        self._ended_keys[request.key] = None
        if len(self._ended_keys) > REMEMBERED:
            del self._ended_keys[next(iter(self._ended_keys))]

    def answer(self, request: Request) -> None:
        """Tell the edge where its request stands."""
        name, attempt = request.key
        if request.state is State.RUNNING:
            self._tell(request, m.Accepted(request=name, attempt=attempt))
        elif request.state is State.WAITING and (place := self.loading.get(request.model)) is not None:
            node, percent = place
            self._tell(request, m.Loading(request=name, attempt=attempt, percent=percent, node=node))
        elif request.state is not State.CANCELLING:
            waits = request.state is State.WAITING
            position = self.waiting.position(request.model, request.key) if waits else 0
            why = self.reasons.get(request.model, NO_REASON) if waits else NO_REASON
            discreet = why.discreet if why.discreet != why.full else ""
            self._tell(
                request,
                m.Queued(
                    request=name, attempt=attempt, position=position, reason=why.full, discreet=discreet
                ),
            )

    def _settle(self, request: Request, terminal: m.Finished | m.Failed | m.Refused | None) -> None:
        """Charge what it really took. What was not run is not charged."""
        charged = actual = request.charged
        if isinstance(terminal, m.Finished):
            usage = terminal.usage
            actual = usage.prompt - usage.cached + usage.completion
        elif isinstance(terminal, m.Refused):
            actual = 0
        self.waiting.settle(request.model, request.principal, charged, actual, priority=request.priority)

    def _tell(
        self,
        request: Request,
        message: m.Queued | m.Loading | m.Accepted | m.Finished | m.Failed | m.Refused,
        payload: tuple[Frame, ...] = (),
    ) -> None:
        session = request.neuron.session if request.neuron is not None else None
        self._effects.append(ToEdge(request.edge.route, message, payload, session))

    def _release(self, request: Request, now: float) -> None:
        if request.neuron is not None:
            request.neuron.release(request.key, now)
            request.neuron = None

    def check(self, neurons: Iterable[Neuron]) -> None:
        """Assert that every request is in exactly one place, and its edge's."""
        live, idle = self.live, State.WAITING
        assert self.submitted == len(live) + sum(self.ended.values()), "a request ended never or twice"
        waiting = set()
        for key, request in live.items():
            if request.neuron is None:
                assert request.state is idle, f"{key} is {request.state} nowhere"
                waiting.add(key)
            else:
                assert request.state is not idle, f"{key} waits and holds a slot"
            assert key in request.edge.requests, f"{key} is not its edge's"
        assert self.waiting.everybody == waiting, "somebody waits in no queue, or a ghost waits"
        held = 0
        for neuron in neurons:
            held += len(neuron.assigned)
            for key in neuron.assigned:
                assert live[key].neuron is neuron, f"{key} is held by a neuron it left"
        assert held + len(waiting) == len(live), "a request is in no place or in two"
        principals = list(map(principal_of, live.values()))
        charged = {name: principals.count(name) for name in self.of_principal}
        assert charged == self.of_principal, "a principal is charged for what is not there"
        assert sum(charged.values()) == len(live), "somebody is not charged"
