"""The mailbox between the link and a handler."""

import asyncio
import tracemalloc

import msgspec
import pytest

from cortex.edge.stream import WRITE_BYTES, Stream
from cortex.protocol.deltas import Delta, Score, Scores, TextPiece, ToolStart
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import Queued

QUEUED = Queued(request="r", attempt=1)
FAULT = Fault(code=Code.BUSY, message="full")


def make(**options):
    left = []
    return Stream("r", leave=left.append, **options), left


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 5))


def text(value):
    return Delta("r", 1, 0, 0, [1], [TextPiece(value)])


def test_everything_there_is_taken_at_once():
    """One wake-up, however much has come."""

    async def scenario():
        stream, _ = make()
        taker = asyncio.ensure_future(stream.take())
        await asyncio.sleep(0)
        stream.put(QUEUED)
        stream.put(text("a"))
        assert await taker == [QUEUED, text("a")]
        stream.end(FAULT)
        assert await stream.take() == [FAULT]

    run(scenario())


def test_the_parts_of_a_prompt_are_taken_one_by_one():
    """Others have their turn between them; they weigh nothing, and nothing is lost or moved."""

    async def scenario():
        stream, _ = make(max_bytes=2000)
        parts = [Delta("r", 1, 0, 0, [], [TextPiece(str(at) * 2000)]) for at in range(3)]
        turns = []
        for item in (QUEUED, *parts, text("a"), text("b")):
            assert stream.put(item)
        stream.end(FAULT)
        for expected in ([QUEUED, parts[0]], parts[1:2], parts[2:], [text("a"), text("b"), FAULT]):
            asyncio.get_running_loop().call_soon(turns.append, len(turns))
            assert await stream.take() == expected
        assert turns == [0, 1, 2]

    run(scenario())


def test_the_first_verdict_stays_in_the_box():
    """Waiting for it takes nothing out; a fault as the first word is raised."""

    async def scenario():
        stream, _ = make()
        stream.put(QUEUED)
        await stream.verdict()
        assert await stream.take() == [QUEUED]
        refused, _ = make()
        refused.end(FAULT)
        with pytest.raises(FaultError):
            await refused.verdict()

    run(scenario())


def test_silence_is_an_empty_list():
    """After the keepalive the handler gets nothing, so that it can say something."""

    async def scenario():
        stream, _ = make(keepalive_s=0.01)
        assert await stream.take() == []
        assert await stream.take() == []
        stream.end(FAULT)

    run(scenario())


def test_what_is_held_back_is_silence_too():
    """The time runs from what was last said, whatever comes and is taken; saying something begins it anew."""

    async def scenario():
        stream, _ = make(keepalive_s=0.01)
        while not stream.overdue:
            stream.put(text("<tool"))
            await stream.take()
            await asyncio.sleep(0)
        stream.said()
        assert not stream.overdue
        assert await stream.take() == []
        assert stream.overdue
        stream.end(FAULT)

    run(scenario())


def test_a_full_box_says_so():
    """More bytes than the bound and the link is told that its client is too slow."""

    async def scenario():
        stream, _ = make(max_bytes=2000)
        assert stream.put(text("x" * 1000))
        assert not stream.put(text("x" * 1000))
        await stream.take()
        assert stream.put(text("x" * 1000))
        stream.end(FAULT)

    run(scenario())


@pytest.mark.parametrize(
    "piece",
    [
        TextPiece("word"),
        ToolStart(0, "call_0123456789", "get_weather"),
        Scores([Score(b"word", -1.5)]),
        Scores([Score(b"word", -1.5, [(b"word%d" % at, -1.5 - at) for at in range(20)])]),
    ],
)
def test_a_box_holds_about_as_much_memory_as_it_may(piece):
    """Whatever its items are made of: a token with twenty alternatives takes eight times the memory of a plain one."""

    async def scenario():
        stream, _ = make(max_bytes=100_000)
        wire = msgspec.msgpack.encode(Delta("request-of-the-client", 1, 0, 0, [1], [piece]))
        decode = msgspec.msgpack.Decoder(Delta).decode
        tracemalloc.start()
        try:
            while stream.put(decode(wire)):
                pass
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 70_000 < held < 200_000
        stream.end(FAULT)

    run(scenario())


def test_a_full_box_is_taken_in_writes_of_bounded_size():
    """Others have their turn between them, nothing is lost or moved, and what was taken weighs nothing any more."""

    async def scenario():
        stream, _ = make(max_bytes=800_000)
        sent = [text(str(at) * 1000) for at in range(200)]
        assert all(map(stream.put, sent))
        stream.end(FAULT)
        taken, turns = [], []
        while FAULT not in taken:
            asyncio.get_running_loop().call_soon(turns.append, len(taken))
            items = await stream.take()
            assert sum(len(item.pieces[0].text) for item in items if item is not FAULT) <= WRITE_BYTES + 3000
            taken += items
        assert taken == [*sent, FAULT]
        assert len(turns) > 2
        stream, _ = make(max_bytes=400_000)
        for at in range(10):
            for _ in range(200):
                assert stream.put(text(str(at) * 1000))
            for _ in range(5):
                await stream.take()
        stream.end(FAULT)

    run(scenario())


def test_leaving_after_the_end_is_nothing():
    """Cancel is told once at most, and never after the terminal."""

    async def scenario():
        stream, left = make()
        stream.cancel()
        assert left == ["r"]
        stream.end(FAULT)
        stream.cancel()
        assert left == ["r"]

    run(scenario())
