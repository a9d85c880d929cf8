"""Sending through a ROUTER socket so that nothing is lost in silence.

A peer that does not take its mail gets a bounded backlog, in order; one that is not there, or whose backlog passes its
bounds, is reported.
"""

from __future__ import annotations

from collections.abc import Callable

import zmq

from cortex.broker.backlog import Backlog
from cortex.broker.events import Event
from cortex.protocol.frames import Frame
from cortex.protocol.kit.sockets import send

Socket = zmq.Socket[bytes]


class Mail:
    """One ROUTER socket with a backlog per peer that stands still."""

    def __init__(self, socket: Socket, gone: Callable[[bytes], Event]) -> None:
        self.socket = socket
        self.gone = gone
        self._backlogs: dict[bytes, Backlog] = {}

    def has_backlog(self) -> bool:
        return bool(self._backlogs)

    def send(self, route: bytes, frames: list[Frame], now: float) -> bool:
        """Send or keep; False when there is no such peer."""
        backlog = self._backlogs.get(route)
        if backlog is None:
            try:
                send(self.socket, [route, *frames])
            except zmq.Again:
                backlog = self._backlogs[route] = Backlog(now)
            except zmq.ZMQError:  # EHOSTUNREACH: ROUTER_MANDATORY tells what would be lost in silence
                return False
            else:
                return True
        backlog.add(frames)
        return True

    def retry(self, now: float) -> list[bytes]:
        """Try every backlog again; answers the peers that are to be treated as gone."""
        lost = []
        for route, backlog in list(self._backlogs.items()):
            alive = True
            while backlog and alive:
                try:
                    send(self.socket, [route, *backlog.first()])
                except zmq.Again:
                    alive = not backlog.is_hopeless(now)
                    break
                except zmq.ZMQError:
                    alive = False
                else:
                    backlog.sent(now)
            if not alive or not backlog:
                del self._backlogs[route]
            if not alive:
                lost.append(route)
        return lost
