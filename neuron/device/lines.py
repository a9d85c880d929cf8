"""The device thread's sockets, one to each broker, and the routing ids under which that broker knows this device.

Where a broker says nothing for too long, all that goes to it goes over new sockets, under new routing ids: those of this
thread, of the pulse and of the counter, which see here that there are others. Knows no messages but the introduction.
"""

from __future__ import annotations

import logging
from typing import NamedTuple, Self

import zmq

from cortex.protocol.frames import pack
from cortex.protocol.kit.sockets import Plane, dial, new_route
from cortex.protocol.messages import Register
from cortex.protocol.values import Device

log = logging.getLogger("cortex.device")

INTRODUCTION_MS = 1000

Socket = zmq.Socket[bytes]


class Address(NamedTuple):
    """The routing ids that one broker is told: the device thread's and the counter's."""

    device: bytes
    counter: bytes

    @classmethod
    def fresh(cls) -> Self:
        return cls(new_route(b"N"), new_route(b"C"))


class Addresses:
    """One for each broker. The device thread makes new ones, others look; each is replaced as a whole, so no lock."""

    def __init__(self, brokers: tuple[str, ...]) -> None:
        self.brokers = brokers
        self._current = [Address.fresh() for _ in brokers]

    def __len__(self) -> int:
        return len(self.brokers)

    def __getitem__(self, index: int) -> Address:
        return self._current[index]

    def renew(self, index: int) -> Address:
        self._current[index] = address = Address.fresh()
        return address


class Lines:
    """The sockets, by the index of their broker."""

    def __init__(self, context: zmq.Context[Socket], addresses: Addresses) -> None:
        self._context = context
        self.addresses = addresses
        self.sockets = [self._dial(index) for index in range(len(addresses))]

    def _dial(self, index: int) -> Socket:
        endpoint = self.addresses.brokers[index]
        return dial(self._context, Plane.NEURON, endpoint, self.addresses[index].device)

    def introduce(self, session: bytes, node: str, device: Device) -> None:
        """Register with every broker that is there, so that a device is seen while it still loads."""
        for index, socket in enumerate(self.sockets):
            if socket.poll(INTRODUCTION_MS, zmq.POLLOUT):
                counter = self.addresses[index].counter
                socket.send_multipart(pack(Register(node=node, device=device, counter=counter), session))
            else:
                log.warning("no broker answers at %s; it is tried again and again", self.endpoint(index))

    def endpoint(self, index: int) -> str:
        return self.addresses.brokers[index]

    def renew(self, index: int) -> Socket:
        """Call this broker as somebody whom it has never met. Who polls the old socket must have let go of it."""
        self.sockets[index].close(linger=0)
        self.addresses.renew(index)
        self.sockets[index] = socket = self._dial(index)
        return socket

    def close(self) -> None:
        for socket in self.sockets:
            socket.close()
