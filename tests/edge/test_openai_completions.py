"""The old completions: bodies → requests, deltas → chunks and bodies, and several prompts in one."""

import json

import pytest
from asgi_driver import turn_until
from edge_world import World, run
from hypothesis import given
from hypothesis import strategies as st
from memory_link import accepted, delta, fail, finished
from prometheus_client import CollectorRegistry

from cortex.edge.dialects.dialect import Answered
from cortex.edge.dialects.openai_completions import parse
from cortex.edge.dialects.openai_completions_reply import CompletionCollector, CompletionStream
from cortex.edge.metrics import Metrics
from cortex.edge.resources.several import Prompt, SeveralEvents
from cortex.edge.stream import WRITE_BYTES, Stream
from cortex.edge.waiting import Waiting
from cortex.protocol.codec import decode_request, encode_request
from cortex.protocol.deltas import Delta, Finish, Score, Scores, TextPiece
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.values import Usage

PATH = "/v1/completions"


def read(prompt="hi", **more):
    return parse(json.dumps({"model": "demo", "prompt": prompt, **more}).encode(), seed=7)


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("hi", ["hi"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [(1, 2)]),
        ([[1, 2], [3]], [(1, 2), (3,)]),
    ],
)
def test_a_prompt_has_four_forms(prompt, prompts):
    """Each of several prompts is a request with a seed of its own."""
    parsed = read(prompt)
    assert [request.prompt for request in parsed.requests] == prompts
    assert [request.sampling.seed for request in parsed.requests] == [7 + i for i in range(len(prompts))]
    assert parsed.request.sampling.max_tokens == 16


def test_what_is_sent_is_what_is_sampled_with():
    """A seed of the client's is every prompt's; nulls mean nothing."""
    parsed = read(
        ["a", "b"], seed=3, stop="x", logprobs=2, n=2, best_of=2, max_tokens=9, suffix=None, user="u"
    )
    assert {request.sampling.seed for request in parsed.requests} == {3}
    sampling = parsed.request.sampling
    assert (sampling.stop, sampling.logprobs, sampling.n, sampling.max_tokens) == (("x",), 2, 2, 9)


@pytest.mark.parametrize(
    ("param", "code", "more"),
    [
        ("prompt", Code.INVALID_REQUEST, {"prompt": None}),
        ("prompt", Code.INVALID_REQUEST, {"prompt": []}),
        ("prompt[1]", Code.INVALID_REQUEST, {"prompt": ["a", 1]}),
        ("prompt[0]", Code.INVALID_REQUEST, {"prompt": [[-1]]}),
        ("prompt", Code.INVALID_REQUEST, {"prompt": ["a"] * 129}),
        ("suffix", Code.UNSUPPORTED, {"suffix": "end"}),
        ("best_of", Code.UNSUPPORTED, {"best_of": 2}),
        ("max_tokens", Code.INVALID_REQUEST, {"max_tokens": 0}),
        ("max_tokens", Code.INVALID_REQUEST, {"max_tokens": -1, "echo": True}),
        (
            "prompt",
            Code.REQUEST_TOO_LARGE,
            {"prompt": [[1] * 4096] * 128, "echo": True, "logprobs": 20, "max_tokens": 0},
        ),
        ("logprobs", Code.INVALID_REQUEST, {"logprobs": 21}),
    ],
)
def test_what_cannot_be_is_refused_by_name(param, code, more):
    """The field, and a sentence about it."""
    with pytest.raises(FaultError) as caught:
        read(**more)
    fault = caught.value.fault
    assert (fault.param, fault.code) == (param, code)
    assert fault.message.endswith(".")


def test_a_prompt_that_is_repeated_needs_no_answer():
    """The engine repeats it, rated or not, whatever it is; a stream is not bounded as a whole answer is."""
    parsed = read([[1, 2], [3]], echo=True, logprobs=1, max_tokens=0)
    assert [(request.echo, request.sampling.max_tokens) for request in parsed.requests] == [(True, 0)] * 2
    assert not read().request.echo
    assert read([[1] * 4096] * 128, echo=True, logprobs=20, stream=True).stream


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 300)
    | st.text(max_size=4)
    | st.lists(st.integers(-1, 9) | st.text(max_size=2), max_size=3)
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["prompt", "n", "echo", "logprobs", "stop", "best_of", "stream", "seed", "max_tokens"]
        ),
        VALUES,
    )
)
def test_whatever_is_sent_is_a_request_or_a_fault(fields):
    """Never another exception, and what is read can travel."""
    try:
        parsed = read(**fields)
    except FaultError:
        return
    for request in parsed.requests:
        assert decode_request(encode_request(request)) == request


def test_a_part_of_a_character_is_told_by_its_bytes():
    """Its offset is that of the character."""
    collector = CompletionCollector(Answered("1", "demo", 123), 1)
    scores = [Score(b"a", -1.0), Score(b"\xc3", -2.0), Score(b"\xa9", float("-inf")), Score(b"b", -4.0)]
    collector.push(Delta("r", 1, 0, 0, [1], [Scores(scores), TextPiece("aéb"), Finish("stop")]))
    [choice] = json.loads(collector.body(Usage()))["choices"]
    assert choice["logprobs"] == {
        "tokens": ["a", "bytes:\\xc3", "bytes:\\xa9", "b"],
        "token_logprobs": [-1.0, -2.0, -9999.0, -4.0],
        "top_logprobs": [{"a": -1.0}, {"bytes:\\xc3": -2.0}, {"bytes:\\xa9": -9999.0}, {"b": -4.0}],
        "text_offset": [0, 1, 1, 2],
    }


def test_the_first_token_of_a_prompt_has_no_values():
    """Nothing precedes it: nulls in both lists, streamed and whole; its text counts for the others' offsets."""
    said = Delta(
        "r",
        1,
        0,
        0,
        [],
        [Scores([Score(b"Hi", None), Score(b" you", -1.0, [(b" me", -0.5)])]), TextPiece("Hi you")],
    )
    expected = {
        "tokens": ["Hi", " you"],
        "token_logprobs": [None, -1.0],
        "top_logprobs": [None, {" me": -0.5, " you": -1.0}],
        "text_offset": [0, 2],
    }
    collector = CompletionCollector(Answered("1", "demo", 123), 1)
    collector.push(said)
    [whole] = json.loads(collector.body(Usage()))["choices"]
    told = CompletionStream(Answered("1", "demo", 123), read()).push(said)
    [streamed] = json.loads(told.removeprefix(b"data: "))["choices"]
    for choice in (whole, streamed):
        assert (choice["text"], choice["logprobs"]) == ("Hi you", expected)


def test_a_stream_begins_at_once_and_ends_with_a_reason():
    """With a comment; a choice of which nothing was heard gets a reason too."""
    stream = CompletionStream(Answered("1", "demo", 123), read(n=2, stream_options={"include_usage": True}))
    assert stream.start(Usage()) == b": begun\n\n"
    lines = stream.end(Usage(prompt=1, completion=2)).decode().split("\n\n")
    chunks = [json.loads(line[6:]) for line in lines[:-2]]
    assert lines[-2] == "data: [DONE]"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:2]] == ["stop", "stop"]
    assert (chunks[2]["choices"], chunks[2]["usage"]["total_tokens"]) == ([], 3)
    assert b'"code":"stalled"' in stream.fail(Fault(code=Code.STALLED, message="x"))


def test_several_prompts_are_several_requests():
    """Told apart by their names and digests, answered in the order of the prompts, counted together."""

    def script(ticket, stream):
        prompt = decode_request(ticket.attachments[0]).prompt
        stream.put(accepted(ticket))
        stream.put(delta(ticket, 0, TextPiece(f"{prompt} after {prompt}"), Finish("stop")))
        stream.end(finished(ticket, 1))

    async def scenario():
        world = World(script)
        body = {"model": "demo", "prompt": ["a", "b"], "echo": True}
        exchange = await world.post(body, PATH).done()
        assert [choice["text"] for choice in exchange.json["choices"]] == ["a after a", "b after b"]
        assert exchange.json["usage"]["prompt_tokens"] == 14
        names = [ticket.request for ticket in world.link.tickets]
        assert names == [f"{exchange.headers['x-request-id']}-{number}" for number in (0, 1)]
        assert len({ticket.digest for ticket in world.link.tickets}) == 2
        assert world.metric("cortex_edge_inflight") == 0

    run(scenario())


def test_one_prompt_that_fails_ends_the_others():
    """Nobody would get their answers."""

    def script(ticket, stream):
        if ticket.request.endswith("-1"):
            fail(Code.BUSY)(ticket, stream)

    async def scenario():
        world = World(script)
        exchange = await world.post({"model": "demo", "prompt": ["a", "b", "c"]}, PATH).done()
        assert (exchange.status, exchange.json["error"]["code"]) == (503, "busy")
        assert [name[-2:] for name in world.link.cancelled] == ["-0", "-2"]
        assert world.metric("cortex_edge_inflight") == 0

    run(scenario())


def test_a_client_that_leaves_cancels_all_of_them():
    """At once."""

    async def scenario():
        world = World()
        exchange = world.post({"model": "demo", "prompt": ["a", "b"]}, PATH)
        await turn_until(lambda: len(world.link.tickets) == 2)
        exchange.disconnect()
        await exchange.done()
        assert len(world.link.cancelled) == 2
        assert world.metric("cortex_edge_inflight") == 0

    run(scenario())


def events_of(exchange):
    """The data of each event, and the comments."""
    blocks = exchange.body.decode().split("\n\n")
    data = [block.removeprefix("data: ") for block in blocks if block.startswith("data: ")]
    return [json.loads(one) for one in data if one != "[DONE]"], data[-1:] == ["[DONE]"]


SEVERAL = {"model": "demo", "prompt": ["a", "b", "c"], "n": 2, "stream": True}


def test_several_prompts_are_told_in_one_stream():
    """Each choice by its number, one usage for all of them, and one end."""

    def script(ticket, stream):
        prompt = decode_request(ticket.attachments[0]).prompt
        stream.put(accepted(ticket))
        for choice in (1, 0):
            stream.put(delta(ticket, 0, TextPiece(prompt * 2), choice=choice))
            stream.put(delta(ticket, 1, TextPiece("!"), Finish("stop"), choice=choice))
        stream.end(finished(ticket, 2, 2))

    async def scenario():
        world = World(script)
        body = {**SEVERAL, "stream_options": {"include_usage": True}}
        exchange = await world.post(body, PATH).done()
        assert exchange.headers["content-type"].startswith("text/event-stream")
        chunks, is_done = events_of(exchange)
        texts = [""] * 6
        for chunk in chunks[:-1]:
            [choice] = chunk["choices"]
            texts[choice["index"]] += choice["text"]
        assert texts == ["aa!", "aa!", "bb!", "bb!", "cc!", "cc!"]
        assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]) == ([], 12)
        assert sum("usage" in chunk for chunk in chunks) == 1
        assert is_done
        assert exchange.body.count(b"[DONE]") == 1
        assert exchange.body.count(b": begun") == 1
        assert len({chunk["id"] for chunk in chunks}) == 1
        assert [ticket.queue_ms for ticket in world.link.tickets] == [30_000, 60_000, 90_000]
        assert world.metric("cortex_edge_inflight") == 0

    run(scenario())


def test_a_stream_of_several_shows_that_it_is_alive():
    """While nothing comes of any of them: a comment, as in any stream."""

    async def scenario():
        world = World()
        world.link.keepalive_s = 0.02
        exchange = world.post(SEVERAL, PATH)
        await turn_until(lambda: len(world.link.tickets) == 3)
        for ticket in world.link.tickets:
            world.link.streams[ticket.request].put(accepted(ticket))
        await exchange.until(b": ping")
        for ticket in world.link.tickets:
            world.link.streams[ticket.request].end(finished(ticket, 0, 0))
        await exchange.done()
        assert events_of(exchange)[1]

    run(scenario())


def test_what_filled_up_behind_a_slow_reader_leaves_in_several_writes():
    """Each of a few dozen KiB, and every prompt has its turn: none is read to its end before another."""

    async def scenario():
        prompts = []
        for number in range(9):
            stream = Stream(f"r{number}", leave=lambda _: None)
            for seq in range(200):
                stream.put(Delta(f"r{number}", 1, 0, seq, [1], [TextPiece(str(number) * 1000)]))
            stream.end(finished(stream, 200))
            encoder = CompletionStream(Answered("r", "demo", 0), read(["a"] * 9), number)
            record = Metrics(CollectorRegistry()).begin(stream.request, "demo", PATH)
            prompts.append(Prompt(stream, encoder, record))
        events = SeveralEvents(prompts, Waiting("demo"))
        writes = [data async for data in events]
        for number in range(9):
            assert b"".join(writes).count(b"%d" % number * 1000) == 200
        assert max(map(len, writes)) < 2 * WRITE_BYTES
        last = [max(at for at, data in enumerate(writes) if b"%d" % n * 1000 in data) for n in range(9)]
        assert max(last) - min(last) < 9 < len(writes)

    run(scenario())


def test_one_prompt_of_a_stream_that_is_refused_is_an_http_error():
    """Nothing has been sent before every prompt has its verdict."""

    async def scenario():
        world = World()
        exchange = world.post(SEVERAL, PATH)
        await turn_until(lambda: len(world.link.tickets) == 3)
        for ticket in world.link.tickets[:2]:
            world.link.streams[ticket.request].put(accepted(ticket))
        fail(Code.BUSY)(world.link.tickets[2], world.link.streams[world.link.tickets[2].request])
        await exchange.done()
        assert (exchange.status, exchange.json["error"]["code"]) == (503, "busy")
        assert [name[-2:] for name in world.link.cancelled] == ["-0", "-1"]
        assert world.metric("cortex_edge_inflight") == 0

    run(scenario())


def test_one_prompt_of_a_stream_that_fails_later_ends_it():
    """With its error and no end; the others are cancelled."""

    async def scenario():
        world = World()
        exchange = world.post(SEVERAL, PATH)
        await turn_until(lambda: len(world.link.tickets) == 3)
        streams = [world.link.streams[ticket.request] for ticket in world.link.tickets]
        for ticket, stream in zip(world.link.tickets, streams, strict=True):
            stream.put(accepted(ticket))
        streams[2].put(delta(world.link.tickets[2], 0, TextPiece("x")))
        await turn_until(lambda: b'"x"' in exchange.body)
        fail(Code.NEURON_LOST)(world.link.tickets[1], streams[1])
        await exchange.done()
        chunks, is_done = events_of(exchange)
        assert chunks[0]["choices"][0]["index"] == 4
        assert chunks[-1]["error"]["code"] == "neuron_lost"
        assert not is_done
        assert [name[-2:] for name in world.link.cancelled] == ["-0", "-2"]
        assert world.metric("cortex_edge_inflight") == 0

    run(scenario())


def test_a_client_that_leaves_a_stream_of_several_cancels_all():
    """In the middle of it."""

    async def scenario():
        world = World()
        exchange = world.post(SEVERAL, PATH)
        await turn_until(lambda: len(world.link.tickets) == 3)
        for ticket in world.link.tickets:
            world.link.streams[ticket.request].put(accepted(ticket))
        await turn_until(lambda: b": begun" in exchange.body)
        exchange.disconnect()
        await exchange.done()
        assert sorted(name[-2:] for name in set(world.link.cancelled)) == ["-0", "-1", "-2"]
        assert world.metric("cortex_edge_inflight") == 0

    run(scenario())
