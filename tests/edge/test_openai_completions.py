"""The old completions: bodies → requests, deltas → chunks and bodies, and several prompts in one."""

import json

import pytest
from asgi_driver import turn_until
from edge_world import World, run
from hypothesis import given
from hypothesis import strategies as st
from memory_link import accepted, delta, fail, finished

from cortex.edge.dialects.dialect import Answered
from cortex.edge.dialects.openai_completions import parse
from cortex.edge.dialects.openai_completions_reply import CompletionCollector, CompletionStream
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
        ("prompt", Code.UNSUPPORTED, {"prompt": ["a", "b"], "stream": True}),
        ("suffix", Code.UNSUPPORTED, {"suffix": "end"}),
        ("best_of", Code.UNSUPPORTED, {"best_of": 2}),
        ("echo", Code.UNSUPPORTED, {"prompt": [1], "echo": True}),
        ("echo", Code.UNSUPPORTED, {"echo": True, "logprobs": 1}),
        ("max_tokens", Code.INVALID_REQUEST, {"max_tokens": 0}),
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


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 300)
    | st.text(max_size=4)
    | st.lists(st.integers(-1, 9) | st.text(max_size=2), max_size=3)
)


@given(
    st.dictionaries(
        st.sampled_from(["prompt", "n", "echo", "logprobs", "stop", "best_of", "stream", "seed"]), VALUES
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


def test_a_stream_begins_at_once_and_ends_with_a_reason():
    """With a comment where there is no prompt to repeat; a choice of which nothing was heard gets a reason too."""
    stream = CompletionStream(Answered("1", "demo", 123), read(n=2, stream_options={"include_usage": True}))
    assert stream.start(0) == b": begun\n\n"
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
        stream.put(delta(ticket, 0, TextPiece(f" after {prompt}"), Finish("stop")))
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
