"""What edges say: beats, submissions, cancels, questions, and what they want kept for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from cortex.broker.counting import Counting
from cortex.broker.events import FromEdge, ToEdge
from cortex.broker.fleet import Edge
from cortex.broker.lifecycle import State as Stage
from cortex.broker.listing import Listing
from cortex.broker.reasons import Reasons
from cortex.broker.requests import Request
from cortex.broker.serving import Serving
from cortex.broker.state import State
from cortex.broker.waiting import Key
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault

UNKNOWN = Fault(code=Code.UNKNOWN_REQUEST, message="This broker does not know the request (any more).")
CROWDED = Fault(code=Code.OVERLOADED, message="Too many requests are waiting; try again.", retry_after=5)


class EdgeSide:
    """One handler per kind of message; a kind that does not belong here is counted and dropped."""

    def __init__(self, state: State, serving: Serving, reasons: Reasons) -> None:
        self._state = state
        self._serving = serving
        self._requests = state.requests
        self._reasons = reasons
        self._listing = Listing()
        self._counting = Counting(state)
        self._handlers: dict[type[Struct], Callable[[Edge, Any, FromEdge, float], None]] = {
            m.EdgeBeat: self._beat,
            m.Submit: self._submit,
            m.Cancel: self._cancel,
            m.Query: self._query,
            m.Keep: self._keep,
            m.Fetch: self._fetch,
            m.Forget: self._forget,
        }

    def handle(self, event: FromEdge, now: float) -> None:
        """Take a message; an edge is known from its first one."""
        state = self._state
        handler = self._handlers.get(type(event.message))
        if handler is None:
            state.dropped["unexpected_from_edge"] += 1
            return
        edge = state.edges.get(event.route)
        if edge is None or edge.session != event.session:
            self.lose(event.route, now)
            edge = state.edges[event.route] = Edge(event.route, event.session, now)
        edge.seen = now
        handler(edge, event.message, event, now)

    def lose(self, route: bytes, now: float) -> None:
        """An edge is gone, and so is whoever waited there."""
        edge = self._state.edges.pop(route, None)
        if edge is not None:
            for key in sorted(edge.requests):
                self._requests.abandon(self._requests.live[key], now)

    # ── what is on offer ─────────────────────────────────────────────────────────────────────────────────────────

    def fleet_changed(self) -> None:
        """Push a new list of models if the change shows in it."""
        state = self._state
        listed, names = self._listing.entries(state.view), state.catalogue.names
        if listed != state.listed or names != state.names:
            state.listed, state.names = listed, names
            state.listing_version += 1
            for edge in state.edges.values():
                self._welcome(edge)

    def _beat(self, edge: Edge, message: m.EdgeBeat, _event: FromEdge, _now: float) -> None:
        edge.name = message.name
        if message.catalogue != edge.catalogue:  # a number of another broker's, or what was sent got lost
            edge.catalogue = -1
        self._welcome(edge)

    def _welcome(self, edge: Edge) -> None:
        state = self._state
        is_news = edge.catalogue != state.listing_version
        edge.catalogue = state.listing_version
        message = m.Welcome(
            broker=state.name,
            catalogue=state.listing_version,
            neurons=sum(neuron.state == "ready" for neuron in state.view.neurons.values()),
            settled=state.is_settled,
            models=state.listed if is_news else None,
            names=state.names if is_news else None,
        )
        state.effects.append(ToEdge(edge.route, message))

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _submit(self, edge: Edge, message: m.Submit, event: FromEdge, now: float) -> None:
        if message.operation == "count":
            self._counting.ask(message, event)
            return
        requests, state = self._requests, self._state
        key = (message.request, message.attempt)
        if (present := requests.live.get(key)) is not None:
            requests.answer(present)
            return
        if requests.has_ended(key):
            self._fail_unknown(edge, *key)
            return
        earlier = self._of_edge(edge, (message.request, message.attempt - 1))
        if earlier is not None:
            requests.abandon(earlier, now)
        if message.principal and requests.of_principal[message.principal] >= state.view.policy.per_principal:
            refusal = m.Refused(request=key[0], attempt=key[1], fault=self._too_many())
            state.effects.append(ToEdge(edge.route, refusal))
            state.dropped["too_many_of_one_principal"] += 1
            return
        state.view.usage.asked(message.model, now)
        request = requests.add(key, edge, message, event.payload, now)
        self._serving.serve(message.model, now)
        if request.state is not Stage.WAITING:
            return
        if len(requests.waiting) > state.view.policy.max_waiting:
            requests.refuse(request, CROWDED, now)
        elif not request.is_told:
            self._reasons.begin(message.model, now)
            requests.answer(request)

    def _too_many(self) -> Fault:
        limit = self._state.view.policy.per_principal
        text = f"You have {limit} requests in hand, as many as one client may; try again when one has ended."
        return Fault(code=Code.RATE_LIMITED, message=text, retry_after=2)

    def _cancel(self, edge: Edge, message: m.Cancel, _event: FromEdge, now: float) -> None:
        request = self._of_edge(edge, (message.request, message.attempt))
        if request is not None:
            self._requests.abandon(request, now)

    def _query(self, edge: Edge, message: m.Query, _event: FromEdge, _now: float) -> None:
        request = self._of_edge(edge, (message.request, message.attempt))
        if request is None or request.state is Stage.CANCELLING:
            self._fail_unknown(edge, message.request, message.attempt)
        else:
            self._requests.answer(request)

    def _of_edge(self, edge: Edge, key: Key) -> Request | None:
        """The attempt, if it is this edge's."""
        return self._requests.live.get(key) if key in edge.requests else None

    def _fail_unknown(self, edge: Edge, request: str, attempt: int) -> None:
        self._state.effects.append(
            ToEdge(edge.route, m.Failed(request=request, attempt=attempt, fault=UNKNOWN))
        )

    # ── what outlives a request ──────────────────────────────────────────────────────────────────────────────────

    def _keep(self, edge: Edge, message: m.Keep, event: FromEdge, now: float) -> None:
        data = bytes(event.payload[0]) if event.payload else b""
        self._held(
            edge, message.ask, found=self._state.blobs.keep(message.name, message.principal, data, now)
        )

    def _fetch(self, edge: Edge, message: m.Fetch, _event: FromEdge, now: float) -> None:
        data = self._state.blobs.fetch(message.name, message.principal, now)
        self._held(edge, message.ask, found=data is not None, payload=() if data is None else (data,))

    def _forget(self, edge: Edge, message: m.Forget, _event: FromEdge, now: float) -> None:
        self._held(edge, message.ask, found=self._state.blobs.forget(message.name, message.principal, now))

    def _held(self, edge: Edge, ask: int, *, found: bool, payload: tuple[bytes, ...] = ()) -> None:
        self._state.effects.append(ToEdge(edge.route, m.Held(ask=ask, found=found), payload))
