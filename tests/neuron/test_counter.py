"""The counter thread over a real socket, with a way of counting that the test makes up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from cortex.neuron.device.counter import WAITING, Counter
from cortex.neuron.device.lines import Addresses
from cortex.neuron.engine.base import Length
from cortex.protocol.codec import decode, encode_request
from cortex.protocol.faults import Code, fault
from cortex.protocol.frames import pack, unpack
from cortex.protocol.kit.sockets import Plane, new_context, open_socket
from cortex.protocol.messages import Tallied, Tally
from cortex.protocol.request import Chat, Complete, Count, Text, Turn

SESSION = b"neuron-1"


class Broker:
    """The other end of a counter."""

    def __init__(self, directory: Path, tell: Callable[[Chat, str], Length]) -> None:
        self.context = new_context()
        self.socket = open_socket(self.context, zmq.ROUTER, Plane.NEURON)
        endpoint = f"inproc://{directory}"  # what was sent is there: how much waits does not hang on the time
        self.socket.bind(endpoint)
        self.addresses = Addresses((endpoint,))
        self.counter = Counter(self.context, self.addresses, SESSION, tell)
        self.counter.start()
        self.ask("first")
        self.answers = {"first": self.hear()}

    @property
    def route(self) -> bytes:
        return self.addresses[0].counter

    def ask(self, name: str, text: str = "hello", blob: bytes | None = None) -> None:
        """Ask, as soon as the counter is connected."""
        if blob is None:
            chat = Chat(model="m", turns=(Turn(role="user", parts=(Text(text=text),)),))
            blob = encode_request(Count(chat=chat))
        tally = Tally(request=name, attempt=1, edge=b"edge", model="m", source="/x")
        for _ in range(2000):
            try:
                self.socket.send_multipart([self.route, *pack(tally, b"broker-1", (blob,))])
                return
            except zmq.ZMQError:
                self.counter.join(0.005)
        raise AssertionError("the counter does not connect")

    def hear(self) -> Tallied:
        assert self.socket.poll(5000), "the counter does not answer"
        route, *frames = self.socket.recv_multipart()
        envelope = unpack(frames)
        assert (route, envelope.session) == (self.route, SESSION)
        message = decode(envelope.kind, envelope.body)
        assert isinstance(message, Tallied)
        assert message.edge == b"edge"
        return message

    def close(self) -> None:
        self.counter.stop()
        self.counter.join(5)
        assert not self.counter.is_alive()
        self.socket.close()
        self.context.term()


def length(chat: Chat, source: str) -> Length:
    assert source == "/x"
    text = chat.turns[0].text
    if text == "refuse":
        raise fault(Code.INVALID_REQUEST, "tools must be better.", param="tools")
    if text == "break":
        raise RuntimeError("a secret")
    return Length(len(text), estimated=len(text) > 20)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path, length)
    yield made
    made.close()


def test_it_counts(broker: Broker) -> None:
    """Fifteen at once, each with its own figure."""
    for index in range(15):
        broker.ask(f"r{index}", "x" * (index + 1))
    assert {(one.request, one.tokens) for one in (broker.hear() for _ in range(15))} == {
        (f"r{index}", index + 1) for index in range(15)
    }


def test_an_estimate_is_told_as_one(broker: Broker) -> None:
    """Of a prompt that is too long to be counted in time."""
    broker.ask("r", "x" * 30)
    heard = broker.hear()
    assert (heard.tokens, heard.estimated) == (30, True)


def test_what_goes_wrong_stays_with_the_count(broker: Broker) -> None:
    """A fault is told as it is, anything else without its words; bytes that are none too, and it goes on."""
    broker.ask("a", "refuse")
    broker.ask("b", "break")
    broker.ask("c", blob=b"\xc1")
    broker.ask("d", blob=encode_request(Complete(model="m", prompt="x")))
    broker.ask("e")
    heard = {one.request: one for one in (broker.hear() for _ in range(5))}
    assert heard["a"].fault.param == "tools"
    for name in "bcd":
        assert heard[name].fault.code is Code.ENGINE_FAILED
        assert "secret" not in heard[name].fault.message
    assert heard["e"].tokens == 5


def test_what_is_not_ours_is_dropped(broker: Broker) -> None:
    """Garbage neither ends it nor is answered."""
    broker.socket.send_multipart([broker.route, b"x", b"y"])
    broker.ask("a")
    assert broker.hear().request == "a"


def test_too_many(tmp_path: Path) -> None:
    """What waits is bounded: the oldest are refused, and refused retryably."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(chat: Chat, source: str) -> Length:
        if chat.turns[0].text == "slow":
            begun.set()
            assert go_on.wait(5)
        return Length(1)

    broker = Broker(tmp_path, slow)
    try:
        broker.ask("slow", "slow")
        assert begun.wait(5)
        for index in range(WAITING + 3):
            broker.ask(f"r{index}")
        go_on.set()
        heard = [broker.hear() for _ in range(WAITING + 4)]
        refused = [one.request for one in heard if one.fault is not None]
        assert refused == ["r0", "r1", "r2"]
        assert all(one.fault.retryable for one in heard if one.fault is not None)
    finally:
        go_on.set()
        broker.close()


def test_it_answers_under_its_new_routing_id_when_the_device_calls_anew(tmp_path: Path) -> None:
    """What was asked before is answered by nobody; what is asked afterwards is."""
    broker = Broker(tmp_path, lambda _chat, _source: Length(7))
    before = broker.route
    broker.addresses.renew(0)
    broker.ask("second")
    assert broker.hear().tokens == 7
    assert broker.route != before
    broker.close()
