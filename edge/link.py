"""The rim towards the brokers: one DEALER to each, made after the fork, read by the event loop.

Frames become events of the correlation table, its effects become frames and mailbox items. A ZeroMQ descriptor
tells of changes only: it is read until nothing is left, and looked at again after each send. `zmq.asyncio` costs
seven times as much. Nothing here decides what a message means; that is `inflight`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable
from typing import Protocol

import zmq

from cortex.edge.catalogue import Catalogue
from cortex.edge.config import Gateway
from cortex.edge.events import Closing, Deliver, Effect, Event, Left, Opened, Received, Send, Ticket
from cortex.edge.inflight import Inflight
from cortex.edge.stream import Stream
from cortex.protocol.codec import WireError, decode
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.frames import SESSION_BYTES, Frame, pack, unpack
from cortex.protocol.kit.sockets import Plane, has_mail, new_context, new_route, open_socket, receive, send
from cortex.protocol.liveness import INTERVAL
from cortex.protocol.messages import EdgeBeat, Welcome

log = logging.getLogger("cortex.edge")

TICK = 0.25
FIRST_WELCOME = 2.0
FRAMES_PER_TURN = 256
"""How many frames are read before others get a turn of the loop."""
OUTBOX = 4096
SLOW = Fault(code=Code.CANCELLED, message="The client reads too slowly.")
GONE = Fault(code=Code.CANCELLED, message="The client has left.")


class Link(Protocol):
    """What the resources need of the fleet."""

    @property
    def catalogue(self) -> Catalogue: ...

    async def start(self) -> None:
        """Connect; called in the worker's own event loop."""

    async def stop(self) -> None:
        """Let go of everything."""

    def open(self, ticket: Ticket) -> Stream:
        """Submit a request. Raises `FaultError` if there is nobody to submit it to."""

    def close(self, fault: Fault) -> None:
        """End every open request with this fault."""


class BrokerLink:
    """The link to one broker."""

    def __init__(
        self, endpoint: str, settings: Gateway, *, count_error: Callable[[str], None] = lambda _reason: None
    ) -> None:
        self.endpoint = endpoint
        self._settings = settings
        self._count_error = count_error
        self._catalogue = Catalogue()
        self._table = Inflight(stall_s=settings.stall_s)
        self._streams: dict[str, Stream] = {}
        self._session = os.urandom(SESSION_BYTES)
        self._broker = b""
        self._name = f"edge-{os.getpid()}"
        self._outbox: deque[list[Frame]] = deque()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None

    @property
    def catalogue(self) -> Catalogue:
        return self._catalogue

    async def start(self) -> None:
        """Make the context and the socket, begin to beat, and wait a moment for the broker's catalogue.

        A worker that served before it had one would turn away what its neighbour serves.
        """
        self._loop = asyncio.get_running_loop()
        self._context = new_context()
        self._socket = open_socket(self._context, zmq.DEALER, Plane.EDGE, route=new_route(b"E"))
        self._socket.connect(self.endpoint)
        self._fd = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._fd, self._on_readable)
        self._beat_at = 0.0
        self._welcomed = asyncio.Event()
        self._tick()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WELCOME):
                await self._welcomed.wait()

    async def stop(self) -> None:
        """Stop beating and close; nothing lingers."""
        if self._context is None:
            return
        self._timer.cancel()
        self._loop.remove_reader(self._fd)
        self._socket.close(linger=0)
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
            if isinstance(effect, Deliver):
                stream = self._streams.get(effect.request)
                if stream is not None and not stream.put(effect.item):
                    self._handle(Left(effect.request, SLOW))
            elif isinstance(effect, Send):
                self._send(effect)
            else:
                ended = self._streams.pop(effect.request, None)
                if ended is not None:
                    ended.end(effect.outcome)

    # ── sending ──

    def _send(self, effect: Send) -> None:
        try:
            frames = pack(effect.message, self._session, effect.attachments)
        except WireError as error:
            self._count_error(error.reason)
            return
        if self._outbox or not self._put(frames):
            if len(self._outbox) < OUTBOX:
                self._outbox.append(frames)
            else:
                self._count_error("outbox_full")

    def _put(self, frames: list[Frame]) -> bool:
        """Send now, if there is somebody to take it."""
        if self._context is None:
            return False
        try:
            send(self._socket, frames)
        except zmq.Again:
            return False
        if has_mail(self._socket):
            self._loop.call_soon(self._on_readable)  # the descriptor will not tell again
        return True

    def _flush(self) -> None:
        while self._outbox and self._put(self._outbox[0]):
            self._outbox.popleft()

    # ── receiving ──

    def _on_readable(self) -> None:
        for _ in range(FRAMES_PER_TURN):
            if self._context is None:
                return
            frames = receive(self._socket)
            if frames is None:
                break
            self._on_frames(frames)
        else:
            self._loop.call_soon(self._on_readable)
        if self._outbox:
            self._flush()

    def _on_frames(self, frames: list[bytes]) -> None:
        try:
            envelope = unpack(frames)
            message = decode(envelope.kind, envelope.body)
        except WireError as error:
            self._count_error(error.reason)
            return
        if isinstance(message, Welcome):
            if envelope.session != self._broker:
                self._outbox.clear()  # it was meant for the broker that is gone; the table submits again
            self._broker = envelope.session
            self._catalogue.update(message)
            self._welcomed.set()
        self._handle(Received(envelope.session, message))

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK, self._tick)
        now = self._loop.time()
        try:
            self._on_readable()  # what waits in the socket is not silence
            self._perform(self._table.tick(now))
            if not self._table.live and self._catalogue.broker:
                log.warning("broker %s at %s is silent", self._catalogue.broker, self.endpoint)
                self._catalogue.lose_broker()
            beat = EdgeBeat(name=self._name, catalogue=self._catalogue.version)
            if now >= self._beat_at and self._put(pack(beat, self._session)):
                self._beat_at = now + INTERVAL
            self._flush()
        except Exception:
            log.exception("a turn of the link failed")
            self._count_error("link_turn")
