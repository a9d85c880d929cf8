"""The link over a real socket, against a broker of a few lines."""

import asyncio
import contextlib
import time
from operator import attrgetter

import pytest
import zmq
from fake_broker import FakeBroker

from cortex.edge.catalogue import Catalogue
from cortex.edge.config import Gateway
from cortex.edge.events import Ticket
from cortex.edge.link import FIRST_WELCOME, FleetLink
from cortex.protocol.codec import encode_request
from cortex.protocol.deltas import Delta
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.kit.sockets import Plane, bind, new_context, open_socket, receive
from cortex.protocol.messages import Accepted, Finished
from cortex.protocol.owner import owner
from cortex.protocol.request import Chat, Sampling, Text, Turn


@pytest.fixture
def endpoint(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    return f"ipc://{directory}/b"


def ticket(name="r1", model="demo", tokens=5):
    chat = Chat(
        model=model,
        turns=(Turn(role="user", parts=(Text(text="hi"),)),),
        sampling=Sampling(max_tokens=tokens),
    )
    return Ticket(request=name, model=model, attachments=(encode_request(chat),))


class WatchedCatalogue(Catalogue):
    """A catalogue that tells of every change."""

    def __init__(self):
        super().__init__()
        self.changed = asyncio.Event()

    def update(self, welcome, source=0):
        super().update(welcome, source)
        self.changed.set()

    def lose_broker(self, source=0):
        super().lose_broker(source)
        self.changed.set()


async def known(link, wanted=True):
    """Wait until a broker is known, or no more."""
    async with asyncio.timeout(8):
        while bool(link.catalogue.broker) is not wanted:
            link.catalogue.changed.clear()
            await link.catalogue.changed.wait()


async def saw(broker, what):
    """Wait until the broker, in its own thread, has seen a message of this kind."""
    await asyncio.to_thread(broker.seen.wait_for, attrgetter(what))


async def whole(stream):
    items = []
    while not items or not isinstance(items[-1], Finished | Fault):
        items += await stream.take()
    return items


def linked(endpoints, scenario, *, interval_s=1.0, **settings):
    """Run a scenario with a started link, and stop it whatever happens."""
    errors = []
    endpoints = [endpoints] if isinstance(endpoints, str) else endpoints

    async def body():
        link = FleetLink(endpoints, Gateway(**settings), count_error=errors.append, interval_s=interval_s)
        link._catalogue = WatchedCatalogue()
        await link.start()
        try:
            async with asyncio.timeout(20):
                await scenario(link)
        finally:
            await link.stop()

    asyncio.run(body())
    return errors


def test_a_request_there_and_its_tokens_back(endpoint):
    """Welcome, submit, accepted, deltas in order, finished."""
    with FakeBroker(endpoint) as broker:

        async def scenario(link):
            await known(link)
            assert [entry.id for entry in link.catalogue.entries] == list(broker.models)
            stream = link.open(ticket())
            await stream.verdict()
            first, *deltas, last = await whole(stream)
            assert isinstance(first, Accepted)
            assert all(isinstance(item, Delta) for item in deltas)
            assert [token for item in deltas for token in item.tokens] == [0, 1, 2, 3, 4]
            assert last.totals == (5,)

        assert linked(endpoint, scenario) == []
        assert [submit.request for _, submit in broker.seen.submits] == ["r1"]


def test_many_streams_at_once(endpoint):
    """200 requests over one socket: every token of each, in order."""
    with FakeBroker(endpoint, rate=2000):

        async def scenario(link):
            await known(link)
            streams = [link.open(ticket(f"r{n}", tokens=50)) for n in range(200)]
            for items in await asyncio.gather(*map(whole, streams)):
                tokens = [token for item in items if isinstance(item, Delta) for token in item.tokens]
                assert tokens == list(range(50))

        assert linked(endpoint, scenario) == []


def test_a_cancel_reaches_the_broker_at_once(endpoint):
    """Within milliseconds of the client's leaving."""
    with FakeBroker(endpoint, rate=50) as broker:

        async def scenario(link):
            await known(link)
            stream = link.open(ticket(tokens=10_000))
            await stream.verdict()
            left_at = time.monotonic()
            stream.cancel()
            assert (await whole(stream))[-1].code is Code.CANCELLED
            await saw(broker, "cancels")
            assert broker.seen.cancels[0][0] - left_at < 0.25

        linked(endpoint, scenario)


def test_without_a_broker_nothing_is_opened(endpoint):
    """A fault at once rather than a wait."""

    async def scenario(link):
        with pytest.raises(FaultError) as caught:
            link.open(ticket())
        assert caught.value.fault.code is Code.BROKER_LOST

    linked(endpoint, scenario)


def test_a_waiting_request_moves_to_the_next_broker(endpoint):
    """The broker goes and another comes: submitted again, with the time waited; one that runs is ended."""

    async def scenario(link):
        with FakeBroker(endpoint, session=b"broker-1"):
            await known(link)
            waiting = link.open(ticket("waits", model="mute"))
            running = link.open(ticket("runs", tokens=100_000))
            items = []
            while not any(isinstance(item, Delta) for item in items):
                items += await running.take()
            await waiting.take()
        await known(link, wanted=False)
        assert (await whole(running))[-1].code is Code.BROKER_LOST
        with FakeBroker(endpoint, session=b"broker-2") as second:
            second.models = ("mute",)
            await known(link)
            await saw(second, "submits")
            (_, submit), *more = second.seen.submits
            assert more == []
            assert (submit.request, submit.attempt) == ("waits", 1)
            assert submit.waited_ms > 500
            assert [entry.id for entry in link.catalogue.entries] == ["mute"]

    linked(endpoint, scenario, interval_s=0.25)


async def until(condition):
    """Poll: it is another thread that makes it true."""
    async with asyncio.timeout(8):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def live(link):
    return {broker.name for broker in link.brokers if broker.live}


@contextlib.contextmanager
def two_brokers(endpoint):
    """Named so that `west` owns the model `mute`, and `east` the model `demo`."""
    assert owner("mute", ("west", "east")) == "west"
    assert owner("demo", ("west", "east")) == "east"
    endpoints = [f"{endpoint}1", f"{endpoint}2"]
    with (
        FakeBroker(endpoints[0], session=b"west----", name="west") as west,
        FakeBroker(endpoints[1], session=b"east----", name="east") as east,
    ):
        yield endpoints, west, east


def test_a_worker_serves_once_every_broker_has_welcomed_it(endpoint):
    """Each model goes to its owner from the first request on; both tell the catalogue."""
    with two_brokers(endpoint) as (endpoints, west, east):

        async def scenario(link):
            assert live(link) == {"west", "east"}
            waiting = link.open(ticket("waits", model="mute"))
            assert isinstance((await whole(link.open(ticket("runs"))))[-1], Finished)
            await waiting.verdict()
            waiting.cancel()
            await until(lambda: west.seen.cancels)

        assert linked(endpoints, scenario) == []
    assert [submit.request for _, submit in west.seen.submits] == ["waits"]
    assert [submit.request for _, submit in east.seen.submits] == ["runs"]
    assert east.seen.cancels == []
    assert min(west.seen.beats, east.seen.beats) >= 1


def test_one_broker_is_enough_to_begin(endpoint):
    """The others are not waited for as long as the first one is."""
    with FakeBroker(f"{endpoint}1", name="west"):

        async def scenario(link):
            assert asyncio.get_running_loop().time() - began < FIRST_WELCOME
            assert [(broker.name, broker.live) for broker in link.brokers] == [("", False), ("west", True)]
            assert isinstance((await whole(link.open(ticket())))[-1], Finished)

        began = time.monotonic()
        linked([f"{endpoint}2", f"{endpoint}1"], scenario)


def test_what_a_silent_broker_had_not_begun_moves_in_time(endpoint):
    """Three beats without a word and a moment: submitted to the other, once each; its own streams go on."""
    interval_s = 0.1
    with two_brokers(endpoint) as (endpoints, west, east):

        async def scenario(link):
            runs = link.open(ticket("runs", tokens=1_000_000))
            waiting = [link.open(ticket(f"w{n}", model="mute")) for n in range(20)]
            for stream in waiting:
                await stream.verdict()
            await runs.verdict()
            west.frozen.set()
            began = time.monotonic()
            await until(lambda: len(east.seen.submits) == 21)
            took = time.monotonic() - began
            assert 2 * interval_s <= took <= 3.5 * interval_s + 0.5  # 0.5: a busy machine
            assert live(link) == {"east"}
            assert link.catalogue.broker == "east"
            moved = sorted(submit.request for _, submit in east.seen.submits[1:])
            assert moved == sorted(stream.request for stream in waiting)
            assert all(submit.waited_ms > 0 for _, submit in east.seen.submits[1:])
            west.frozen.clear()
            await until(lambda: len(west.seen.cancels) >= 20)  # what it may still do is stopped
            await until(lambda: live(link) == {"west", "east"})
            assert {cancel.request for _, cancel in west.seen.cancels} == set(moved)
            assert not any(stream.ended for stream in (runs, *waiting))

        linked(endpoints, scenario, interval_s=interval_s)
    assert len(east.seen.submits) == 21
    assert len(west.seen.submits) == 20


def test_a_reset_link_is_not_a_dead_broker(endpoint):
    """Its connection breaks and is made again within three beats: nothing moves, and the next request goes there."""
    with two_brokers(endpoint) as (endpoints, west, east):

        async def scenario(link):
            await link.open(ticket("before", model="mute")).verdict()
            west.reset()
            beats = west.seen.beats
            await until(lambda: west.seen.beats > beats)
            link.open(ticket("after", model="mute"))
            await until(lambda: len(west.seen.submits) == 2)
            assert live(link) == {"west", "east"}
            assert east.seen.submits == []

        linked(endpoints, scenario, interval_s=0.5)


def test_what_is_not_a_message_is_counted_and_dropped(endpoint):
    """Garbage from the wire never reaches a request."""

    class Babbling(FakeBroker):
        def _on_submit(self, edge, message, attachments, now):
            for frames in (
                [b"x"],
                [b"", b""],
                [b"\x01\xff\0\0" + b"s" * 8, b""],
                [b"\x01\x0d\0\0" + b"s" * 8, b"?"],
            ):
                self.socket.send_multipart([edge, *frames])
            super()._on_submit(edge, message, attachments, now)

    with Babbling(endpoint):

        async def scenario(link):
            await known(link)
            assert isinstance((await whole(link.open(ticket())))[-1], Finished)

        assert linked(endpoint, scenario) == ["frame_count", "header", "unsupported", "invalid"]


def test_a_client_that_does_not_take_is_cancelled(endpoint):
    """A mailbox beyond its bound ends the request; the device is told."""
    with FakeBroker(endpoint, rate=1_000_000) as broker:

        async def scenario(link):
            await known(link)
            stream = link.open(ticket(tokens=20_000))
            ended = asyncio.Event()
            end = stream.end
            stream.end = lambda *outcome: (end(*outcome), ended.set())
            await ended.wait()
            assert (await whole(stream))[-1].message == "The client reads too slowly."
            await saw(broker, "cancels")

        linked(endpoint, scenario)


def test_no_context_exists_before_the_worker_starts(endpoint):
    """A link is built before the fork of nothing: ZeroMQ does not survive one."""
    link = FleetLink([endpoint], Gateway())
    assert not any(isinstance(value, zmq.Context | zmq.Socket) for value in vars(link).values())


def test_a_broker_that_says_nothing_is_called_anew_under_another_name(endpoint):
    """It has another of this route in its books, and would hear this one never."""
    context = new_context()
    with open_socket(context, zmq.ROUTER, Plane.EDGE) as broker:
        bind(broker, endpoint)

        async def scenario(link):
            routes = set()
            while len(routes) < 3:
                await asyncio.sleep(0.01)
                while (frames := receive(broker)) is not None:
                    routes.add(frames[0])
            assert not link.catalogue.broker

        linked(endpoint, scenario, interval_s=0.05)
    context.term()
