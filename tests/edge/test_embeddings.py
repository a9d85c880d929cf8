"""`POST /v1/embeddings`: bodies, replies, and the way between."""

import base64
import json
import struct

import pytest
from edge_world import World, run
from hypothesis import given
from hypothesis import strategies as st
from memory_link import accepted, fail, finished

from cortex.edge.dialects.openai_embeddings import MAX_INPUTS, parse, reply
from cortex.protocol.codec import decode_request, encode_request
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Embed
from cortex.protocol.values import Usage

PATH = "/v1/embeddings"


def body(given, **more):
    return json.dumps({"model": "demo", "input": given, **more}).encode()


def refused(data):
    with pytest.raises(FaultError) as caught:
        parse(data)
    return caught.value.fault


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_every_form_of_input(given, inputs):
    """A text, texts, token ids, and lists of them; it can be sent on as it is read."""
    parsed = parse(body(given, user="me", dimensions=3))
    assert parsed.embed == Embed(model="demo", inputs=inputs, dimensions=3)
    assert parsed.encoding == "float"
    assert decode_request(encode_request(parsed.embed)) == parsed.embed


def test_null_means_absent():
    """Clients send null for what they leave open."""
    assert parse(body("a", encoding_format=None, dimensions=None, user=None)) == parse(body("a"))


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (body(["a", ""]), "input[1]"),
        (body([]), "input"),
        (body([[1], []]), "input[1]"),
        (body(["a", 1]), "input[1]"),
        (body([[1], "a"]), "input[1]"),
        (body([1, -1]), "input"),
        (body([[2**31]]), "input[0]"),
        (body([10**30]), None),
        (body([True]), "input"),
        (body(1.5), "input"),
        (body(None), "input"),
        (body(["a"] * (MAX_INPUTS + 1)), "input"),
        (body("a", encoding_format="hex"), "encoding_format"),
        (body("a", dimensions=0), "dimensions"),
        (b'{"input": "a"}', "model"),
        (b'{"model": "", "input": "a"}', "model"),
        (b"[" * 10_000, None),
    ],
)
def test_what_is_wrong_is_named(data, param):
    """One fault, with the field where there is one."""
    found = refused(data)
    assert found.code is Code.INVALID_REQUEST
    assert param is None or found.param.startswith(param), found


def test_an_empty_text_is_blamed_where_it_stands():
    """Not as the first of a list that nobody sent."""
    assert refused(body("")).message == "input is empty; send some text."
    assert refused(body([""])).message == "input[0] is empty; send some text."


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists, max_leaves=6))
def test_whatever_the_input_is_the_answer_is_a_request_or_a_fault(value):
    """Nothing else leaves the parser."""
    try:
        parsed = parse(body(value))
    except FaultError:
        return
    assert all(parsed.embed.inputs)


@pytest.mark.parametrize("count", [1, 64, 65, 130])
def test_vectors_are_told_in_both_forms(count):
    """Numbers and base64 are the same float32 values, in the order of the inputs."""
    rows = [[0.1 * index, -1.5] for index in range(count)]
    vectors = b"".join(struct.pack("<2f", *row) for row in rows)
    told = {}
    for encoding in ("float", "base64"):
        parsed = parse(body(["x"] * count, encoding_format=encoding))
        answer = json.loads(b"".join(reply(parsed, vectors, Usage(prompt=9))))
        assert [one["index"] for one in answer["data"]] == list(range(count))
        assert (answer["object"], answer["model"]) == ("list", "demo")
        assert answer["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
        told[encoding] = [one["embedding"] for one in answer["data"]]
    assert [list(struct.unpack("<2f", base64.b64decode(one))) for one in told["base64"]] == told["float"]
    assert told["float"][-1] == pytest.approx(rows[-1])


def embedded(*vectors):
    """A script that accepts and finishes with these vectors."""

    def script(ticket, stream):
        stream.put(accepted(ticket))
        stream.end(finished(ticket), tuple(vectors))

    return script


def test_a_request_is_answered():
    """What is submitted, and one object back; the tokens are counted."""

    async def scenario():
        world = World(embedded(struct.pack("<4f", 1, 2, 3, 4)))
        exchange = await world.post({"model": "demo", "input": ["a", "b"]}, PATH).done()
        assert exchange.status == 200
        assert [one["embedding"] for one in exchange.json["data"]] == [[1, 2], [3, 4]]
        ticket = world.link.tickets[0]
        assert (ticket.operation, ticket.choices) == ("embed", 0)
        assert ticket.cost == len(ticket.attachments[0]) // 4
        assert world.metric("cortex_prompt_tokens_total", model="demo") == 7
        assert world.metric("cortex_requests_total", model="demo", route=PATH, status="200") == 1

    run(scenario())


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (fail(Code.BUSY), 503, "busy"),
        (fail(Code.CONTEXT_LENGTH_EXCEEDED), 400, "context_length_exceeded"),
        (embedded(b"12345"), 500, "internal_error"),
        (embedded(), 500, "internal_error"),
    ],
)
def test_failures_are_statuses(script, status, code):
    """Also that of a neuron whose vectors are none."""

    async def scenario():
        world = World(script)
        exchange = await world.post({"model": "demo", "input": "a"}, PATH).done()
        assert exchange.status == status
        assert exchange.json["error"]["code"] == code
        assert world.metric("cortex_edge_inflight") == 0

    run(scenario())


def test_a_client_that_leaves_is_noticed():
    """What it asked for is cancelled."""

    async def scenario():
        world = World()
        exchange = world.post({"model": "demo", "input": "a"}, PATH)
        ticket, _ = await world.opened()
        exchange.disconnect()
        await exchange.done()
        assert world.link.cancelled == [ticket.request]

    run(scenario())
