"""One DEALER to one broker, read by the event loop, with what could not be sent yet.

A ZeroMQ descriptor tells of changes only: it is read until nothing is left, and looked at again after each send.
`zmq.asyncio` costs seven times as much. Knows no messages.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import zmq

from cortex.protocol.frames import Frame
from cortex.protocol.kit.sockets import Plane, dial, has_mail, is_writable, new_route, receive, send

FRAMES_PER_TURN = 256
"""How many messages are read before others get a turn of the loop."""
OUTBOX = 4096


class Connection:
    """Made in the process that uses it, after any fork, and in its event loop."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, take: Callable[[list[bytes]], None]
    ) -> None:
        self._context = context
        self._endpoint = endpoint
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._outbox: deque[list[Frame]] = deque()
        self._closed = False
        self._open()

    def _open(self) -> None:
        self._socket = dial(self._context, Plane.EDGE, self._endpoint, new_route(b"E"))
        self._fd = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._fd, self.read)

    def _let_go(self) -> None:
        self._loop.remove_reader(self._fd)
        self._socket.close(linger=0)

    def close(self) -> None:
        """Nothing lingers."""
        self._closed = True
        self._let_go()

    def renew(self) -> None:
        """Over another socket, as somebody whom the broker has never met; what waited is forgotten."""
        self.forget()
        self._let_go()
        self._open()

    @property
    def reaches(self) -> bool:
        """Whether there is somebody to take what is sent."""
        if self._closed:
            return False
        if has_mail(self._socket):
            self._loop.call_soon(self.read)  # the descriptor will not tell again
        return is_writable(self._socket)

    def send(self, frames: list[Frame]) -> bool:
        """Send in order, now or as soon as there is somebody to take it; False if too much waits already."""
        if not self._outbox and self.put(frames):
            return True
        if len(self._outbox) >= OUTBOX:
            return False
        self._outbox.append(frames)
        return True

    def put(self, frames: list[Frame]) -> bool:
        """Send now, ahead of what waits, if there is somebody to take it."""
        if self._closed:
            return False
        try:
            send(self._socket, frames)
        except zmq.Again:
            return False
        if has_mail(self._socket):
            self._loop.call_soon(self.read)  # the descriptor will not tell again
        return True

    def flush(self) -> None:
        """Send what waits, as far as it is taken."""
        while self._outbox and self.put(self._outbox[0]):
            self._outbox.popleft()

    def forget(self) -> None:
        """What waits was meant for somebody who is gone."""
        self._outbox.clear()

    def read(self) -> None:
        """Take in what has come."""
        for _ in range(FRAMES_PER_TURN):
            if self._closed:
                return
            frames = receive(self._socket)
            if frames is None:
                break
            self._take(frames)
        else:
            self._loop.call_soon(self.read)
        if self._outbox:
            self.flush()
