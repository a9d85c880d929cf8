"""Ask a broker over REQ: a deadline on every try, and a fresh socket for each, because a REQ that waits is stuck."""

from __future__ import annotations

import os

import zmq
from msgspec import Struct

from cortex.protocol.codec import WireError, decode
from cortex.protocol.faults import FaultError
from cortex.protocol.frames import SESSION_BYTES, pack, unpack
from cortex.protocol.kit.sockets import Plane, new_context, open_socket
from cortex.protocol.messages import CommandFailed

TRIES = 3
TRY_MS = 1000


class NoAnswerError(Exception):
    """No broker answered; the message names the endpoint."""


def ask(endpoint: str, message: Struct, *, tries: int = TRIES, try_ms: int | None = None) -> Struct:
    """Send a message and answer the reply. Commands are idempotent, so a try may be repeated.

    Raises `NoAnswerError` without an answer, `FaultError` when the broker refuses.
    """
    context = new_context()
    session = os.urandom(SESSION_BYTES)
    try:
        for _ in range(tries):
            reply = _try(context, endpoint, message, session, TRY_MS if try_ms is None else try_ms)
            if isinstance(reply, CommandFailed):
                raise FaultError(reply.fault)
            if reply is not None:
                return reply
    finally:
        context.destroy(linger=0)
    raise NoAnswerError(
        f"no broker answers at {endpoint}; is cortex running? "
        "(one that was started with --data DIR is asked with --data DIR, any other with --endpoint EP)"
    )


def _try(
    context: zmq.Context[zmq.Socket[bytes]], endpoint: str, message: Struct, session: bytes, try_ms: int
) -> Struct | None:
    with open_socket(context, zmq.REQ, Plane.CTL_CLIENT) as socket:
        socket.setsockopt(zmq.SNDTIMEO, try_ms)
        socket.setsockopt(zmq.RCVTIMEO, try_ms)
        try:
            socket.connect(endpoint)
            socket.send_multipart(pack(message, session))
            envelope = unpack(socket.recv_multipart())
            return decode(envelope.kind, envelope.body)
        except zmq.Again:
            return None
        except zmq.ZMQError as error:
            raise NoAnswerError(f"{endpoint}: {error.strerror}") from error
        except WireError as error:
            raise NoAnswerError(f"{endpoint}: the answer is not from a cortex broker ({error})") from error
