"""The device thread: owns the engine and one socket per broker, and is the only code that touches either.

One turn: take what brokers sent (without blocking while there is work), one engine step, send what it produced.
It blocks on its sockets only when the engine has nothing to do. Decides nothing: `cortex.neuron.core` does.
"""

from __future__ import annotations

import logging
import math
import time

import zmq

from cortex.neuron.core import Core
from cortex.neuron.device.lines import Lines
from cortex.neuron.device.progress import Progress
from cortex.neuron.engine.base import Engine
from cortex.neuron.outbox import Batch
from cortex.protocol.codec import WireError, decode, encode
from cortex.protocol.deltas import Deltas
from cortex.protocol.frames import Frame, UnknownKindError, pack, pack_deltas, unpack
from cortex.protocol.kit.signals import Stop
from cortex.protocol.kit.sockets import is_writable, receive, send
from cortex.protocol.liveness import Silence
from cortex.protocol.messages import Generate, Unsupported

log = logging.getLogger("cortex.device")

IDLE_S = 0.5
"""An idle thread turns at least this often, so that its counter moves."""
DETAIL_S = 0.25
"""What changes with every request, but is only told with the heartbeat, is collected this often."""
DRAIN = 256
"""Messages taken from one broker in one turn."""
FAREWELL_S = 0.5


class DeviceLoop:
    """Run with `run()` on the device's own thread."""

    def __init__(
        self, lines: Lines, session: bytes, core: Core, engine: Engine, *, progress: Progress, stop: Stop
    ) -> None:
        self._lines = lines
        self._sockets = lines.sockets
        self._session = session
        self._core = core
        self._engine = engine
        self._progress = progress
        self._stop = stop
        self._detail_at = 0.0
        self._poller = zmq.Poller()
        self._poller.register(stop.fileno(), zmq.POLLIN)
        for socket in self._sockets:
            self._poller.register(socket, zmq.POLLIN)
        now = time.monotonic()
        self._silences = [Silence(now) for _ in self._sockets]

    def run(self) -> bool:
        """Serve until asked to stop; answers whether to be started afresh.

        What makes the device unusable leaves as an exception.
        """
        try:
            while not self._stop.requested and not self._core.wants_restart:
                self._turn()
            self._farewell()
            return not self._stop.requested
        finally:
            self._engine.close()
            self._lines.close()

    def _turn(self) -> None:
        readable = dict(self._poller.poll(math.ceil(1000 * self._patience(time.monotonic()))))
        now = time.monotonic()
        self._progress.begin("idle", now)
        self._watch_links(now)
        for index, socket in enumerate(self._sockets):
            if socket in readable:
                self._receive(index, socket, now)
        self._watch_silences(now)
        if self._engine.due(now) == 0:
            self._progress.begin(self._engine.phase, now)
            self._core.produced(self._engine.step(now), now)
            self._progress.begin("idle", time.monotonic())
        self._core.tick(now)
        for index in range(len(self._sockets)):
            self._flush(index)
        self._report(now)

    def _patience(self, now: float) -> float:
        """How long this turn may block: until the engine is due, shortly if a backlog waits."""
        due = self._engine.due(now)
        patience = IDLE_S if due is None else min(due, IDLE_S)
        backlog = any(len(link.outbox) and link.down_since is None for link in self._core.links)
        return min(patience, 0.005) if backlog else patience

    def _watch_links(self, now: float) -> None:
        """IMMEDIATE makes a socket without a connection unwritable; so does a broker that stands still."""
        for index, socket in enumerate(self._sockets):
            link = self._core.links[index]
            writable = is_writable(socket)
            if writable and link.down_since is not None:
                self._core.link_up(index)
                log.info("connected to the broker at %s", self._lines.endpoint(index))
            elif not writable and link.down_since is None:
                self._core.link_down(index, now)
                log.warning("no connection to the broker at %s", self._lines.endpoint(index))

    def _watch_silences(self, now: float) -> None:
        """A broker that is reached and does not answer does not hear: it has another of this route in its books."""
        for index, silence in enumerate(self._silences):
            link = self._core.links[index]
            if link.down_since is None and not link.awaits:
                silence.heard()
            if not silence.is_over_long(now, reaches=link.down_since is None):
                continue
            log.warning("the broker at %s is silent; it is called anew", self._lines.endpoint(index))
            silence.renewed()
            self._poller.unregister(self._sockets[index])
            self._poller.register(self._lines.renew(index), zmq.POLLIN)
            self._core.link_renewed(index, self._lines.addresses[index].counter, now)

    def _receive(self, index: int, socket: zmq.Socket[bytes], now: float) -> None:
        for _ in range(DRAIN):
            frames = receive(socket)
            if frames is None:
                return
            self._silences[index].heard()
            self._take(index, frames, now)

    def _take(self, index: int, frames: list[bytes], now: float) -> None:
        try:
            envelope = unpack(frames)
            message = decode(envelope.kind, envelope.body)
        except UnknownKindError as error:
            self._core.links[index].outbox.post(Unsupported(kind=error.kind))
        except WireError as error:
            self._core.dropped += 1
            log.warning("dropped a message that is not ours: %s", error.reason)
        else:
            self._progress.taking = message.request if isinstance(message, Generate) else ""
            self._core.handle(index, envelope.session, message, envelope.attachments, now)
            self._progress.taking = ""

    def _flush(self, index: int) -> None:
        """Send in order until the socket will not take more; nothing is dropped."""
        outbox = self._core.links[index].outbox
        socket = self._sockets[index]
        while (entry := outbox.first()) is not None:
            frames: list[Frame]
            if isinstance(entry, Batch):
                frames = pack_deltas(encode(Deltas(entry.items)), self._session, entry.edge)
            else:
                frames = pack(entry.message, self._session, entry.payload)
            try:
                send(socket, frames)
            except zmq.Again:
                return
            outbox.sent()

    def _report(self, now: float) -> None:
        progress = self._progress
        residency = self._core.residency
        progress.turn += 1
        progress.live = self._core.live
        progress.tokens = self._core.tokens
        if now >= self._detail_at:
            self._detail_at = now + DETAIL_S
            progress.use = residency.use
            progress.free_bytes = residency.free_bytes
            progress.detail = residency.detail

    def _farewell(self) -> None:
        """Tell everybody, and give the sockets a moment to hand it over."""
        self._core.leave(time.monotonic())
        until = time.monotonic() + FAREWELL_S
        while any(len(link.outbox) and link.down_since is None for link in self._core.links):
            for index in range(len(self._sockets)):
                self._flush(index)
            if time.monotonic() >= until:
                return
            time.sleep(0.005)
        for socket in self._sockets:
            socket.setsockopt(zmq.LINGER, int(FAREWELL_S * 1000))
