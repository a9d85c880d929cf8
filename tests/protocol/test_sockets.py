"""The one place that makes sockets: the whole profile on each, and nothing bound that others could reach."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import zmq

from cortex.protocol.kit import sockets
from cortex.protocol.kit.paths import Planes, default_data_directory
from cortex.protocol.kit.sockets import (
    LIMITS,
    PROFILE,
    EndpointError,
    Plane,
    bind,
    check_bind,
    check_host,
    dial,
    has_mail,
    ipc_path,
    new_context,
    new_route,
    open_socket,
    private_directory,
    receive,
)


@pytest.fixture
def context():
    with new_context() as context:
        yield context


@pytest.mark.parametrize("plane", list(Plane))
@pytest.mark.parametrize("kind", [zmq.ROUTER, zmq.DEALER, zmq.REQ])
def test_every_socket_has_the_whole_profile(context, plane: Plane, kind: int) -> None:
    """Each option holds on each plane, whatever the kind of socket."""
    with open_socket(context, kind, plane) as socket:
        assert {option: socket.getsockopt(option) for option in PROFILE} == PROFILE
        assert (socket.getsockopt(zmq.SNDHWM), socket.getsockopt(zmq.MAXMSGSIZE)) == LIMITS[plane]
        assert socket.getsockopt(zmq.RCVHWM) == LIMITS[plane][0]


def test_the_profile_is_the_measured_one() -> None:
    """Losses seen in measurements are impossible with these: changing one needs a new measurement."""
    assert PROFILE[zmq.LINGER] == 0
    assert PROFILE[zmq.IMMEDIATE] == 1
    heartbeats = (zmq.HEARTBEAT_IVL, zmq.HEARTBEAT_TIMEOUT, zmq.HEARTBEAT_TTL)
    assert [PROFILE[option] for option in heartbeats] == [1000, 3000, 3000]
    assert LIMITS[Plane.EDGE][0] == LIMITS[Plane.NEURON][0] == 4096


def test_a_router_reports_unknown_routes(context) -> None:
    """ROUTER_MANDATORY cannot be read back, so it is shown: a route nobody has is an error."""
    with open_socket(context, zmq.ROUTER, Plane.EDGE) as router, pytest.raises(zmq.ZMQError) as caught:
        router.send_multipart([b"nobody", b""], zmq.DONTWAIT)
    assert caught.value.errno == zmq.EHOSTUNREACH


def test_a_route_is_never_taken_over(context, tmp_path: Path) -> None:
    """No handover: a second peer with the same routing id is not heard, and the first one stays."""
    endpoint = f"ipc://{tmp_path}/s"
    with (
        open_socket(context, zmq.ROUTER, Plane.EDGE) as router,
        open_socket(context, zmq.DEALER, Plane.EDGE, route=b"same") as first,
        open_socket(context, zmq.DEALER, Plane.EDGE, route=b"same") as second,
    ):
        tmp_path.chmod(0o700)
        bind(router, endpoint)
        first.connect(endpoint)
        assert first.poll(2000, zmq.POLLOUT)
        first.send(b"1")
        assert router.poll(2000)
        assert router.recv_multipart() == [b"same", b"1"]
        second.connect(endpoint)
        if second.poll(300, zmq.POLLOUT):
            second.send(b"2", zmq.DONTWAIT)
        router.send_multipart([b"same", b"yours"])
        assert first.poll(2000)
        assert first.recv() == b"yours"
        assert not second.poll(0)
        assert not router.poll(50)


def test_routes_are_new_each_time() -> None:
    """A name would be stolen or deaf after a quick restart."""
    assert new_route(b"e") != new_route(b"e")
    assert new_route(b"e").startswith(b"e")
    assert len(new_route(b"e")) == 9


def test_an_old_libzmq_is_refused(monkeypatch) -> None:
    """The error says what to install."""
    monkeypatch.setattr(zmq, "zmq_version_info", lambda: (4, 3, 4))
    with pytest.raises(EndpointError, match="too old: install pyzmq >= 27"):
        new_context()


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://*:31320",
        "tcp://0.0.0.0:31320",
        "tcp://[::]:31320",
        "tcp://192.0.2.1:31320",
        "tcp://[2001:db8::1]:31320",
        "tcp://example.org:31320",
        "tcp://eth0:31320",
        "tcp://localhost.example.org:31320",
        "tcp://127.0.0.1",
        "tcp://:31320",
        "tcp://127.0.0.1:",
        "udp://127.0.0.1:1",
        "inproc://x",
        "ipc://relative/path",
        "ipc://",
        "ipc://*",
        "ipc://@abstract",
        "",
    ],
)
def test_nothing_reachable_from_outside_is_bound(context, endpoint: str) -> None:
    """Wildcards, interfaces, foreign addresses and odd transports are refused before libzmq sees them."""
    with pytest.raises(EndpointError):
        check_bind(endpoint)
    with open_socket(context, zmq.ROUTER, Plane.EDGE) as router, pytest.raises(EndpointError):
        bind(router, endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://127.0.0.1:1", "tcp://127.8.9.10:1", "tcp://[::1]:1", "tcp://localhost:1", "ipc:///tmp/x"],
)
def test_loopback_and_ipc_may_be_bound(endpoint: str) -> None:
    """These stay on this machine."""
    check_bind(endpoint)


def test_an_operator_may_insist() -> None:
    """`--insecure-open` is the one way to a public address, and the refusal says so."""
    check_bind("tcp://0.0.0.0:1", insecure_open=True)
    check_host("0.0.0.0", what="listen", insecure_open=True)
    with pytest.raises(
        EndpointError, match=r"^listen: 0\.0\.0\.0 is not a loopback address.*--insecure-open"
    ):
        check_host("0.0.0.0", what="listen")


def test_a_bound_ipc_socket_is_its_owners(context, tmp_path: Path) -> None:
    """The directory is made with 0700 and the socket with 0600."""
    path = tmp_path / "run" / "edge.sock"
    with open_socket(context, zmq.ROUTER, Plane.EDGE) as router:
        bind(router, f"ipc://{path}")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_tcp_socket_is_bound(context) -> None:
    """On loopback, at any free port."""
    with open_socket(context, zmq.ROUTER, Plane.EDGE) as router:
        bind(router, "tcp://127.0.0.1:0")
        assert router.getsockopt(zmq.LAST_ENDPOINT).startswith(b"tcp://127.0.0.1:")


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_directory_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    """An existing directory is not changed; the message says how to."""
    tmp_path.chmod(mode)
    with pytest.raises(EndpointError, match="try: chmod 700"):
        private_directory(tmp_path)


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch) -> None:
    """Mode 0700 protects nothing where another user owns the directory."""
    tmp_path.chmod(0o700)
    assert private_directory(tmp_path) == tmp_path
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(EndpointError, match="must belong to this user"):
        private_directory(tmp_path)


def test_a_path_too_long_for_the_kernel_is_refused() -> None:
    """sun_path holds 107 bytes, counted as bytes and not as characters."""
    assert ipc_path("ipc:///" + "a" * 106) == Path("/" + "a" * 106)
    for path in ("/" + "a" * 107, "/" + "ä" * 54):
        with pytest.raises(EndpointError, match="longer than 107 bytes"):
            ipc_path(f"ipc://{path}")
    assert ipc_path("tcp://127.0.0.1:1") is None


def test_planes_lie_under_the_data_directory(tmp_path: Path) -> None:
    """Every plane of a local broker is an ipc endpoint of its own that may be bound."""
    planes = Planes.under(tmp_path)
    endpoints = {planes.edge, planes.neuron, planes.ctl}
    assert len(endpoints) == 3
    for endpoint in endpoints:
        path = ipc_path(endpoint)
        assert path is not None
        assert path.parent == tmp_path / "run"


def test_the_data_directory_follows_the_environment(monkeypatch, tmp_path: Path) -> None:
    """$CORTEX_DATA, else $XDG_DATA_HOME/cortex, else ~/.local/share/cortex."""
    monkeypatch.setenv("CORTEX_DATA", "here")
    monkeypatch.setenv("XDG_DATA_HOME", "/xdg")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    assert default_data_directory() == tmp_path / "here"
    monkeypatch.delenv("CORTEX_DATA")
    assert default_data_directory() == Path("/xdg/cortex")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_data_directory() == Path("/home/me/.local/share/cortex")


def test_only_this_module_sets_socket_options() -> None:
    """Every plane has its limits."""
    assert set(LIMITS) == set(Plane)
    assert sockets.MIN_LIBZMQ == (4, 3, 5)


def test_whoever_calls_anew_is_heard_where_a_second_connection_of_one_route_never_is(
    context, tmp_path: Path
) -> None:
    """While mail of the first waits unread, as it does where a broker was frozen, another of its name is deaf for good."""
    tmp_path.chmod(0o700)
    endpoint, route = f"ipc://{tmp_path}/s", new_route(b"E")
    with open_socket(context, zmq.ROUTER, Plane.EDGE) as router:
        bind(router, endpoint)

        def say(text: bytes, name: bytes) -> zmq.Socket[bytes]:
            socket = dial(context, Plane.EDGE, endpoint, name)
            assert socket.poll(2000, zmq.POLLOUT)
            socket.send(text)
            return socket

        def heard(socket: zmq.Socket[bytes]) -> list[list[bytes]]:
            found = []
            while socket.poll(50):
                while (frames := receive(socket)) is not None:
                    found.append(frames)
            return found

        say(b"before", route).close(linger=500)
        same, fresh = say(b"deaf", route), say(b"heard", new_route(b"E"))
        texts = [frames[-1] for frames in heard(router)]
        assert b"heard" in texts
        assert b"deaf" not in texts
        same.close()
        fresh.close()


def test_a_socket_that_is_let_go_leaves_none_behind(context, tmp_path: Path) -> None:
    """However often somebody calls anew."""
    tmp_path.chmod(0o700)
    endpoint = f"ipc://{tmp_path}/s"
    with open_socket(context, zmq.ROUTER, Plane.EDGE) as router:
        bind(router, endpoint)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            socket = dial(context, Plane.EDGE, endpoint, new_route(b"E"))
            assert socket.poll(2000, zmq.POLLOUT)
            assert not has_mail(socket)
            socket.close(linger=0)
        while len(list(Path("/proc/self/fd").iterdir())) > before + 4:
            router.poll(5)
