"""The guard in front of an app of a few lines."""

import asyncio

from asgi_driver import Exchange, turn_until

from cortex.edge.config import Gateway
from cortex.edge.guard import Guard

SMALL = {"max_body_bytes": 100, "body_s": 0.05, "write_stall_s": 0.05}


class Echo:
    """Answers with the body it got; `seen` are the scopes."""

    def __init__(self):
        self.seen = []
        self.wait = None

    async def __call__(self, scope, receive, send):
        self.seen.append(scope)
        message = await receive()
        if self.wait is not None:
            await self.wait.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})


def guard(app=None, **settings):
    return Guard(app or Echo(), Gateway(**{**SMALL, **settings}))


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 10))


def test_a_whole_body_reaches_the_app():
    """The parts of a body arrive as one, and every answer has a request id."""

    async def scenario():
        exchange = Exchange(guard(), "POST", headers={"content-length": "6"}, body=None)
        exchange.feed(b"abc")
        exchange.feed(b"def", more=False)
        await exchange.done()
        assert (exchange.status, exchange.body) == (200, b"abcdef")
        assert exchange.headers["x-request-id"].startswith("req_")

    run(scenario())


def test_a_body_announced_too_large_is_not_read():
    """413 by the Content-Length alone, in the shape of the interface, and the connection is closed."""

    async def scenario():
        exchange = Exchange(guard(), "POST", headers={"content-length": "101"}, body=None)
        exchange.disconnect()
        await exchange.done()
        assert exchange.status == 413
        assert exchange.json["error"]["code"] == "request_too_large"
        assert exchange.headers["connection"] == "close"
        assert exchange.headers["x-should-retry"] == "false"
        assert exchange.headers["x-request-id"]

    run(scenario())


def test_a_body_that_grows_too_large_is_cut():
    """413 also without a Content-Length."""

    async def scenario():
        exchange = Exchange(guard(), "POST", body=None)
        exchange.feed(b"x" * 60)
        exchange.feed(b"x" * 60)
        exchange.disconnect()
        await exchange.done()
        assert exchange.status == 413

    run(scenario())


def test_a_body_that_does_not_come_is_a_timeout():
    """408 when the deadline passes."""

    async def scenario():
        app = Echo()
        exchange = Exchange(guard(app), "POST", headers={"content-length": "9"}, body=None)
        exchange.feed(b"x")
        await exchange.done()
        assert exchange.status == 408
        assert app.seen == []

    run(scenario())


def test_a_body_cut_short_is_not_served():
    """Less than its Content-Length is a 400, never a 200."""

    async def scenario():
        for ending in ("disconnect", "end"):
            app = Echo()
            exchange = Exchange(guard(app), "POST", headers={"content-length": "9"}, body=None)
            exchange.feed(b"x", more=ending == "disconnect")
            if ending == "disconnect":
                exchange.disconnect()
            await exchange.done()
            assert exchange.status == 400
            assert app.seen == []

    run(scenario())


def test_the_app_learns_at_once_that_its_client_left():
    """Callbacks run within the turn of the loop in which the disconnect arrives."""

    async def scenario():
        app = Echo()
        app.wait = asyncio.Event()
        exchange = Exchange(guard(app), "POST", body=b"x")
        await asyncio.sleep(0)
        await turn_until(lambda: app.seen)
        left = []
        gone = app.seen[0]["cortex.gone"]
        gone.then(lambda: left.append("first"))
        assert not gone.is_set()
        exchange.disconnect()
        for _ in range(5):
            await asyncio.sleep(0)
        assert left == ["first"]
        gone.then(lambda: left.append("late"))
        assert left == ["first", "late"]
        app.wait.set()
        await exchange.done()

    run(scenario())


def test_a_client_that_does_not_read_is_cut_off():
    """A write that takes longer than the stall limit ends the request and the connection."""

    async def scenario():
        app = Echo()
        exchange = Exchange(guard(app), "POST", body=b"x")
        exchange.reading.clear()
        await asyncio.wait([exchange.task], timeout=2)
        assert exchange.task.cancelled()
        assert exchange.aborted
        assert app.seen[0]["cortex.gone"].is_set()

    run(scenario())


def test_a_client_that_leaves_without_reading_frees_its_request():
    """A blocked write does not outlive the client."""

    async def scenario():
        wrapped = guard(write_stall_s=60)
        exchange = Exchange(wrapped, "POST", body=b"x")
        exchange.reading.clear()
        await turn_until(lambda: exchange.sent)
        exchange.disconnect()
        await asyncio.wait([exchange.task], timeout=2)
        assert exchange.task.cancelled()
        assert wrapped.inflight == 0

    run(scenario())


def test_a_full_worker_refuses_before_reading():
    """At the cap a POST is a 503 with Retry-After; probes are still answered."""

    async def scenario():
        app = Echo()
        app.wait = asyncio.Event()
        wrapped = guard(app, max_inflight=1)
        first = Exchange(wrapped, "POST", body=b"x")
        await turn_until(lambda: app.seen)
        second = Exchange(wrapped, "POST", body=None)
        await second.done()
        assert second.status == 503
        assert second.headers["retry-after"] == "2"
        assert second.headers["server"] == "cortex"
        assert second.json["error"]["code"] == "overloaded"
        app.wait.set()
        assert (await Exchange(wrapped, "GET").done()).status == 200
        assert (await first.done()).status == 200
        assert (await Exchange(wrapped, "POST", body=b"x").done()).status == 200
        assert wrapped.inflight == 0

    run(scenario())


def test_a_stopping_worker_begins_nothing_new():
    """While draining a POST is a retryable 503."""

    async def scenario():
        wrapped = guard()
        wrapped.draining = True
        exchange = await Exchange(wrapped, "POST", body=b"x").done()
        assert exchange.status == 503
        assert exchange.json["error"]["code"] == "draining"
        assert (await Exchange(wrapped, "GET").done()).status == 200

    run(scenario())
