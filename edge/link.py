"""The rim towards the brokers: one connection to each, made after the fork, in the worker's event loop.

Frames become events of the correlation table, its effects become frames and mailbox items; beats go out and the
catalogue comes in. Nothing here decides what a message means or which broker gets what; that is `inflight`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import zmq

from cortex.edge.brokers import BrokerHealth
from cortex.edge.catalogue import Catalogue
from cortex.edge.config import Gateway
from cortex.edge.connection import Connection
from cortex.edge.events import Closing, Deliver, Effect, End, Event, Left, Opened, Received, Send, Ticket
from cortex.edge.inflight import Inflight
from cortex.edge.keeping import Keeper, Keeping
from cortex.edge.stream import Stream
from cortex.protocol.codec import WireError, decode
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.frames import SESSION_BYTES, pack, unpack
from cortex.protocol.kit.sockets import new_context
from cortex.protocol.liveness import INTERVAL, MISSES, Silence
from cortex.protocol.messages import EdgeBeat, Held, Welcome

log = logging.getLogger("cortex.edge")

TICK = 0.25
FIRST_WELCOME = 2.0
"""Seconds that a worker waits for the first broker before it serves without one."""
OTHERS = 0.5
"""Seconds that it waits for the others once one has answered."""
SLOW = Fault(code=Code.CANCELLED, message="The client reads too slowly.")
GONE = Fault(code=Code.CANCELLED, message="The client has left.")


class Link(Protocol):
    """What the resources need of the fleet."""

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def brokers(self) -> tuple[BrokerHealth, ...]: ...

    @property
    def keeping(self) -> Keeper: ...

    async def start(self) -> None:
        """Connect; called in the worker's own event loop."""

    async def stop(self) -> None:
        """Let go of everything."""

    def open(self, ticket: Ticket) -> Stream:
        """Submit a request. Raises `FaultError` if there is nobody to submit it to."""

    def close(self, fault: Fault) -> None:
        """End every open request with this fault."""


class _Peer:
    """One broker as the rim knows it."""

    def __init__(self, index: int, endpoint: str, limit_s: float) -> None:
        self.index = index
        self.endpoint = endpoint
        self.silence = Silence(0.0, limit_s)
        self.connection: Connection | None = None
        self.session = b""
        self.version = -1
        """Of the catalogue that it told."""
        self.live = False
        self.beat_at = 0.0


class FleetLink:
    """The link to all brokers: one socket each, one table. Beats go out every `interval_s` seconds."""

    def __init__(
        self,
        endpoints: Sequence[str],
        settings: Gateway,
        *,
        count_error: Callable[[str], None] = lambda _reason: None,
        interval_s: float = INTERVAL,
    ) -> None:
        self._settings = settings
        self._count_error = count_error
        self._catalogue = Catalogue()
        self._interval_s = interval_s
        expiry_s = MISSES * interval_s
        self._table = Inflight(brokers=len(endpoints), stall_s=settings.stall_s, expiry_s=expiry_s)
        self._peers = [_Peer(index, endpoint, expiry_s) for index, endpoint in enumerate(endpoints)]
        self._streams: dict[str, Stream] = {}
        self._session = os.urandom(SESSION_BYTES)
        self._name = f"edge-{os.getpid()}"
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._keeping = Keeping(
            self._table.ranked,
            lambda index, message, attachments: self._send(Send(index, message, attachments)),
        )

    @property
    def catalogue(self) -> Catalogue:
        return self._catalogue

    @property
    def brokers(self) -> tuple[BrokerHealth, ...]:
        return self._table.brokers

    @property
    def keeping(self) -> Keeping:
        return self._keeping

    async def start(self) -> None:
        """Make the context and the sockets, begin to beat, and wait a moment for the brokers' catalogues.

        A worker that served before it had one would turn away what its neighbour serves. One will do; the others are
        given a moment longer, so that what arrives first does not all go to the broker that happened to be quickest.
        """
        self._loop = asyncio.get_running_loop()
        self._welcomed = asyncio.Event()
        self._complete = asyncio.Event()
        self._context = new_context()
        for peer in self._peers:
            peer.connection = Connection(self._context, peer.endpoint, partial(self._on_frames, peer))
        self._tick()
        latest = self._loop.time() + FIRST_WELCOME
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(latest) as limit:
                await self._welcomed.wait()
                limit.reschedule(min(self._loop.time() + OTHERS, latest))
                await self._complete.wait()
        for peer in self._peers:
            if not peer.live:
                log.warning("no broker answers at %s; it is tried again and again", peer.endpoint)

    async def stop(self) -> None:
        """Stop beating and close; nothing lingers."""
        if self._context is None:
            return
        self._timer.cancel()
        for peer in self._peers:
            if peer.connection is not None:
                peer.connection.close()
                peer.connection = None
        self._context.term()
        self._context = None

    def open(self, ticket: Ticket) -> Stream:
        """Submit a request; its verdict, deltas and terminal arrive in the stream."""
        if not self._table.live:
            raise FaultError(Fault(code=Code.BROKER_LOST, message="No broker can be reached; try again."))
        stream = Stream(ticket.request, leave=self._leave, keepalive_s=self._settings.keepalive_s)
        self._streams[ticket.request] = stream
        self._handle(Opened(ticket))
        return stream

    def close(self, fault: Fault) -> None:
        """End every open request with this fault."""
        self._handle(Closing(fault))

    def _leave(self, request: str) -> None:
        self._handle(Left(request, GONE))

    # ── table ──

    def _handle(self, event: Event) -> None:
        self._perform(self._table.handle(event, self._loop.time()))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Deliver:
                stream = self._streams.get(effect.request)
                if stream is not None and not stream.put(effect.item):
                    self._handle(Left(effect.request, SLOW))
            elif isinstance(effect, Send):
                self._send(effect)
            elif isinstance(effect, End):
                ended = self._streams.pop(effect.request, None)
                if ended is not None:
                    ended.end(effect.outcome, effect.payload)

    def _send(self, effect: Send) -> None:
        connection = self._peers[effect.broker].connection
        if connection is None:
            return
        try:
            frames = pack(effect.message, self._session, effect.attachments)
        except WireError as error:
            self._count_error(error.reason)
            return
        if not connection.send(frames):
            self._count_error("outbox_full")

    # ── brokers ──

    def _on_frames(self, peer: _Peer, frames: list[bytes]) -> None:
        try:
            envelope = unpack(frames)
            message = decode(envelope.kind, envelope.body)
        except WireError as error:
            self._count_error(error.reason)
            return
        peer.silence.heard()
        if type(message) is Welcome:
            self._on_welcome(peer, envelope.session, message)
        payload = tuple(bytes(frame) for frame in envelope.attachments)
        if type(message) is Held:
            self._keeping.answered(peer.index, message, payload)
        self._handle(Received(peer.index, envelope.session, message, payload))

    def _on_welcome(self, peer: _Peer, session: bytes, message: Welcome) -> None:
        if session != peer.session and peer.connection is not None:
            peer.connection.forget()  # it was meant for the broker that is gone; the table submits again
        if not peer.live:
            log.info("broker %s at %s answers", message.broker, peer.endpoint)
        peer.session = session
        peer.live = True
        self._catalogue.update(message, source=peer.index)
        peer.version = self._catalogue.version_of(peer.index)
        self._welcomed.set()
        if all(other.live for other in self._peers):
            self._complete.set()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(min(TICK, self._interval_s / 4), self._tick)
        now = self._loop.time()
        try:
            for peer in self._peers:
                if peer.connection is not None:
                    peer.connection.read()  # what waits in the socket is not silence
            effects = self._table.tick(now)
            for peer, health in zip(self._peers, self._table.brokers, strict=True):
                if peer.live and not health.live:
                    self._on_silent(peer, health.name)
            self._perform(effects)
            for peer in self._peers:
                self._look_after(peer, now)
                self._beat(peer, now)
        except Exception:
            log.exception("a turn of the link failed")
            self._count_error("link_turn")

    def _on_silent(self, peer: _Peer, name: str) -> None:
        log.warning("broker %s at %s is silent", name, peer.endpoint)
        peer.live = False
        peer.version = -1
        self._catalogue.lose_broker(source=peer.index)
        self._renew(peer)  # what waits there goes to another, or is submitted again

    def _look_after(self, peer: _Peer, now: float) -> None:
        """One that is reached and says nothing does not hear: it has another of this route in its books."""
        if peer.connection is not None and peer.silence.is_over_long(now, reaches=peer.connection.reaches):
            self._renew(peer)

    def _renew(self, peer: _Peer) -> None:
        peer.silence.renewed()
        peer.beat_at = 0.0
        if peer.connection is not None:
            peer.connection.renew()

    def _beat(self, peer: _Peer, now: float) -> None:
        connection = peer.connection
        if connection is None:
            return
        beat = EdgeBeat(name=self._name, catalogue=peer.version)
        if now >= peer.beat_at and connection.put(pack(beat, self._session)):
            peer.beat_at = now + self._interval_s
        connection.flush()
