"""The counter thread: tells how many tokens a prompt has, from a socket of its own, while the device thread computes.

It answers in the order of arrival. Whoever asks waits for a second only, so what comes faster than it can be counted
is refused at once. What counting is, the engine says; nothing is shared with the device thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable

import zmq

from cortex.protocol.codec import WireError, decode, decode_request
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.frames import Frame, pack, unpack
from cortex.protocol.kit.sockets import Plane, open_socket, receive, send
from cortex.protocol.messages import Tallied, Tally
from cortex.protocol.request import Chat, Count

log = logging.getLogger("cortex.device")

Tell = Callable[[Chat, str], int]
"""The tokens of a chat, for a model with this source; an empty one is known by its name. Raises `FaultError`."""
WAITING = 64
"""Counts that may wait here."""
WAKE_MS = 100
CROWDED = Fault(code=Code.OVERLOADED, message="Too many prompts are being counted; try again.")
FAILED = Fault(
    code=Code.ENGINE_FAILED, message="The prompt could not be counted; the neuron's log has the reason."
)

Socket = zmq.Socket[bytes]


class Counter(threading.Thread):
    """Counts from `start()` until `stop()`. Start it once the engine has: whoever forks must not have it half-way."""

    def __init__(
        self, context: zmq.Context[Socket], brokers: tuple[str, ...], route: bytes, session: bytes, tell: Tell
    ) -> None:
        super().__init__(name="counter", daemon=True)
        self._context = context
        self._brokers = brokers
        self._route = route
        self._session = session
        self._tell = tell
        self._over = threading.Event()
        self._waiting: deque[tuple[Socket, Tally, Frame]] = deque()

    def stop(self) -> None:
        """It ends after what it counts just now; nobody waits for that."""
        self._over.set()

    def run(self) -> None:
        poller = zmq.Poller()
        sockets = []
        for broker in self._brokers:
            socket = open_socket(self._context, zmq.DEALER, Plane.COUNTER, route=self._route)
            socket.connect(broker)
            poller.register(socket, zmq.POLLIN)
            sockets.append(socket)
        try:
            while not self._over.is_set():
                poller.poll(0 if self._waiting else WAKE_MS)
                for socket in sockets:
                    self._read(socket)
                if self._waiting:
                    socket, tally, blob = self._waiting.popleft()
                    self._answer(socket, self._counted(tally, blob))
        except zmq.ContextTerminated:
            pass
        finally:
            for socket in sockets:
                socket.close()

    def _read(self, socket: Socket) -> None:
        """Take all that has come; the oldest are the likeliest to be waited for no longer."""
        while (frames := receive(socket)) is not None:
            try:
                envelope = unpack(frames)
                message = decode(envelope.kind, envelope.body)
            except WireError as error:
                log.warning("dropped a message that is not ours: %s", error.reason)
                continue
            if not isinstance(message, Tally) or not envelope.attachments:
                continue
            self._waiting.append((socket, message, envelope.attachments[0]))
            if len(self._waiting) > WAITING:
                asked, oldest, _ = self._waiting.popleft()
                self._answer(asked, _refusal(oldest, CROWDED))

    def _counted(self, tally: Tally, blob: Frame) -> Tallied:
        try:
            request = decode_request(blob)
            if not isinstance(request, Count):
                return _refusal(tally, FAILED)
            tokens = self._tell(request.chat, tally.source)
        except FaultError as error:
            return _refusal(tally, error.fault)
        except Exception:  # a tokenizer or a template that meets what nobody thought of
            log.exception("request %s could not be counted", tally.request)
            return _refusal(tally, FAILED)
        return Tallied(request=tally.request, attempt=tally.attempt, edge=tally.edge, tokens=tokens)

    def _answer(self, socket: Socket, answer: Tallied) -> None:
        with contextlib.suppress(zmq.Again):  # not connected any more: the edge estimates
            send(socket, pack(answer, self._session))


def _refusal(tally: Tally, fault: Fault) -> Tallied:
    return Tallied(request=tally.request, attempt=tally.attempt, edge=tally.edge, fault=fault)
