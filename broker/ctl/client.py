"""Ask a broker over REQ: a deadline on every try, and a fresh socket for each, because a REQ that waits is stuck.

It knows which reply belongs to which question's conversation only as far as it is told, and prints nothing.
"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import zmq
from msgspec import Struct

from cortex.protocol.codec import WireError, decode
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.frames import SESSION_BYTES, UnknownKindError, pack, unpack
from cortex.protocol.kit.sockets import Plane, ipc_path, new_context, open_socket
from cortex.protocol.messages import CommandFailed, Status, StatusQuery, Unsupported

TRIES = 3
TRY_MS = 1000
"""Of the first try; each later one is twice as patient."""
TIMEOUT_S = 5.0
"""How long a question is asked again before nobody is believed to be there."""

T = TypeVar("T", bound=Struct)


class NoAnswerError(Exception):
    """No broker answered, or nothing that makes sense; the message names the endpoint."""


class OlderBrokerError(NoAnswerError):
    """A broker is there and does not know the question."""


class Reply(NamedTuple):
    message: Struct
    session: bytes
    """Of the broker's process."""


class Client:
    """One broker, asked as often as it takes. `with` closes it.

    `timeout_s` is how long a question is repeated; left out, 5 s, and a socket file that is not there is believed at
    once.
    """

    def __init__(self, endpoint: str, *, timeout_s: float | None = None) -> None:
        self.endpoint = endpoint
        self.peer = b""
        """The session of the broker process that answered last; another one means that it was started again."""
        self._timeout_s = timeout_s
        self._session = os.urandom(SESSION_BYTES)
        self._context = new_context()
        self._path = ipc_path(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._context.destroy(linger=0)

    def ask(self, message: Struct, expected: type[T], *, held_ms: int = 0) -> T:
        """Send a message and answer the reply, which the broker may hold back for `held_ms`.

        A lost reply is asked for again with the very same message; commands are idempotent by their id. Raises
        `NoAnswerError` without an answer, `OlderBrokerError` from a broker that does not know the message,
        `FaultError` when it refuses.
        """
        if self._path is not None and self._timeout_s is None and not self.peer:
            self._look_for(self._path)
        left_ms = int(1000 * (TIMEOUT_S if self._timeout_s is None else self._timeout_s))
        patience_ms = TRY_MS
        while left_ms > 0:
            granted = min(patience_ms, left_ms)
            reply = _try(self._context, self.endpoint, message, self._session, granted + held_ms)
            if reply is not None:
                return self._checked(message, reply, expected)
            left_ms -= granted
            patience_ms *= 2
        return self._checked(message, self._after_silence(message, held_ms), expected)

    def _look_for(self, path: Path) -> None:
        try:
            there = path.exists()
        except PermissionError as error:
            raise NoAnswerError(
                f"{self.endpoint}: this user may not open it; run cortex-ctl as the user that cortex runs as"
            ) from error
        if not there:
            raise NoAnswerError(self._nobody())

    def _checked(self, message: Struct, reply: Reply, expected: type[T]) -> T:
        self.peer = reply.session
        answer = reply.message
        if isinstance(answer, expected):
            return answer
        if isinstance(answer, CommandFailed) and answer.fault.code is not Code.UNSUPPORTED_MESSAGE:
            raise FaultError(answer.fault)
        if isinstance(answer, CommandFailed | Unsupported):
            raise OlderBrokerError(
                f"the broker at {self.endpoint} does not know {_name(message)}: it is older than this cortex-ctl "
                f"({metadata.version('cortex-mesh')}); bring both to the same version"
            )
        raise NoAnswerError(
            f"{self.endpoint}: answered {_name(message)} with {_name(answer)}; is this the broker's ctl endpoint?"
        )

    def _after_silence(self, message: Struct, held_ms: int) -> Reply:
        """Tell a broker that keeps silent about this one message, as old ones do, from one that is not there.

        One that is there is asked once more: it may only just have come.
        """
        version = None if isinstance(message, StatusQuery) else self._version()
        if version is None:
            raise NoAnswerError(self._nobody())
        reply = _try(self._context, self.endpoint, message, self._session, TRY_MS + held_ms)
        if reply is None:
            raise OlderBrokerError(
                f"the broker at {self.endpoint} (cortex {version}) answers `status` but not "
                f"{_name(message)}: it is busy, or older than this cortex-ctl ({metadata.version('cortex-mesh')})"
            )
        return reply

    def _version(self) -> str | None:
        reply = _try(self._context, self.endpoint, StatusQuery(), self._session, TRY_MS)
        return reply.message.version if reply is not None and isinstance(reply.message, Status) else None

    def _nobody(self) -> str:
        where = "it runs on another data directory" if self._path else "it listens elsewhere"
        name = "--data DIR" if self._path else "--endpoint EP"
        return f"no broker answers at {self.endpoint}: is cortex running? If {where}, name it with {name}"


def ask(endpoint: str, message: Struct, *, tries: int = TRIES, try_ms: int | None = None) -> Struct:
    """Ask once, whatever the reply's type is. Raises `NoAnswerError`, or `FaultError` when the broker refuses."""
    context = new_context()
    session = os.urandom(SESSION_BYTES)
    try:
        for _ in range(tries):
            reply = _try(context, endpoint, message, session, TRY_MS if try_ms is None else try_ms)
            if reply is None:
                continue
            if isinstance(reply.message, CommandFailed):
                raise FaultError(reply.message.fault)
            return reply.message
    finally:
        context.destroy(linger=0)
    raise NoAnswerError(
        f"no broker answers at {endpoint}; is cortex running? "
        "(one that was started with --data DIR is asked with --data DIR, any other with --endpoint EP)"
    )


def _try(
    context: zmq.Context[zmq.Socket[bytes]], endpoint: str, message: Struct, session: bytes, try_ms: int
) -> Reply | None:
    with open_socket(context, zmq.REQ, Plane.CTL_CLIENT) as socket:
        socket.setsockopt(zmq.SNDTIMEO, try_ms)
        socket.setsockopt(zmq.RCVTIMEO, try_ms)
        try:
            socket.connect(endpoint)
            socket.send_multipart(pack(message, session))
            envelope = unpack(socket.recv_multipart())
            return Reply(decode(envelope.kind, envelope.body), envelope.session)
        except zmq.Again:
            return None
        except zmq.ZMQError as error:
            raise NoAnswerError(
                f"{endpoint}: {error.strerror} (use ipc:///absolute/path or tcp://HOST:PORT)"
            ) from error
        except UnknownKindError as error:
            raise NoAnswerError(
                f"{endpoint}: the broker is newer than this cortex-ctl ({metadata.version('cortex-mesh')})"
            ) from error
        except WireError as error:
            raise NoAnswerError(f"{endpoint}: the answer is not from a cortex broker ({error})") from error


def _name(message: Struct) -> str:
    return type(message).__name__
