"""The whole app over a link in memory."""

import asyncio
import json

import pytest
from asgi_driver import turn_until
from edge_world import CHAT, HI, STREAMED, World, run
from memory_link import accepted, answer, delta, fail, finished, say

from cortex.protocol.deltas import Finish, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import Loading, Queued

LIST = "GET / lists all routes."


def events(body):
    return [
        line[6:] if line == "data: [DONE]" else json.loads(line[6:])
        for line in body.decode().split("\n\n")
        if line.startswith("data: ")
    ]


def test_a_chat_is_answered_in_one_body():
    """The text, the usage and the reason; the id is the request's."""

    async def scenario():
        exchange = await World(say("Hello there you")).post(HI).done()
        assert exchange.status == 200
        assert exchange.headers["content-type"] == "application/json"
        body = exchange.json
        assert body["choices"][0]["message"]["content"] == "Hello there you"
        assert body["choices"][0]["finish_reason"] == "stop"
        assert body["usage"]["prompt_tokens"] == 7
        assert body["id"] == "chatcmpl-" + exchange.headers["x-request-id"].removeprefix("req_")

    run(scenario())


def test_a_chat_is_streamed():
    """Role, text, reason, `[DONE]`, as server-sent events."""

    async def scenario():
        exchange = await World(say("Hello there")).post(STREAMED).done()
        assert exchange.headers["content-type"].startswith("text/event-stream")
        *chunks, done = events(exchange.body)
        assert done == "[DONE]"
        assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == "Hello there"

    run(scenario())


def test_the_submission_carries_cost_principal_and_seed():
    """Charged by bytes and expected tokens; a credential is never sent, its digest is; a seed is drawn."""

    async def scenario():
        world = World(say("x"))
        await world.post({**HI, "max_tokens": 10}, authorization="Bearer secret").done()
        ticket = world.link.tickets[0]
        assert ticket.cost == len(ticket.attachments[0]) // 4 + 10
        assert len(ticket.principal) == 64
        assert world.link.chat.sampling.seed > 0
        await world.post(HI, x_api_key="secret").done()
        assert world.link.tickets[1].principal == ticket.principal
        assert world.link.tickets[1].cost == len(world.link.tickets[1].attachments[0]) // 4 + 1024
        await world.post(HI).done()
        assert world.link.tickets[2].principal == "127.0.0.1"

    run(scenario())


def test_headers_leave_with_the_first_verdict():
    """Queued is enough: the role chunk goes out, then comments while the client waits."""

    async def scenario():
        world = World()
        world.link.keepalive_s = 0.02
        exchange = world.post(STREAMED)
        ticket, stream = await world.opened()
        assert exchange.sent == []
        stream.put(Queued(request=ticket.request, attempt=1))
        await exchange.until(b'"role":"assistant"')
        await exchange.until(b'"finish_reason":null}]}\n\n: queued, 0 ahead\n\n')
        stream.put(Loading(request=ticket.request, attempt=1))
        await exchange.until(b": ping\n\n: ping\n\n")
        stream.put(accepted(ticket))
        stream.put(delta(ticket, 0, TextPiece("a")))
        stream.put(delta(ticket, 1, TextPiece("b"), Finish("stop")))
        stream.end(finished(ticket, 2))
        await exchange.done()
        assert exchange.body.endswith(b"data: [DONE]\n\n")
        last = exchange.sent[-2]["body"]
        assert last.count(b"data: ") == 4, "what is there at once goes out in one write"

    run(scenario())


def test_a_client_hears_of_a_model_whose_words_are_held_back():
    """Tokens come that may become a tool call: nothing of them leaves, and the client is told that it is served."""

    async def scenario():
        world = World()
        world.link.keepalive_s = 0.02
        exchange = world.post(STREAMED)
        ticket, stream = await world.opened()
        stream.put(accepted(ticket))
        seq = 0

        def heard():
            nonlocal seq
            stream.put(delta(ticket, seq))
            seq += 1
            return b": ping" in exchange.body

        await turn_until(heard)
        stream.put(delta(ticket, seq, TextPiece("a"), Finish("stop")))
        stream.end(finished(ticket, seq + 1))
        await exchange.done()
        assert exchange.body.endswith(b"data: [DONE]\n\n")

    run(scenario())


@pytest.mark.parametrize(
    ("code", "status", "retry_after", "should_retry"),
    [
        (Code.BUSY, 503, "3", None),
        (Code.RATE_LIMITED, 429, "3", None),
        (Code.NO_CAPACITY, 503, "3", None),
        (Code.CONTEXT_LENGTH_EXCEEDED, 400, None, "false"),
        (Code.DOES_NOT_FIT, 507, None, "false"),
        (Code.ENGINE_FAILED, 500, None, "false"),
        (Code.LOAD_FAILED, 503, "3", "false"),
    ],
)
@pytest.mark.parametrize("body", [HI, STREAMED])
def test_a_refusal_is_an_http_status(code, status, retry_after, should_retry, body):
    """Before the headers have left, a fault is a status, streaming or not."""

    async def scenario():
        exchange = await World(fail(code, retry_after=2.1)).post(body).done()
        assert exchange.status == status
        assert exchange.headers.get("retry-after") == retry_after
        assert exchange.headers.get("x-should-retry") == should_retry
        assert exchange.json["error"]["code"] == code.value

    run(scenario())


def test_a_later_failure_is_an_event():
    """After the headers have left, a fault ends the stream as an error object, without `[DONE]`."""

    async def scenario():
        world = World()
        exchange = world.post(STREAMED)
        ticket, stream = await world.opened()
        stream.put(accepted(ticket))
        stream.put(delta(ticket, 0, TextPiece("a")))
        await exchange.until(b'"content":"a"')
        stream.end(Fault(code=Code.NEURON_LOST, message="the neuron was lost"))
        await exchange.done()
        assert events(exchange.body)[-1]["error"]["code"] == "neuron_lost"
        assert b"[DONE]" not in exchange.body

    run(scenario())


@pytest.mark.parametrize("body", [HI, STREAMED])
@pytest.mark.parametrize("begun", [False, True])
def test_a_client_that_leaves_is_cancelled_at_once(body, begun):
    """Before the verdict or in the middle, streaming or not."""

    async def scenario():
        world = World()
        exchange = world.post(body)
        ticket, stream = await world.opened()
        if begun:
            stream.put(accepted(ticket))
            stream.put(delta(ticket, 0, TextPiece("a")))
            await turn_until(lambda: not stream._items)  # the handler has taken it
        exchange.disconnect()
        for _ in range(5):
            await asyncio.sleep(0)
        assert world.link.cancelled == [ticket.request]
        await exchange.done()
        assert world.metric("cortex_client_disconnects_total") == 1
        assert world.metric("cortex_edge_inflight") == 0

    run(scenario())


def test_a_tool_call_travels():
    """Tools reach the neuron, calls reach the client."""

    async def scenario():
        script = answer(
            ToolStart(0, "call_1", "look"), ToolArguments(0, '{"a":1}'), ToolEnd(0), Finish("tool_calls")
        )
        world = World(script)
        tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
        exchange = await world.post({**HI, "tools": tools}).done()
        call = exchange.json["choices"][0]["message"]["tool_calls"][0]
        assert call["function"] == {"name": "look", "arguments": '{"a":1}'}
        assert world.link.chat.tools[0].name == "look"

    run(scenario())


def test_the_models_are_listed():
    """As the broker told, in the shape that clients know."""

    async def scenario():
        world = World()
        listed = (await world.get("/v1/models")).json
        assert listed["object"] == "list"
        demo = listed["data"][0]
        assert demo.pop("created") > 0
        assert demo == {
            "id": "demo",
            "object": "model",
            "owned_by": "cortex",
            "loaded": True,
            "state": "hot",
            "feasible_on": [],
            "locations": [{"node": "host/0", "status": "loaded", "state": "hot"}],
            "capabilities": ["text", "tools"],
            "tool_call": True,
            "reasoning": False,
            "limit": {"context": 4096},
            "max_model_len": 4096,
            "max_input_tokens": 4096,
        }
        assert (await world.get("/v1/models/org/demo-1b")).json["id"] == "org/demo-1b"
        missing = await world.get("/v1/models/nobody")
        assert (missing.status, missing.json["error"]["code"]) == (404, "model_not_found")

    run(scenario())


def test_an_unknown_model_is_not_asked_for():
    """404 from the catalogue, without troubling the broker."""

    async def scenario():
        world = World(say("x"))
        exchange = await world.post({**HI, "model": "gpt-9"}).done()
        assert (exchange.status, exchange.json["error"]["param"]) == (404, "model")
        assert exchange.headers["x-should-retry"] == "false"
        assert world.link.tickets == []

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("POST", CHAT, 415, "unsupported_media_type"),
    ],
)
def test_failures_of_http_have_the_same_shape(method, path, status, code):
    """404, 405 and 415 are error objects too."""

    async def scenario():
        exchange = await World().get(path, method)
        assert exchange.status == status
        assert exchange.json["error"]["code"] == code
        assert exchange.headers["x-request-id"]

    run(scenario())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"demo"}', b"\xff"])
def test_a_bad_body_is_a_400(body):
    """Never a 500."""

    async def scenario():
        exchange = await World().post(body).done()
        assert exchange.status == 400
        assert exchange.json["error"]["type"] == "invalid_request_error"

    run(scenario())


def test_a_bug_of_ours_tells_only_its_request_id(caplog):
    """The exception's text stays in the log."""

    def script(_ticket, _stream):
        raise RuntimeError("secret detail")

    async def scenario():
        exchange = await World(script).post(HI).done()
        assert exchange.status == 500
        assert exchange.headers["x-request-id"] in exchange.json["error"]["message"]
        assert b"secret" not in exchange.body

    run(scenario())
    assert "secret detail" in caplog.text


def test_draining_ends_streams_with_an_event():
    """Live streams go on until the grace is nearly over, then each gets a terminal error; nothing new begins."""

    async def scenario():
        world = World(grace_s=1)
        exchange = world.post(STREAMED)
        ticket, stream = await world.opened()
        stream.put(accepted(ticket))
        await exchange.until(b"assistant")
        world.app.begin_drain()
        refused = await world.post(HI).done()
        assert (refused.status, refused.json["error"]["code"]) == (503, "draining")
        assert (await world.get("/readyz")).json == {"status": "draining"}
        stream.put(delta(ticket, 0, TextPiece("still here")))
        await exchange.until(b"still here")
        await exchange.done()
        assert events(exchange.body)[-1]["error"]["code"] == "draining"

    run(scenario())


def test_the_link_lives_with_the_worker():
    """Started at lifespan startup, in the worker; stopped at shutdown."""

    async def scenario():
        world = World()
        inbox = asyncio.Queue()
        sent = []

        async def send(message):
            sent.append(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        task = asyncio.ensure_future(world.app(scope, inbox.get, send))
        inbox.put_nowait({"type": "lifespan.startup"})
        await turn_until(lambda: sent)
        assert world.link.running
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await task
        assert not world.link.running
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    run(scenario())
