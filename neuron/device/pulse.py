"""The pulse thread: a heartbeat a second to every broker, from a socket of its own.

It only reads `Progress`, so it beats on while the device thread computes, and falls silent with the process. It
carries the device thread's routing id and session, and is never answered.
"""

from __future__ import annotations

import threading
import time

import zmq

from cortex.neuron.device.progress import Progress
from cortex.protocol import liveness
from cortex.protocol.frames import pack
from cortex.protocol.kit.sockets import Plane, new_route, open_socket
from cortex.protocol.messages import Heartbeat


class Pulse(threading.Thread):
    """Beats from `start()` until `stop()`."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        brokers: tuple[str, ...],
        route: bytes,
        session: bytes,
        progress: Progress,
    ) -> None:
        super().__init__(name="pulse", daemon=True)
        self._context = context
        self._brokers = brokers
        self._route = route
        self._session = session
        self._progress = progress
        self._over = threading.Event()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        sockets = []
        for broker in self._brokers:
            socket = open_socket(self._context, zmq.DEALER, Plane.PULSE, route=new_route(b"P"))
            socket.connect(broker)
            sockets.append(socket)
        while not self._over.wait(liveness.INTERVAL):
            now = time.monotonic()
            for index, socket in enumerate(sockets):
                frames = pack(self._beat(index, now), self._session)
                try:
                    socket.send_multipart(frames, zmq.DONTWAIT)
                except zmq.Again:
                    continue  # not connected: the broker will count a missed beat, which is the truth
        for socket in sockets:
            socket.close()

    def _beat(self, index: int, now: float) -> Heartbeat:
        progress = self._progress
        return Heartbeat(
            route=self._route,
            turn=progress.turn,
            phase=progress.phase,
            busy_ms=int(1000 * progress.busy_s(now)),
            stalled=progress.is_stalled(now),
            detail=progress.detail,
            live=progress.live_of(index),
            free_bytes=progress.free_bytes,
            tokens=progress.tokens,
            use=progress.used(now),
        )
