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
from cortex.protocol.kit.sockets import Plane, bind, new_route, open_socket, receive, send
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


class PeerPlane:
    """`take` answers what another broker passes on; it must not pass it on again."""

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
        self._pending: dict[int, Pending] = {}
        self._number = 0
        self._dealers: list[Socket] = []
        self._names: dict[str, Socket] = {}
        self.router: Socket | None = None
        if endpoint:
            self.router = open_socket(context, zmq.ROUTER, Plane.PEER)
            bind(self.router, endpoint, insecure_open=insecure_open)
        for peer in peers:
            if peer == endpoint:
                continue  # one list for all brokers holds oneself too
            dealer = open_socket(context, zmq.DEALER, Plane.PEER, route=new_route(b"B"))
            dealer.connect(peer)
            self._dealers.append(dealer)

    @property
    def sockets(self) -> tuple[Socket, ...]:
        return (*self._dealers, *((self.router,) if self.router is not None else ()))

    def forward(self, name: str, message: Struct, reply: Reply, now: float) -> bool:
        """Pass an operator's message to the broker of this name; False if there is no way to it."""
        dealer = self._names.get(name)
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
        if now >= self._next_beat and self._dealers:
            self._next_beat = now + liveness.INTERVAL
            frames = pack(self._beat(), self._session)
            for dealer in self._dealers:
                self._send(dealer, frames)
        for number in [number for number, pending in self._pending.items() if now >= pending.until]:
            self._pending.pop(number).reply(CommandFailed(fault=NO_ANSWER))

    def receive(self, socket: Socket, now: float) -> None:
        """Take what came on one of the sockets."""
        while (frames := receive(socket)) is not None:
            try:
                self._on_frames(socket, frames, now)
            except WireError as error:
                log.warning("dropped a message of another broker: %s", error.reason)

    def _on_frames(self, socket: Socket, frames: list[bytes], now: float) -> None:
        route: list[Frame] = [frames[0]] if socket is self.router else []
        envelope = unpack(frames[len(route) :])
        message = decode(envelope.kind, envelope.body)
        match message:
            case PeerBeat():
                if not route:
                    self._names[message.name] = socket
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
