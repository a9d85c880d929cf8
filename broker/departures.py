"""Notice at once that a peer's connection has ended, and ask who is still there.

A ROUTER tells nobody that a peer has gone until something is sent to it, and an idle device is sent nothing. The
socket's monitor tells that some connection has ended, but not whose. So after each end everybody is sent a probe:
to those who have gone it cannot be sent. Knows routes and frames; not what a peer is or what is lost with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import zmq

from cortex.broker.mail import Mail, Socket
from cortex.protocol.frames import Frame

SOON_S, LATER_S = 0.01, 0.1
"""When to ask after a connection has ended: the monitor may tell of it before the socket has forgotten the peer."""


class Departures:
    """Watches the connections of one ROUTER."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self.monitor: Socket = mail.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._due: list[float] = []

    def next_probe(self) -> float:
        """When to ask next; infinity while nobody is known to have left."""
        return min(self._due, default=inf)

    def note(self, now: float) -> None:
        """Read the monitor: connections have ended."""
        while self.monitor.poll(0):
            self.monitor.recv_multipart()
        first = self._due[0] if self._due else now + SOON_S  # however many end, few probes are sent
        self._due = [first, now + LATER_S]

    def probe(self, routes: Iterable[bytes], probe: list[Frame], now: float) -> list[bytes]:
        """Ask all of these; answers who is gone."""
        self._due = [due for due in self._due if due > now]
        return [route for route in routes if not self._mail.send(route, probe, now)]

    def close(self) -> None:
        """Before the socket itself is closed."""
        self._mail.socket.disable_monitor()
        self.monitor.close(linger=0)
