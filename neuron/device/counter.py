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

from cortex.neuron.device.lines import Address, Addresses
from cortex.neuron.engine.base import Length
from cortex.protocol.codec import WireError, decode, decode_request
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.frames import Frame, pack, unpack
from cortex.protocol.kit.sockets import Plane, dial, receive, send
from cortex.protocol.messages import Tallied, Tally
from cortex.protocol.request import Chat, Count

log = logging.getLogger("cortex.device")

Tell = Callable[[Chat, str], Length]
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
        self, context: zmq.Context[Socket], addresses: Addresses, session: bytes, tell: Tell
    ) -> None:
        super().__init__(name="counter", daemon=True)
        self._context = context
        self._addresses = addresses
        self._session = session
        self._tell = tell
        self._over = threading.Event()
        self._poller = zmq.Poller()
        self._lines: list[tuple[Address, Socket]] = []
        self._waiting: deque[tuple[Socket, Tally, Frame]] = deque()

    def stop(self) -> None:
        """It ends after what it counts just now; nobody waits for that."""
        self._over.set()

    def run(self) -> None:
        self._lines = [self._dial(index) for index in range(len(self._addresses))]
        try:
            while not self._over.is_set():
                self._poller.poll(0 if self._waiting else WAKE_MS)
                for index, (address, socket) in enumerate(self._lines):
                    self._read(socket)
                    if address is not self._addresses[index]:
                        self._renew(index)
                if self._waiting:
                    socket, tally, blob = self._waiting.popleft()
                    self._answer(socket, self._counted(tally, blob))
        except zmq.ContextTerminated:
            pass
        finally:
            for _, socket in self._lines:
                socket.close()

    def _dial(self, index: int) -> tuple[Address, Socket]:
        address = self._addresses[index]
        socket = dial(self._context, Plane.COUNTER, self._addresses.brokers[index], address.counter)
        self._poller.register(socket, zmq.POLLIN)
        return address, socket

    def _renew(self, index: int) -> None:
        """The device thread heard nothing from there; nobody waits any more for what was asked before."""
        _, old = self._lines[index]
        self._waiting = deque(one for one in self._waiting if one[0] is not old)
        self._poller.unregister(old)
        old.close(linger=0)
        self._lines[index] = self._dial(index)

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
            found = self._tell(request.chat, tally.source)
        except FaultError as error:
            return _refusal(tally, error.fault)
        except Exception:  # a tokenizer or a template that meets what nobody thought of
            log.exception("request %s could not be counted", tally.request)
            return _refusal(tally, FAILED)
        return Tallied(
            request=tally.request,
            attempt=tally.attempt,
            edge=tally.edge,
            tokens=found.tokens,
            estimated=found.estimated,
        )

    def _answer(self, socket: Socket, answer: Tallied) -> None:
        with contextlib.suppress(zmq.Again):  # not connected any more: the edge estimates
            send(socket, pack(answer, self._session))


def _refusal(tally: Tally, fault: Fault) -> Tallied:
    return Tallied(request=tally.request, attempt=tally.attempt, edge=tally.edge, fault=fault)
