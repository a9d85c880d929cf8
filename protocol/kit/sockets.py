"""The only place that sets socket options, and the only place that decides what may be bound.

The profile is what made ZeroMQ's silent losses visible in measurements: IMMEDIATE (nothing is queued for a peer
that is not there), MANDATORY (an unknown route is an error), heartbeats on both sides (a half-open link dies in
3 s), LINGER 0 (exit never hangs). High-water marks are large on the planes that relay tokens, small elsewhere.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

import zmq

from cortex.protocol.codec import ATTACHMENT_LIMIT, CONTROL_LIMIT, REPLY_LIMIT
from cortex.protocol.frames import Frame

MIN_LIBZMQ = (4, 3, 5)
# Plain integers: as enum members each of these costs a microsecond wherever it meets an operator.
NOW = int(zmq.DONTWAIT)
SEND_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
POLLIN = int(zmq.POLLIN)
POLLOUT = int(zmq.POLLOUT)
EVENTS = int(zmq.EVENTS)
IPC_PATH_LIMIT = 107  # sun_path of Linux, less its final NUL


class Plane(Enum):
    """What a socket carries."""

    EDGE = "edge"
    NEURON = "neuron"
    PULSE = "pulse"
    COUNTER = "counter"
    CTL_SERVER = "ctl server"
    CTL_CLIENT = "ctl client"
    PEER = "peer"


LIMITS: dict[Plane, tuple[int, int]] = {
    Plane.EDGE: (4096, ATTACHMENT_LIMIT),
    Plane.NEURON: (4096, ATTACHMENT_LIMIT),
    Plane.PULSE: (256, CONTROL_LIMIT),
    Plane.COUNTER: (64, ATTACHMENT_LIMIT),
    Plane.CTL_SERVER: (256, CONTROL_LIMIT),
    Plane.CTL_CLIENT: (256, REPLY_LIMIT),
    Plane.PEER: (1024, REPLY_LIMIT),
}
"""Per plane: the high-water mark in messages, and the largest frame in bytes that is received."""


PROFILE: dict[int, int] = {
    zmq.LINGER: 0,
    zmq.IMMEDIATE: 1,
    zmq.HEARTBEAT_IVL: 1000,
    zmq.HEARTBEAT_TIMEOUT: 3000,
    zmq.HEARTBEAT_TTL: 3000,
    zmq.CONNECT_TIMEOUT: 3000,
    zmq.HANDSHAKE_IVL: 5000,
    zmq.RECONNECT_IVL: 200,
    zmq.RECONNECT_IVL_MAX: 5000,
    zmq.BACKLOG: 1024,
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 30,
    zmq.TCP_KEEPALIVE_INTVL: 10,
    zmq.TCP_KEEPALIVE_CNT: 3,
    zmq.TCP_MAXRT: 5000,
}


class EndpointError(ValueError):
    """An endpoint that cannot or must not be used; the message says what to do."""


def new_context() -> zmq.Context[zmq.Socket[bytes]]:
    """One context per process, made after any fork. Refuses a libzmq with known remote faults."""
    if zmq.zmq_version_info() < MIN_LIBZMQ:
        raise EndpointError(f"libzmq {zmq.zmq_version()} is too old: install pyzmq >= 27 (libzmq >= 4.3.5)")
    context = zmq.Context[zmq.Socket[bytes]]()
    context.set(zmq.MAX_SOCKETS, 8192)
    return context


def open_socket(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, plane: Plane, *, route: bytes | None = None
) -> zmq.Socket[bytes]:
    """Make a socket with the profile of its plane; `route` is its routing id, random per incarnation."""
    socket = context.socket(kind)
    high_water, largest = LIMITS[plane]
    for option, value in PROFILE.items():
        socket.setsockopt(option, value)
    socket.setsockopt(zmq.SNDHWM, high_water)
    socket.setsockopt(zmq.RCVHWM, high_water)
    socket.setsockopt(zmq.MAXMSGSIZE, largest)
    if kind == zmq.ROUTER:
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
    if route is not None:
        socket.setsockopt(zmq.ROUTING_ID, route)
    return socket


def dial(
    context: zmq.Context[zmq.Socket[bytes]], plane: Plane, endpoint: str, route: bytes
) -> zmq.Socket[bytes]:
    """A DEALER to one endpoint, never two: it would deal every second message to one that is not there.

    Where a connection ends and the other side has yet to read what came over it, another one under the same routing id is
    never heard. So whoever hears nothing (`liveness.Silence`) closes its socket and dials again, with another `route`.
    """
    socket = open_socket(context, zmq.DEALER, plane, route=route)
    socket.connect(endpoint)
    return socket


def receive(socket: zmq.Socket[bytes]) -> list[bytes] | None:
    """One whole message without waiting, or None. Half the price of `recv_multipart` (docs/benchmarks.md)."""
    try:
        frame = socket.recv(NOW, copy=False)
    except zmq.Again:
        return None
    frames = [frame.bytes]
    while frame.more:
        frame = socket.recv(NOW, copy=False)
        frames.append(frame.bytes)
    return frames


def send(socket: zmq.Socket[bytes], frames: Sequence[Frame]) -> None:
    """One whole message without waiting. Raises `zmq.Again`, or EHOSTUNREACH, before anything of it has left."""
    for frame in frames[:-1]:
        socket.send(frame, SEND_MORE)
    socket.send(frames[-1], NOW)


def has_mail(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message can be received; cheaper than the exception that says no."""
    return bool(int(socket.getsockopt(EVENTS)) & POLLIN)


def is_writable(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message can be sent: somebody is connected and has room."""
    return bool(int(socket.getsockopt(EVENTS)) & POLLOUT)


def new_route(role: bytes) -> bytes:
    """A routing id nobody has had before: a name would be deaf or stolen after a quick restart."""
    return role + os.urandom(8)


def bind(socket: zmq.Socket[bytes], endpoint: str, *, insecure_open: bool = False) -> None:
    """Bind after checking the endpoint; an ipc socket is left readable by its owner only."""
    check_bind(endpoint, insecure_open=insecure_open)
    path = ipc_path(endpoint)
    if path is not None:
        private_directory(path.parent)
    socket.bind(endpoint)
    if path is not None:
        path.chmod(0o600)


def ipc_path(endpoint: str) -> Path | None:
    """The file of an ipc endpoint, or None for any other."""
    if not endpoint.startswith("ipc://"):
        return None
    path = endpoint.removeprefix("ipc://")
    if not path.startswith("/"):
        raise EndpointError(f"{endpoint}: an ipc endpoint needs an absolute path")
    if len(os.fsencode(path)) > IPC_PATH_LIMIT:
        raise EndpointError(
            f"{endpoint}: longer than {IPC_PATH_LIMIT} bytes; choose a shorter data directory"
        )
    return Path(path)


def private_directory(path: Path) -> Path:
    """Create a directory for sockets that only its owner may enter, or refuse one that others could."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise EndpointError(f"{path}: must belong to this user with mode 0700 (try: chmod 700 {path})")
    return path


def check_bind(endpoint: str, *, insecure_open: bool = False) -> None:
    """Raise `EndpointError` unless the endpoint is ipc or TCP on a loopback address."""
    if endpoint.startswith("ipc://"):
        ipc_path(endpoint)
        return
    if not endpoint.startswith("tcp://"):
        raise EndpointError(f"{endpoint}: use ipc:///absolute/path or tcp://HOST:PORT")
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    if not host or not port:
        raise EndpointError(f"{endpoint}: use tcp://HOST:PORT")
    check_host(host, what=endpoint, insecure_open=insecure_open)


def check_host(host: str, *, what: str, insecure_open: bool = False, remedy: str = "") -> None:
    """Raise `EndpointError` for anything but loopback, unless the operator insists; `remedy` ends in ", "."""
    if insecure_open or is_loopback(host):
        return
    raise EndpointError(
        f"{what}: {host} is not a loopback address, and there are no keys to protect it; "
        f"{remedy}bind 127.0.0.1, or pass --insecure-open to serve everybody who can reach it"
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on this machine; names other than localhost do not count."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
