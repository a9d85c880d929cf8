"""The plane between brokers, rim: a ROUTER that the others connect to, and a DEALER to each that is listed.

A beat goes to every listed broker once a second and is answered in kind, so that each end learns the other's name and
life even where only one of them lists the other. An operator's question for another broker's model travels as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import zmq
from msgspec import Struct

from cortex.broker.events import Event, FromPeer
from cortex.broker.mail import Socket
from cortex.protocol import liveness
from cortex.protocol.codec import WireError, decode, encode
from cortex.protocol.faults import Code, Fault
from cortex.protocol.frames import Frame, pack, unpack
from cortex.protocol.kit.sockets import Plane, bind, dial, is_writable, new_route, open_socket, receive, send
from cortex.protocol.messages import KINDS, CommandFailed, Forward, Forwarded, Kind, PeerBeat

log = logging.getLogger("cortex.broker")

Reply = Callable[[Struct], None]
Take = Callable[[Struct, Reply, float], None]
ANSWER_S = 12.0
"""Longer than the longest poll."""
NO_ANSWER = Fault(code=Code.BROKER_LOST, message="The broker that owns this model did not answer; try again.")


@dataclass(slots=True)
class Pending:
    reply: Reply
    until: float


@dataclass(slots=True, eq=False)
class Line:
    """The way to one listed broker; `name` is empty until it has answered."""

    endpoint: str
    socket: Socket
    silence: liveness.Silence
    name: str = ""


class PeerPlane:
    """`take` answers what another broker passes on; it must not pass it on again.

    `replaced` is told of a socket that is closed, before it is, and of the one in its place.
    """

    def __init__(
        self,
        context: zmq.Context[Socket],
        session: bytes,
        endpoint: str,
        peers: tuple[str, ...],
        *,
        beat: Callable[[], PeerBeat],
        handle: Callable[[Event, float], None],
        insecure_open: bool = False,
    ) -> None:
        self._session = session
        self._beat = beat
        self._next_beat = 0.0
        self._handle = handle
        self.take: Take = lambda _message, _reply, _now: None
        self.replaced: Callable[[Socket, Socket], None] = lambda _old, _new: None
        self._pending: dict[int, Pending] = {}
        self._number = 0
        self._context = context
        self._lines: list[Line] = []
        self.router: Socket | None = None
        if endpoint:
            self.router = open_socket(context, zmq.ROUTER, Plane.PEER)
            bind(self.router, endpoint, insecure_open=insecure_open)
        for peer in peers:
            if peer == endpoint:
                continue  # one list for all brokers holds oneself too
            self._lines.append(Line(peer, self._dial(peer), liveness.Silence(0.0)))

    @property
    def sockets(self) -> tuple[Socket, ...]:
        return (*(line.socket for line in self._lines), *((self.router,) if self.router is not None else ()))

    def forward(self, name: str, message: Struct, reply: Reply, now: float) -> bool:
        """Pass an operator's message to the broker of this name; False if there is no way to it."""
        dealer = next((line.socket for line in self._lines if line.name == name), None)
        if dealer is None:
            return False
        self._number += 1
        wrapped = Forward(number=self._number, kind=KINDS[type(message)], body=encode(message))
        if not self._send(dealer, pack(wrapped, self._session)):
            return False
        self._pending[self._number] = Pending(reply, now + ANSWER_S)
        return True

    def tick(self, now: float) -> None:
        """Beat when it is time, and answer for a broker that did not. One that is not connected misses the beat."""
        for line in self._lines:
            if line.silence.is_over_long(now, reaches=is_writable(line.socket)):
                self._renew(line)
        if now >= self._next_beat and self._lines:
            self._next_beat = now + liveness.INTERVAL
            frames = pack(self._beat(), self._session)
            for line in self._lines:
                self._send(line.socket, frames)
        for number in [number for number, pending in self._pending.items() if now >= pending.until]:
            self._pending.pop(number).reply(CommandFailed(fault=NO_ANSWER))

    def _dial(self, endpoint: str) -> Socket:
        return dial(self._context, Plane.PEER, endpoint, new_route(b"B"))

    def _renew(self, line: Line) -> None:
        """It is reached and does not answer, so it does not hear: call it as somebody whom it has never met."""
        log.warning("the broker at %s is silent; it is called anew", line.endpoint)
        old, line.socket = line.socket, self._dial(line.endpoint)
        line.silence.renewed()
        self.replaced(old, line.socket)
        old.close(linger=0)

    def receive(self, socket: Socket, now: float) -> None:
        """Take what came on one of the sockets."""
        while (frames := receive(socket)) is not None:
            try:
                self._on_frames(socket, frames, now)
            except WireError as error:
                log.warning("dropped a message of another broker: %s", error.reason)

    def _on_frames(self, socket: Socket, frames: list[bytes], now: float) -> None:
        line = next((line for line in self._lines if line.socket is socket), None)
        if line is not None:
            line.silence.heard()
        route: list[Frame] = [frames[0]] if line is None else []
        envelope = unpack(frames[len(route) :])
        message = decode(envelope.kind, envelope.body)
        match message:
            case PeerBeat():
                if line is not None:
                    line.name = message.name
                else:
                    self._send(socket, [*route, *pack(self._beat(), self._session)])
                self._handle(FromPeer(message), now)
            case Forward(number=number, kind=kind, body=body) if route:
                question = _inner(kind, body)
                self.take(question, lambda answer: self._answer(route, number, answer), now)
            case Forwarded(number=number, kind=kind, body=body) if not route:
                answer = _inner(kind, body)
                pending = self._pending.pop(number, None)
                if pending is not None:
                    pending.reply(answer)
            case _:
                raise WireError("unexpected", type(message).__name__)

    def _answer(self, route: list[Frame], number: int, answer: Struct) -> None:
        assert self.router is not None
        wrapped = Forwarded(number=number, kind=KINDS[type(answer)], body=encode(answer))
        self._send(self.router, [*route, *pack(wrapped, self._session)])

    def _send(self, socket: Socket, frames: list[Frame]) -> bool:
        try:
            send(socket, frames)
        except zmq.ZMQError:  # not connected, or not reading: it will be missed, or asked again
            return False
        return True

    def close(self) -> None:
        for socket in self.sockets:
            socket.close()


def _inner(number: int, body: bytes) -> Struct:
    """The message that another broker passes on; one of a later version is a `WireError` like any other."""
    try:
        kind = Kind(number)
    except ValueError as error:
        raise WireError("unsupported", str(number)) from error
    return decode(kind, body)
