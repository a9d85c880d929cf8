"""The broker's rim: a ROUTER socket per plane, one poll loop, one clock read a turn.

Frames become events, effects become frames. Token frames pass from the neuron plane to the edge plane by their header
alone. A peer that does not take its mail gets a bounded backlog; past its bound the core is told that it is gone.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable

import zmq
from msgspec import Struct

from cortex.broker.core import Broker
from cortex.broker.ctlplane import CtlPlane
from cortex.broker.departures import Departures
from cortex.broker.events import (
    EdgeUnreachable,
    Effect,
    Event,
    FromEdge,
    FromNeuron,
    NeuronUnreachable,
    ToEdge,
)
from cortex.broker.mail import Mail, Socket
from cortex.broker.metrics import BrokerMetrics
from cortex.broker.neuronside import WELCOME
from cortex.broker.peerplane import PeerPlane
from cortex.broker.sources import Endpoints, NoSource, Source
from cortex.protocol import WIRE_VERSION
from cortex.protocol.codec import WireError, decode
from cortex.protocol.faults import Code, Fault
from cortex.protocol.frames import HEADER, SESSION_BYTES, UnknownKindError, pack, unpack
from cortex.protocol.kit.signals import Stop
from cortex.protocol.kit.sockets import Plane, bind, check_bind, has_mail, open_socket, receive, send
from cortex.protocol.messages import CommandFailed, Heartbeat, Kind, Unsupported

log = logging.getLogger("cortex.broker")

DRAIN = 256
"""Messages taken from one plane before the others get their turn."""
TICK_S = 0.25
METRICS_S = 1.0
RETRY_S = 0.002
DELTAS = bytes((WIRE_VERSION, Kind.DELTAS))
RELAY_FRAMES = 4


class BrokerApp:
    """Sockets round a core. `run()` returns after a stop was requested."""

    def __init__(
        self,
        context: zmq.Context[Socket],
        core: Broker,
        endpoints: Endpoints,
        stop: Stop,
        *,
        source: Source | None = None,
        expected: tuple[str, ...] = (),
        metrics: BrokerMetrics | None = None,
        insecure_open: bool = False,
    ) -> None:
        self.core = core
        self._session = os.urandom(SESSION_BYTES)
        self._welcome = pack(WELCOME, self._session)
        self._stop = stop
        self._source = source or NoSource()
        self._metrics = metrics
        self._next_metrics = 0.0
        self._next_tick = 0.0
        self._logged = 0

        for endpoint in endpoints.bound:
            check_bind(endpoint, insecure_open=insecure_open)

        def router(plane: Plane, endpoint: str) -> Socket:
            socket = open_socket(context, zmq.ROUTER, plane)
            bind(socket, endpoint, insecure_open=insecure_open)
            return socket

        self._edges = Mail(router(Plane.EDGE, endpoints.edge), EdgeUnreachable)
        self._neurons = Mail(router(Plane.NEURON, endpoints.neuron), NeuronUnreachable)
        self._departures = Departures(self._neurons)
        self._ctl = router(Plane.CTL_SERVER, endpoints.ctl)
        peers = (endpoints.peer, endpoints.peers)
        self._peers = PeerPlane(
            context, self._session, *peers, beat=core.beat, handle=self._handle, insecure_open=insecure_open
        )
        wall = time.time() - time.monotonic()
        self._operators = CtlPlane(
            core, self, self._handle, self._peers.forward, expected=expected, wall_offset=wall
        )
        self._peers.take = self._operators.take_from_peer
        self._planes: tuple[tuple[Socket, Callable[[list[bytes], float], None]], ...] = (
            (self._neurons.socket, self._from_neuron),
            (self._edges.socket, self._from_edge),
            (self._ctl, self._from_ctl),
        )
        self._poller = zmq.Poller()
        for socket in (*(socket for socket, _ in self._planes), *self._peers.sockets):
            self._poller.register(socket, zmq.POLLIN)
        self._peers.replaced = self._poll_instead
        self._poller.register(self._departures.monitor, zmq.POLLIN)
        self._poller.register(stop.fileno(), zmq.POLLIN)

    def run(self) -> None:
        try:
            while not self._stop.requested:
                self.turn()
        finally:
            self._departures.close()
            for socket, _ in self._planes:
                socket.close()
            self._peers.close()

    def turn(self) -> None:
        """Wait for something, then take a bounded helping from every plane that has mail."""
        backlog = self._edges.has_backlog() or self._neurons.has_backlog()
        wake_at = min(self._next_tick, self._departures.next_probe())
        patience = RETRY_S if backlog else max(0.0, wake_at - time.monotonic())
        ready = self._poller.poll(math.ceil(1000 * patience))
        now = time.monotonic()
        readable = {socket for socket, _ in ready}
        for socket, take in self._planes:
            if socket in readable:
                self._drain(socket, take, now)
        for socket in self._peers.sockets:
            if socket in readable:
                self._peers.receive(socket, now)
        if backlog:
            self._retry(now)
        if self._departures.monitor in readable:
            self._departures.note(now)
        if now >= self._departures.next_probe():
            self._probe_neurons(now)
        if now >= self._next_tick:
            self._tick(now)

    def _poll_instead(self, old: Socket, new: Socket) -> None:
        self._poller.unregister(old)
        self._poller.register(new, zmq.POLLIN)

    def _tick(self, now: float) -> None:
        if self._source.changed(now) and (problem := self.reload(now)) is not None:
            log.error("the catalogue stays as it was: %s", problem)
        self._perform(self.core.tick(now), now)
        self._peers.tick(now)
        self._operators.tick(now)
        self._log_decisions()
        due = self.core.next_deadline()
        self._next_tick = now + (TICK_S if due is None else min(TICK_S, max(0.001, due - now)))
        if self._metrics is not None and now >= self._next_metrics:
            self._next_metrics = now + METRICS_S
            self._metrics.observe(self.core)

    def _log_decisions(self) -> None:
        """What `cortex-ctl events` tells stands in the log too, which outlives this process."""
        for entry in self.core.state.decisions.since(self._logged):
            log.info("%s %s%s", entry.what, entry.subject, f": {entry.reason}" if entry.reason else "")
        self._logged = self.core.state.decisions.last

    def _probe_neurons(self, now: float) -> None:
        """Find out who has gone: what is sent changes nothing for one that lives."""
        for route in self._departures.probe(self.core.neurons, self._welcome, now):
            self._handle(NeuronUnreachable(route), now)

    def _drain(self, socket: Socket, take: Callable[[list[bytes], float], None], now: float) -> None:
        for _ in range(DRAIN):
            frames = receive(socket)
            if frames is None:
                return
            take(frames, now)
            if not has_mail(socket):
                return

    def _from_neuron(self, frames: list[bytes], now: float) -> None:
        if len(frames) == RELAY_FRAMES and frames[1][:2] == DELTAS and len(frames[1]) == HEADER.size:
            self._relay(frames, now)
        else:
            message = self._receive(self._neurons, FromNeuron, frames, now)
            if isinstance(message, Heartbeat):
                self._answer_beat(message.route, now)

    def _answer_beat(self, route: bytes, now: float) -> None:
        """A device that is not told that it is heard calls anew; one that cannot be told is gone."""
        if route in self.core.neurons and not self._neurons.send(route, self._welcome, now):
            self._handle(NeuronUnreachable(route), now)

    def _relay(self, frames: list[bytes], now: float) -> None:
        """Pass token frames on without decoding: the header was checked to be the registered neuron's."""
        route, header, edge, body = frames
        if self.core.relay(route, header[4:], edge) and not self._edges.send(edge, [header, body], now):
            self._handle(EdgeUnreachable(edge), now)

    def _from_edge(self, frames: list[bytes], now: float) -> None:
        self._receive(self._edges, FromEdge, frames, now)

    def _receive(
        self, mail: Mail, event: type[FromEdge | FromNeuron], frames: list[bytes], now: float
    ) -> Struct | None:
        """Take a message; answers it, or None if it is none."""
        try:
            envelope = unpack(frames[1:])
            message = decode(envelope.kind, envelope.body)
        except UnknownKindError as error:
            self.core.dropped["unsupported"] += 1
            mail.send(frames[0], pack(Unsupported(kind=error.kind), self._session), now)
        except WireError as error:
            self.core.dropped[f"wire_{error.reason}"] += 1
        else:
            self._handle(event(frames[0], envelope.session, message, envelope.attachments), now)
            return message
        return None

    def _handle(self, event: Event, now: float) -> None:
        self._perform(self.core.handle(event, now), now)

    def _perform(self, effects: list[Effect], now: float) -> None:
        """Send what the core wants sent; a peer that is not there becomes an event."""
        for effect in effects:
            to_edge = isinstance(effect, ToEdge)
            mail = self._edges if to_edge else self._neurons
            session = effect.session if isinstance(effect, ToEdge) and effect.session else self._session
            try:
                frames = pack(effect.message, session, effect.payload)
            except WireError as error:
                log.error("could not encode %s: %s", type(effect.message).__name__, error)
                self.core.dropped["unencodable"] += 1
                continue
            if not mail.send(effect.route, frames, now):
                self._handle(mail.gone(effect.route), now)

    def _retry(self, now: float) -> None:
        for mail in (self._edges, self._neurons):
            if mail.has_backlog():
                for route in mail.retry(now):
                    self._handle(mail.gone(route), now)

    # ── operators ────────────────────────────────────────────────────────────────────────────────────────────────

    def texts(self) -> dict[str, str]:
        return self._source.texts()

    def reload(self, now: float) -> str | None:
        """Take the catalogue as its file is now; answers what is wrong with it, and then nothing has changed."""
        problem = self._source.reload()
        if problem is None:
            self._perform(self.core.reload(self._source.catalogue, now), now)
        else:
            self.core.keep_catalogue(problem, now)
        return problem

    def _from_ctl(self, frames: list[bytes], now: float) -> None:
        """The route is everything up to and including the first empty frame."""
        try:
            start = frames.index(b"") + 1
            envelope = unpack(frames[start:])
            message = decode(envelope.kind, envelope.body)
        except UnknownKindError as error:
            text = (
                f"This broker does not know messages of kind {error.kind}; cortex-ctl is of a later version."
            )
            refused = CommandFailed(fault=Fault(code=Code.UNSUPPORTED_MESSAGE, message=text))
            self._to_ctl(frames[:start], refused)
            return
        except (ValueError, WireError):
            self.core.dropped["wire_ctl"] += 1
            return
        self._operators.take(message, lambda answer: self._to_ctl(frames[:start], answer), now)

    def _to_ctl(self, route: list[bytes], answer: Struct) -> None:
        try:
            send(self._ctl, [*route, *pack(answer, self._session)])
        except (zmq.ZMQError, WireError):
            self.core.dropped["ctl_gone"] += 1
