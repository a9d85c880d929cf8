"""The plane between brokers on real sockets, one end played by the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from msgspec import Struct

from cortex.broker.mail import Socket
from cortex.broker.peerplane import PeerPlane, Reply
from cortex.protocol import messages as m
from cortex.protocol.codec import encode
from cortex.protocol.frames import pack, unpack
from cortex.protocol.kit.sockets import Plane, new_context, open_socket

SESSION = b"peer-ses"
UNKNOWN = 200


class Rig:
    """A plane that listens, and one other broker that is connected to it."""

    def __init__(self, directory: Path) -> None:
        directory.chmod(0o700)
        endpoint = f"ipc://{directory}/p"
        self.context = new_context()
        self.taken: list[Struct] = []
        self.plane = PeerPlane(
            self.context,
            b"broker-s",
            endpoint,
            (),
            beat=lambda: m.PeerBeat(name="b"),
            handle=lambda _event, _now: None,
        )
        self.plane.take = self._take
        self.peer = open_socket(self.context, zmq.DEALER, Plane.PEER, route=b"B1")
        self.peer.connect(endpoint)
        assert self.peer.poll(2000, zmq.POLLOUT)

    def hear(self, message: Struct) -> None:
        """Let the plane take one message of the other broker."""
        self.peer.send_multipart(pack(message, SESSION))
        (router,) = self.plane.sockets
        assert router.poll(2000)
        self.plane.receive(router, 0.0)

    def calling(self, port: int) -> PeerPlane:
        """Another plane, which listens to nobody and calls one broker."""
        return PeerPlane(
            self.context,
            b"broker-t",
            "",
            (f"tcp://127.0.0.1:{port}",),
            beat=lambda: m.PeerBeat(name="a"),
            handle=lambda _event, _now: None,
        )

    def _take(self, message: Struct, reply: Reply, _now: float) -> None:
        self.taken.append(message)
        reply(m.StatusQuery())

    def close(self) -> None:
        self.peer.close()
        self.plane.close()
        self.context.destroy(linger=0)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(UNKNOWN, b"\x80", id="a kind of a later version"),
        pytest.param(m.Kind.STATUS_QUERY, b"\xc1", id="no message at all"),
    ],
)
def test_what_cannot_be_read_inside_a_question_is_dropped_and_the_next_is_answered(
    rig: Rig, kind: int, body: bytes
) -> None:
    """A broker of a later version passes on what this one does not know: nothing ends, nobody is asked."""
    rig.hear(m.Forward(number=1, kind=kind, body=body))
    assert rig.taken == []
    rig.hear(m.Forward(number=2, kind=m.Kind.STATUS_QUERY, body=encode(m.StatusQuery())))
    assert rig.taken == [m.StatusQuery()]
    assert rig.peer.poll(2000)
    assert unpack(rig.peer.recv_multipart()).kind is m.Kind.FORWARDED


def test_an_answer_that_cannot_be_read_leaves_the_operator_to_the_deadline(rig: Rig) -> None:
    """The other broker's answer of a later version is dropped; the operator is told in time that none came."""
    with rig.context.socket(zmq.ROUTER) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        plane = rig.calling(port)
        (dealer,) = plane.sockets
        assert dealer.poll(2000, zmq.POLLOUT)
        plane.tick(0.0)
        route, *_ = other.recv_multipart()
        other.send_multipart([route, *pack(m.PeerBeat(name="b"), SESSION)])
        assert dealer.poll(2000)
        plane.receive(dealer, 0.0)
        answers: list[Struct] = []
        assert plane.forward("b", m.StatusQuery(), answers.append, 0.0)
        other.send_multipart([route, *pack(m.Forwarded(number=1, kind=UNKNOWN, body=b"\x80"), SESSION)])
        assert dealer.poll(2000)
        plane.receive(dealer, 0.0)
        assert answers == []
        plane.tick(60.0)
        assert [type(answer) for answer in answers] == [m.CommandFailed]
        plane.close()


def test_a_broker_that_is_silent_is_called_anew(rig: Rig) -> None:
    """Under another routing id, over another socket, of which whoever polls is told; then it is asked there."""
    with rig.context.socket(zmq.ROUTER) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        plane = rig.calling(port)
        replaced: list[tuple[Socket, Socket]] = []
        plane.replaced = lambda old, new: replaced.append((old, new))
        (first,) = plane.sockets
        assert first.poll(2000, zmq.POLLOUT)
        for quarter in range(13):
            plane.tick(quarter / 4)
        (second,) = plane.sockets
        assert replaced == [(first, second)]
        assert first.closed
        before, *_ = other.recv_multipart()
        assert second.poll(2000, zmq.POLLOUT)
        plane.tick(4.5)
        while (route := other.recv_multipart()[0]) == before:
            pass
        other.send_multipart([route, *pack(m.PeerBeat(name="b"), SESSION)])
        assert second.poll(2000)
        plane.receive(second, 4.5)
        assert plane.forward("b", m.StatusQuery(), lambda _answer: None, 4.5)
        plane.close()
