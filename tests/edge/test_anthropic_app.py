"""Anthropic's routes of the whole app over a link in memory."""

import asyncio
import json
from urllib.parse import urlencode

import pytest
from asgi_driver import Exchange
from edge_world import World, run
from memory_link import DEMO, accepted, answer, delta, fail, finished, say

from cortex.edge.dialects.anthropic_models import page_of
from cortex.protocol.codec import decode_request
from cortex.protocol.deltas import Finish, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import CatalogueEntry, Counted, Names, Queued
from cortex.protocol.request import Count

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
HI = {"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
STREAMED = {**HI, "stream": True}


def names_of(body):
    return [line[7:] for line in body.decode().split("\n") if line.startswith("event: ")]


def test_a_message_is_answered_in_one_body():
    """The text, the usage and the reason; the id is the request's, under both header names."""

    async def scenario():
        exchange = await World(say("Hello there")).post(HI, MESSAGES).done()
        assert exchange.status == 200
        body = exchange.json
        assert body["content"] == [{"type": "text", "text": "Hello there"}]
        assert (body["stop_reason"], body["usage"]["cache_read_input_tokens"]) == ("end_turn", 3)
        assert exchange.headers["request-id"] == exchange.headers["x-request-id"]
        assert body["id"] == "msg_" + exchange.headers["request-id"].removeprefix("req_")

    run(scenario())


def test_a_tool_call_travels():
    """Tools reach the neuron, calls reach the client as blocks."""

    async def scenario():
        pieces = (
            ToolStart(0, "call_1", "look"),
            ToolArguments(0, '{"a":1}'),
            ToolEnd(0),
            Finish("tool_calls"),
        )
        world = World(answer(*pieces))
        tools = [{"name": "look", "input_schema": {"type": "object"}}]
        exchange = await world.post({**HI, "tools": tools}, MESSAGES).done()
        assert exchange.json["content"] == [
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}}
        ]
        assert world.link.chat.tools[0].name == "look"

    run(scenario())


def test_the_billing_line_reaches_no_model():
    """It changes with every request: behind it no prompt would be found in a cache."""

    async def scenario():
        world = World(say("a"))
        billing = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.abc; cch=00000;"}
        system = [billing, {"type": "text", "text": "You code.", "cache_control": {"type": "ephemeral"}}]
        await world.post({**HI, "system": system}, MESSAGES).done()
        assert [turn.text for turn in world.link.chat.turns] == ["You code.", "hi"]

    run(scenario())


def test_a_client_that_waits_sees_the_start_then_pings():
    """The message begins with the broker's first word; comments for people and pings for timers follow."""

    async def scenario():
        world = World()
        world.link.keepalive_s = 0.02
        exchange = world.post(STREAMED, MESSAGES)
        ticket, stream = await world.opened()
        assert exchange.sent == []
        stream.put(Queued(request=ticket.request, attempt=1))
        await exchange.until(b": queued, 0 ahead\n\nevent: ping\n")
        await exchange.until(b": ping\n\nevent: ping\n")
        stream.put(accepted(ticket))
        stream.put(delta(ticket, 0, TextPiece("a"), Finish("stop")))
        stream.end(finished(ticket, 1))
        await exchange.done()
        assert exchange.headers["content-type"].startswith("text/event-stream")
        assert [name for name in names_of(exchange.body) if name != "ping"] == [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]

    run(scenario())


def test_the_prompts_length_is_in_the_first_event():
    """Where the neuron has already taken the request, with what it found in its cache: both as at the end."""

    async def scenario():
        exchange = await World(say("a")).post(STREAMED, MESSAGES).done()
        told = [json.loads(line[6:]) for line in exchange.body.split(b"\n") if line.startswith(b"data: {")]
        first, last = told[0]["message"]["usage"], told[-2]["usage"]
        for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"):
            assert first[name] == last[name]
        assert (first["input_tokens"], first["cache_read_input_tokens"]) == (4, 3)

    run(scenario())


@pytest.mark.parametrize(
    ("code", "status", "kind", "headers"),
    [
        (Code.BUSY, 503, "api_error", ("3", None)),
        (Code.RATE_LIMITED, 429, "rate_limit_error", ("3", None)),
        (Code.CONTEXT_LENGTH_EXCEEDED, 400, "invalid_request_error", (None, "false")),
        (Code.MODEL_NOT_FOUND, 404, "not_found_error", (None, "false")),
        (Code.ENGINE_FAILED, 500, "api_error", (None, "false")),
    ],
)
@pytest.mark.parametrize("body", [HI, STREAMED])
def test_a_refusal_is_an_http_status(code, status, kind, headers, body):
    """Before the headers have left, streaming or not, in Anthropic's shape and with the request's id."""

    async def scenario():
        exchange = await World(fail(code, retry_after=2.1)).post(body, MESSAGES).done()
        assert (exchange.status, exchange.json["error"]["type"]) == (status, kind)
        assert exchange.json["request_id"] == exchange.headers["request-id"]
        assert (exchange.headers.get("retry-after"), exchange.headers.get("x-should-retry")) == headers

    run(scenario())


def test_a_later_failure_is_the_last_event():
    """After the headers have left nothing follows an error."""

    async def scenario():
        world = World()
        exchange = world.post(STREAMED, MESSAGES)
        ticket, stream = await world.opened()
        stream.put(accepted(ticket))
        stream.put(delta(ticket, 0, TextPiece("a")))
        await exchange.until(b'"text":"a"')
        stream.end(Fault(code=Code.NEURON_LOST, message="It was lost."))
        await exchange.done()
        assert names_of(exchange.body)[-2:] == ["content_block_delta", "error"]
        assert exchange.body.endswith(b'"request_id":"%b"}\n\n' % exchange.headers["request-id"].encode())

    run(scenario())


def test_a_bug_of_ours_has_anthropics_shape():
    """The exception's text stays in the log."""

    def script(_ticket, _stream):
        raise RuntimeError("secret detail")

    async def scenario():
        exchange = await World(script).post(HI, MESSAGES).done()
        assert (exchange.status, exchange.json["error"]["type"]) == (500, "api_error")
        assert b"secret" not in exchange.body

    run(scenario())


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tokens_are_counted_outside_the_queue():
    """Fifteen at once, as agents ask, of a worker that is full; each goes out as a count of the chat under the model's id."""

    async def scenario():
        world = World(
            lambda ticket, stream: stream.end(Counted(request=ticket.request, attempt=1, tokens=7)),
            max_inflight=0,
        )
        body = {"model": "demo", "messages": [{"role": "assistant", "content": "part"}], "tools": []}
        exchanges = [world.post(body, COUNT) for _ in range(15)]
        await asyncio.gather(*(exchange.done() for exchange in exchanges))
        assert {(exchange.status, exchange.body) for exchange in exchanges} == {(200, b'{"input_tokens":7}')}
        ticket = world.link.tickets[0]
        assert (len(world.link.tickets), ticket.operation, ticket.cost) == (15, "count", 0)
        counted = decode_request(ticket.attachments[0])
        assert isinstance(counted, Count)
        assert counted.chat.turns[0].text == "part"
        route = {"model": "demo", "route": COUNT, "status": "200"}
        assert world.metric("cortex_requests_total", **route) == 15

    run(scenario())


@pytest.mark.parametrize("path", [COUNT, "/v1/responses/input_tokens"])
def test_an_estimate_is_told_as_one(path):
    """In a header, for bodies have no place for it."""

    async def scenario():
        body = {"model": "demo", "messages": HI["messages"], "input": "hi"}
        for estimated in (False, True):
            counted = Counted(request="r", attempt=1, tokens=7, estimated=estimated)
            world = World(lambda _, stream, counted=counted: stream.end(counted))
            exchange = await world.post(body, path).done()
            assert exchange.headers.get("x-cortex-estimated") == ("true" if estimated else None)

    run(scenario())


def test_a_count_of_an_unknown_model_or_a_bad_body():
    """As everywhere: 404 and 400, in Anthropic's shape."""

    async def scenario():
        world = World()
        unknown = await world.post({**HI, "model": "gpt-9"}, COUNT).done()
        bad = await world.post(b"{", COUNT).done()
        form = await world.post(HI, COUNT, content_type="text/plain").done()
        found = [(one.status, one.json["error"]["type"]) for one in (unknown, bad, form)]
        assert found == [
            (404, "not_found_error"),
            (400, "invalid_request_error"),
            (415, "invalid_request_error"),
        ]

    run(scenario())


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────

FLEET = {
    "models": (
        DEMO,
        CatalogueEntry(id="org/big", context=100, max_output=10, capabilities=("text", "reasoning")),
    ),
    "names": Names(aliases={"claude-*": "demo", "small": "demo"}),
}


async def listed(path, **query):
    exchange = Exchange(
        World(fleet=FLEET).app,
        "GET",
        path,
        headers={"anthropic-version": "2023-06-01"},
        query=urlencode(query),
    )
    return await exchange.done()


def test_models_are_listed_in_anthropics_shape():
    """For whoever names a version of its interface; ids, aliases, limits and what they can do."""

    async def scenario():
        body = (await listed("/v1/models")).json
        assert [one["id"] for one in body["data"]] == ["demo", "org/big", "small"]
        assert (body["has_more"], body["first_id"], body["last_id"]) == (False, "demo", "small")
        big = body["data"][1]
        assert (big["type"], big["display_name"], big["lifecycle"]) == ("model", "org/big", "active")
        assert (big["max_input_tokens"], big["max_tokens"]) == (100, 10)
        assert big["created_at"].endswith("Z")
        assert big["capabilities"]["thinking"]["types"]["adaptive"] == {"supported": True}
        assert body["data"][0]["capabilities"]["thinking"]["supported"] is False
        one = await listed("/v1/models/org/big")
        assert one.json == big
        missing = await listed("/v1/models/nobody")
        assert (missing.status, missing.json["error"]["type"]) == (404, "not_found_error")

    run(scenario())


def test_a_page_is_asked_for_in_the_query():
    """With a limit, and what comes after a name."""

    async def scenario():
        body = (await listed("/v1/models", limit=1, after_id="demo")).json
        assert ([one["id"] for one in body["data"]], body["has_more"]) == (["org/big"], True)
        for query in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"after_id": "y"}):
            refused = await listed("/v1/models", **query)
            assert (refused.status, refused.json["error"]["type"]) == (400, "invalid_request_error")

    run(scenario())


@pytest.mark.parametrize(
    ("asked", "names", "more"),
    [
        ({}, "abcde", False),
        ({"limit": "2"}, "ab", True),
        ({"limit": "2", "after_id": "b"}, "cd", True),
        ({"limit": "2", "after_id": "c"}, "de", False),
        ({"after_id": "e"}, "", False),
        ({"limit": "2", "before_id": "d"}, "bc", True),
        ({"before_id": "c"}, "ab", False),
        ({"before_id": "a"}, "", False),
    ],
)
def test_pages(asked, names, more):
    """Forwards and backwards; more means in that direction."""
    found, is_more = page_of("abcde", asked)
    assert ("".join(found), is_more) == (names, more)


def test_a_page_beside_a_model_that_is_gone():
    """Said to be the reason, with what to do."""
    with pytest.raises(FaultError, match="names a model that is not listed"):
        page_of(["a"], {"before_id": "b"})
