"""The pulse thread: a heartbeat a second to every broker, from a socket of its own.

It only reads `Progress`, so it beats on while the device thread computes, and falls silent with the process. It
carries the device thread's routing id and session; who is answered is the device thread.
"""

from __future__ import annotations

import threading
import time

import zmq

from cortex.neuron.device.lines import Address, Addresses
from cortex.neuron.device.progress import Progress
from cortex.protocol import liveness
from cortex.protocol.frames import pack
from cortex.protocol.kit.sockets import Plane, dial, new_route
from cortex.protocol.messages import Heartbeat

CONNECTION_MS = 100
"""How long a beat waits for a new connection, so that it need not be missed."""


class Pulse(threading.Thread):
    """Beats from `start()` until `stop()`."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        addresses: Addresses,
        session: bytes,
        progress: Progress,
    ) -> None:
        super().__init__(name="pulse", daemon=True)
        self._context = context
        self._addresses = addresses
        self._session = session
        self._progress = progress
        self._over = threading.Event()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        lines = [self._dial(index) for index in range(len(self._addresses))]
        while not self._over.wait(liveness.INTERVAL):
            now = time.monotonic()
            for index in range(len(lines)):
                if (
                    lines[index][0] is not self._addresses[index]
                ):  # the device thread heard nothing from there
                    lines[index][1].close(linger=0)
                    lines[index] = self._dial(index)
                    lines[index][1].poll(CONNECTION_MS, zmq.POLLOUT)
                address, socket = lines[index]
                frames = pack(self._beat(index, address.device, now), self._session)
                try:
                    socket.send_multipart(frames, zmq.DONTWAIT)
                except zmq.Again:
                    continue  # not connected: the broker will count a missed beat, which is the truth
        for _, socket in lines:
            socket.close()

    def _dial(self, index: int) -> tuple[Address, zmq.Socket[bytes]]:
        endpoint = self._addresses.brokers[index]
        return self._addresses[index], dial(self._context, Plane.PULSE, endpoint, new_route(b"P"))

    def _beat(self, index: int, route: bytes, now: float) -> Heartbeat:
        progress = self._progress
        return Heartbeat(
            route=route,
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
