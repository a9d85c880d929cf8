"""The broker's rim on real sockets, one turn at a time: no thread, no sleep."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from msgspec import Struct

from cortex.broker.app import BrokerApp
from cortex.broker.backlog import MAX_BYTES, WRITE_DEADLINE, Backlog
from cortex.broker.core import Broker
from cortex.broker.sources import Endpoints
from cortex.protocol import liveness
from cortex.protocol import messages as m
from cortex.protocol.codec import decode, encode
from cortex.protocol.deltas import Delta, Deltas, TextPiece
from cortex.protocol.frames import HEADER, Frame, header, pack, pack_deltas, unpack
from cortex.protocol.kit.signals import Stop
from cortex.protocol.kit.sockets import EndpointError, Plane, new_context, open_socket
from cortex.protocol.values import Device, Model

EDGE_SESSION, NEURON_SESSION = b"edge-ses", b"neuron-s"


class Rig:
    """A broker with an edge and a neuron that this test plays."""

    def __init__(self, directory: Path) -> None:
        directory.chmod(0o700)
        self.endpoints = Endpoints(*(f"ipc://{directory}/{name}" for name in ("e", "n", "c")))
        self.context = new_context()
        self.core = Broker("b", 0.0)
        self.stop = Stop()
        self.app = BrokerApp(self.context, self.core, self.endpoints, self.stop, expected=("absent-host",))
        self.edge = self._dealer(self.endpoints.edge, b"E1", Plane.EDGE)
        self.neuron = self._dealer(self.endpoints.neuron, b"N1", Plane.NEURON)

    def generate(self) -> tuple[m.Generate, tuple[Frame, ...]]:
        """What the neuron is asked; a question whether it lives, which changes nothing, is passed over."""
        while True:
            self.turn_until(lambda: self.neuron.poll(0))
            envelope = unpack(self.neuron.recv_multipart())
            message = decode(envelope.kind, envelope.body)
            if isinstance(message, m.Generate):
                return message, envelope.attachments
            assert isinstance(message, m.Registered)

    def status(self) -> m.Status:
        with open_socket(self.context, zmq.REQ, Plane.CTL_CLIENT) as operator:
            operator.connect(self.endpoints.ctl)
            assert operator.poll(2000, zmq.POLLOUT)
            operator.send_multipart(pack(m.StatusQuery(), b"operator"))
            _, status = self.receive(operator)
        assert isinstance(status, m.Status)
        return status

    def _dealer(self, endpoint: str, route: bytes, plane: Plane) -> zmq.Socket[bytes]:
        socket = open_socket(self.context, zmq.DEALER, plane, route=route)
        socket.connect(endpoint)
        assert socket.poll(2000, zmq.POLLOUT)
        return socket

    def close(self) -> None:
        self.stop.request()
        self.app.run()
        self.core.check()
        self.context.destroy(linger=0)

    def turn_until(self, condition: Callable[[], object]) -> None:
        for _ in range(500):
            if condition():
                return
            self.app.turn()
        pytest.fail(f"never happened; dropped: {dict(self.core.dropped)}")

    def receive(self, socket: zmq.Socket[bytes]) -> tuple[bytes, Struct]:
        self.turn_until(lambda: socket.poll(0))
        envelope = unpack(socket.recv_multipart())
        return envelope.session, decode(envelope.kind, envelope.body)

    def join(self) -> None:
        self.neuron.send_multipart(pack(m.Register(node="n", device=Device(kind="sim")), NEURON_SESSION))
        assert isinstance(self.receive(self.neuron)[1], m.Registered)
        models = (Model(id="m", state="hot", slots=2),)
        ready = m.Ready(version=1, device=Device(kind="sim"), models=models)
        self.neuron.send_multipart(pack(ready, NEURON_SESSION))
        self.edge.send_multipart(pack(m.EdgeBeat(name="e"), EDGE_SESSION))
        self.turn_until(lambda: self.core.state.listing_version == 1)
        while not isinstance(message := self.receive(self.edge)[1], m.Welcome) or not message.neurons:
            pass


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def test_a_beat_is_answered_to_the_device_so_that_it_knows_that_it_is_heard(rig: Rig) -> None:
    """The pulse beats from a socket of its own, and the device thread hears that it arrived."""
    rig.join()
    pulse = rig._dealer(rig.endpoints.neuron, b"P1", Plane.PULSE)
    pulse.send_multipart(pack(m.Heartbeat(route=b"N1", turn=1, phase="idle"), NEURON_SESSION))
    heard = rig.receive(rig.neuron)[1]
    assert isinstance(heard, m.Registered)
    assert heard.answers_beats
    pulse.close()


def test_a_request_goes_to_the_neuron_and_its_answer_comes_back(rig: Rig) -> None:
    """Submit becomes Generate with the same payload; verdict, deltas and terminal reach the edge in order."""
    rig.join()
    submit = m.Submit(request="r", attempt=1, model="m")
    rig.edge.send_multipart(pack(submit, EDGE_SESSION, [b"the request", b"an image"]))
    generate, attachments = rig.generate()
    assert (generate.edge, attachments) == (b"E1", (b"the request", b"an image"))
    body = encode(Deltas([Delta("r", 1, 0, 0, [5], [TextPiece("hi")])]))
    rig.neuron.send_multipart(pack(m.Accepted(request="r", attempt=1), NEURON_SESSION))
    rig.neuron.send_multipart(pack_deltas(body, NEURON_SESSION, b"E1"))
    rig.neuron.send_multipart(pack(m.Finished(request="r", attempt=1, totals=(1,)), NEURON_SESSION))
    seen = [rig.receive(rig.edge) for _ in range(3)]
    assert [type(message).__name__ for _, message in seen] == ["Accepted", "Deltas", "Finished"]
    assert {session for session, _ in seen} == {NEURON_SESSION}


def test_what_is_decided_stands_in_the_log(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Once each, as `cortex-ctl events` tells it: the log outlives the process."""
    with caplog.at_level(logging.INFO, "cortex.broker"):
        rig.join()
        rig.turn_until(lambda: any("neuron joined n/sim-0" in line for line in caplog.messages))
        rig.turn_until(lambda: rig.core.state.decisions.last == rig.app._logged)
    assert len([line for line in caplog.messages if "n/sim-0" in line]) == rig.core.state.decisions.last


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"x"],
        [b"GET / HTTP/1.1\r\n"],
        [header(m.Kind.SUBMIT, b"12345678"), b"\xc1"],
        [header(m.Kind.SUBMIT, b"12345678"), b"\x80"],
        [header(m.Kind.HEARTBEAT, b"12345678"), b"\x80"],
        [header(m.Kind.DELTAS, b"12345678"), b"nobody", b"body"],
        [header(m.Kind.DELTAS, b"12345678"), b""],
        [HEADER.pack(9, 3, 0, b"12345678"), b"\x80"],
        [header(m.Kind.SUBMIT, b"12345678"), b"x" * 100_000],
        [b"y"] * 100,
        [header(m.Kind.STATUS_QUERY, b"12345678"), encode(m.StatusQuery())],
    ],
)
def test_garbage_on_any_port_is_counted_and_hurts_nobody(rig: Rig, frames: list[bytes]) -> None:
    """Whatever a stranger sends, it is dropped with a reason and the next request is served."""
    rig.join()
    for endpoint in (rig.endpoints.edge, rig.endpoints.neuron, rig.endpoints.ctl):
        with rig.context.socket(zmq.DEALER) as stranger:
            stranger.linger = 200
            stranger.connect(endpoint)
            before = sum(rig.core.dropped.values())
            stranger.send_multipart(frames)
            rig.turn_until(
                lambda before=before, endpoint=endpoint: (
                    sum(rig.core.dropped.values()) > before or endpoint == rig.endpoints.ctl
                )
            )
    test_a_request_goes_to_the_neuron_and_its_answer_comes_back(rig)


def test_a_message_from_the_future_is_answered_unsupported(rig: Rig) -> None:
    """A newer peer learns that this broker does not know the kind."""
    rig.edge.send_multipart([HEADER.pack(1, 200, 0, EDGE_SESSION), b"\x80"])
    _, answer = rig.receive(rig.edge)
    assert answer == m.Unsupported(kind=200)


def test_an_operator_sees_the_fleet_and_who_is_missing(rig: Rig) -> None:
    """Status over REQ names the neuron, its model and load, and the expected host that never came."""
    rig.join()
    status = rig.status()
    assert [(n.node, n.state) for n in status.neurons] == [("absent-host", "absent"), ("n", "ready")]
    assert status.neurons[1].models[0].id == "m"


def test_a_command_of_a_later_version_is_refused_in_words(rig: Rig) -> None:
    """The operator's tool gets a fault and not silence."""
    with open_socket(rig.context, zmq.REQ, Plane.CTL_CLIENT) as operator:
        operator.connect(rig.endpoints.ctl)
        assert operator.poll(2000, zmq.POLLOUT)
        operator.send_multipart(pack(m.Goodbye(), b"operator"))
        _, answer = rig.receive(operator)
    assert isinstance(answer, m.CommandFailed)
    assert "Goodbye" in answer.fault.message


def test_deltas_of_a_stranger_reach_nobody(rig: Rig) -> None:
    """A session that was not registered may not speak to an edge."""
    rig.join()
    rig.neuron.send_multipart(pack_deltas(b"\x91\x90", b"impostor", b"E1"))
    rig.turn_until(lambda: rig.core.dropped["deltas_of_unknown_neuron"])
    assert not rig.edge.poll(0)


def test_a_peer_that_is_not_there_becomes_an_event(rig: Rig) -> None:
    """A neuron whose connection is gone loses its request at once; it waits for another."""
    rig.join()
    rig.neuron.close()
    rig.turn_until(lambda: not rig.app._neurons.send(b"N1", [b"is anybody there?"], 0.0))
    rig.edge.send_multipart(pack(m.Submit(request="r", attempt=1, model="m"), EDGE_SESSION, [b"x"]))
    rig.turn_until(lambda: not rig.core.neurons)
    _, verdict = rig.receive(rig.edge)
    while not isinstance(verdict, m.Queued):
        _, verdict = rig.receive(rig.edge)
    assert len(rig.core.requests.waiting) == 1


def test_an_idle_neuron_that_dies_is_gone_long_before_its_beats_are_missed(rig: Rig) -> None:
    """The end of its connection is enough: nobody has to send it anything. One that lives is not disturbed."""
    rig.join()
    other = rig._dealer(rig.endpoints.neuron, b"N2", Plane.NEURON)
    device = Device(kind="sim", index=1)
    other.send_multipart(pack(m.Register(node="n", device=device), b"other-se"))
    other.send_multipart(pack(m.Ready(version=1, device=device, models=()), b"other-se"))
    rig.turn_until(lambda: len(rig.core.neurons) == 2)
    seen = rig.core.neurons[b"N1"].seen
    rig.neuron.close()
    rig.turn_until(lambda: b"N1" not in rig.core.neurons)
    assert rig.core.gone["n/sim-0"][1] - seen < liveness.INTERVAL
    states = [(n.device.index, n.state) for n in rig.status().neurons if n.node == "n"]
    assert states == [(0, "gone"), (1, "ready")]
    other.close()


def test_a_neuron_that_is_ready_no_longer_loads(rig: Rig) -> None:
    """Its word counts at once, and its last beat from before does not linger until the next."""
    device = Device(kind="sim")
    rig.neuron.send_multipart(pack(m.Register(node="n", device=device), NEURON_SESSION))
    beat = m.Heartbeat(route=b"N1", turn=0, phase="loading", detail="load 43 %")
    rig.neuron.send_multipart(pack(beat, NEURON_SESSION))
    rig.turn_until(lambda: rig.core.neurons and rig.core.neurons[b"N1"].phase == "loading")
    rig.neuron.send_multipart(pack(m.Ready(version=1, device=device, models=()), NEURON_SESSION))
    rig.turn_until(lambda: rig.core.neurons[b"N1"].state == "ready")
    [neuron] = [n for n in rig.status().neurons if n.node == "n"]
    assert (neuron.state, neuron.phase, neuron.detail) == ("ready", "idle", "")


def test_an_edge_that_stands_still_loses_nothing(rig: Rig) -> None:
    """More frames than the sockets hold arrive complete and in order once the edge reads again."""
    rig.join()
    count = 12_000
    sent = 0

    def feed() -> bool:
        nonlocal sent
        while sent < count:
            body = encode(Deltas([Delta("r", 1, 0, sent, [sent], [])]))
            try:
                rig.neuron.send_multipart(pack_deltas(body, NEURON_SESSION, b"E1"), zmq.DONTWAIT)
            except zmq.Again:
                return False
            sent += 1
        return rig.app._edges.has_backlog()

    rig.turn_until(feed)
    for expected in range(count):
        _, deltas = rig.receive(rig.edge)
        assert isinstance(deltas, Deltas)
        assert deltas.items[0].seq == expected


def test_a_backlog_is_hopeless_past_its_bytes_or_its_time() -> None:
    """A peer gets 8 MiB and 15 s of standing still; moving again resets the time."""
    backlog = Backlog(now=0.0)
    backlog.add([b"x" * 1000])
    backlog.add([b"y"])
    assert not backlog.is_hopeless(WRITE_DEADLINE)
    assert backlog.is_hopeless(WRITE_DEADLINE + 0.1)
    backlog.sent(now=10.0)
    assert backlog.first() == [b"y"]
    assert not backlog.is_hopeless(WRITE_DEADLINE + 0.1)
    backlog.add([b"z" * MAX_BYTES])
    assert backlog.is_hopeless(10.0)
    assert len(backlog) == 2


@pytest.mark.parametrize(
    "endpoint", ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://192.0.2.1:5555", "udp://x"]
)
def test_only_loopback_is_bound(tmp_path: Path, endpoint: str) -> None:
    """Without keys the broker serves this machine alone."""
    tmp_path.chmod(0o700)
    context = new_context()
    endpoints = Endpoints(endpoint, f"ipc://{tmp_path}/n", f"ipc://{tmp_path}/c")
    with pytest.raises(EndpointError):
        BrokerApp(context, Broker("b", 0.0), endpoints, Stop())
    context.destroy(linger=0)
