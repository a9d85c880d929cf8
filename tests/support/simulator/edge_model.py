"""What a correct edge worker does with its clients' requests, without HTTP; also the specification of the real one.

- It beats, keeps the catalogue, and asks after a request that has been silent for a while.
- It delivers only deltas of the session that accepted the attempt, each token once and in order. A gap, or a total
  that does not match, is cancelled and ends with an error.
- It tries again (attempt + 1) only while nothing was delivered; after a new connection it submits again what nobody
  has accepted, with the time already waited.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from cortex.broker.events import FromEdge
from cortex.protocol import messages as m
from cortex.protocol.deltas import Delta, Deltas
from cortex.protocol.faults import Code
from simulator.world import Link, Spec, World

BEAT = 1.0
SILENCE = 5.0
MAX_ATTEMPTS = 3


@dataclass(slots=True)
class Call:
    """One client's request at its edge. `outcome` is how it ended; "left" means that the client went away."""

    spec: Spec
    arrived: float
    heard: float
    attempt: int = 1
    session: bytes | None = None
    delivered: list[list[int]] = field(default_factory=list)
    outcome: str = ""

    @property
    def has_delivered(self) -> bool:
        return any(self.delivered)


class EdgeModel:
    """One edge worker process after another."""

    def __init__(self, world: World, name: str, latency: float) -> None:
        self.world = world
        self.name = name
        self.link = Link(world, name, latency)
        world.links.append(self.link)
        self.alive = False
        self.life = 0
        self.calls: dict[str, Call] = {}
        """Open ones, by request."""
        self.paused = False
        self.catalogue: tuple[m.CatalogueEntry, ...] = ()
        self.version = -1
        self._handlers: dict[type[Struct], Callable[..., None]] = {
            Deltas: self._deltas,
            m.Welcome: self._welcome,
            m.Queued: self._queued,
            m.Loading: self._queued,
            m.Accepted: self._accepted,
            m.Finished: self._finished,
            m.Failed: self._failed,
            m.Refused: self._refused,
        }

    def __repr__(self) -> str:
        return f"<EdgeModel {self.name} calls={len(self.calls)} alive={self.alive}>"

    # ── the process ──────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        world = self.world
        self.life += 1
        self.alive, self.paused = True, False
        self.route, self.session = world.fresh(5), world.fresh(8)
        self.calls = {}
        self.catalogue, self.version = (), -1
        self._inbox: deque[tuple[Struct, tuple[Any, ...], bytes | None]] = deque()
        self._is_new_here = False
        world.peers[self.route] = self
        self.link.peer = self
        self.link.connect_in(world.rng.uniform(0.01, 0.2))
        world.after(world.rng.random() * BEAT, self._beat, (self.life,))

    def crash(self) -> None:
        """Its clients see their connections break: nobody waits any more."""
        for call in list(self.calls.values()):
            self._end(call, "left")
        self.alive = False
        del self.world.peers[self.route]
        self.link.peer = None
        self.link.sever()

    def go_on(self) -> None:
        self.paused = False
        while self._inbox:
            self._handle(*self._inbox.popleft())
        if self._is_new_here:
            self.connected()

    # ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────

    def arrive(self, spec: Spec, patience: float | None) -> Call:
        """A client comes; it leaves after `patience` unless it was answered."""
        now = self.world.now
        call = Call(spec, now, now, delivered=[[] for _ in spec.totals])
        self.calls[spec.request] = call
        self._submit(call)
        if patience is not None:
            self.world.after(patience, self._leave, (call,))
        return call

    def _leave(self, call: Call) -> None:
        if self.paused:
            self.world.after(BEAT, self._leave, (call,))
        elif not call.outcome:
            self._cancel(call)
            self._end(call, "left")

    def _submit(self, call: Call) -> None:
        spec = call.spec
        waited = int((self.world.now - call.arrived) * 1000)
        message = m.Submit(
            request=spec.request,
            attempt=call.attempt,
            model=spec.model,
            queue_ms=max(0, spec.queue_ms - waited),
            waited_ms=waited,
            principal=spec.principal,
            cost=sum(spec.totals),
            digest=spec.digest,
        )
        self._send(message, (spec.request.encode(),))

    def _cancel(self, call: Call) -> None:
        self._send(m.Cancel(request=call.spec.request, attempt=call.attempt))

    def _end(self, call: Call, outcome: str) -> None:
        call.outcome = outcome
        del self.calls[call.spec.request]
        self.world.oracle.call_ended(call)

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────

    def connected(self) -> None:
        """Introduce itself and submit again; all that an earlier connection brought is read before that."""
        self._is_new_here = self.paused
        if self._is_new_here:
            return
        self._send(m.EdgeBeat(name=self.name, catalogue=self.version))
        for call in self.calls.values():
            if call.session is None:
                self._submit(call)

    def receive(self, message: Struct, payload: tuple[Any, ...], session: bytes | None) -> None:
        if self.paused:
            self._inbox.append((message, payload, session))
        else:
            self._handle(message, payload, session)

    def _handle(self, message: Struct, payload: tuple[Any, ...], session: bytes | None) -> None:
        handler = self._handlers[type(message)]
        if isinstance(message, Deltas | m.Welcome):
            handler(message, session)
            return
        call = self.calls.get(message.request)  # type: ignore[attr-defined]  # every other kind names one
        if call is not None and call.attempt == message.attempt:  # type: ignore[attr-defined]
            call.heard = self.world.now
            handler(call, message, payload, session)

    def _welcome(self, message: m.Welcome, session: bytes | None) -> None:
        self.version = message.catalogue
        if message.models is not None:
            self.catalogue = message.models

    def _queued(
        self, call: Call, message: m.Queued | m.Loading, payload: tuple[Any, ...], session: bytes | None
    ) -> None:
        pass

    def _accepted(
        self, call: Call, message: m.Accepted, payload: tuple[Any, ...], session: bytes | None
    ) -> None:
        assert session is not None, "accepted by nobody"
        assert call.session in {None, session}, f"two neurons were accepted for {call.spec.request}"
        call.session = session

    def _deltas(self, message: Deltas, session: bytes | None) -> None:
        for delta in message.items:
            call = self.calls.get(delta.request)
            if call is not None and call.attempt == delta.attempt and call.session == session:
                call.heard = self.world.now
                self._deliver(call, delta)

    def _deliver(self, call: Call, delta: Delta) -> None:
        tokens = call.delivered[delta.choice]
        if delta.seq > len(tokens):
            self._gap(call)
        elif delta.seq == len(tokens):
            tokens.extend(delta.tokens)

    def _gap(self, call: Call) -> None:
        self._cancel(call)
        self._end(call, "gap")

    def _finished(
        self, call: Call, message: m.Finished, payload: tuple[Any, ...], session: bytes | None
    ) -> None:
        assert not message.cancelled, "somebody cancelled what its client waits for"
        assert [bytes(frame) for frame in payload] == [call.spec.request.encode()], "an attachment was lost"
        if tuple(map(len, call.delivered)) == message.totals:
            self._end(call, "finished")
        else:
            self._gap(call)

    def _failed(self, call: Call, message: m.Failed, payload: tuple[Any, ...], session: bytes | None) -> None:
        fault = message.fault
        may_retry = fault.retryable or fault.code is Code.UNKNOWN_REQUEST
        if may_retry and not call.has_delivered and call.attempt < MAX_ATTEMPTS:
            call.attempt += 1
            call.session = None
            call.arrived = self.world.now
            self._submit(call)
        else:
            self._end(call, f"failed {fault.code}")

    def _refused(
        self, call: Call, message: m.Refused, payload: tuple[Any, ...], session: bytes | None
    ) -> None:
        self._end(call, f"refused {message.fault.code}")

    def _send(self, message: Struct, payload: tuple[bytes, ...] = ()) -> None:
        self.link.to_broker(FromEdge(self.route, self.session, message, payload))

    def _beat(self, life: int) -> None:
        if life != self.life or not self.alive:
            return
        self.world.after(BEAT, self._beat, (life,))
        if self.paused:
            return
        self._send(m.EdgeBeat(name=self.name, catalogue=self.version))
        silent = self.world.now - SILENCE
        for call in self.calls.values():
            if call.heard <= silent:
                call.heard = self.world.now
                self._send(m.Query(request=call.spec.request, attempt=call.attempt))
