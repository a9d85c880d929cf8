"""The edge's series."""

import asyncio

import pytest
from asgi_driver import turn_until
from edge_world import CHAT, HI, STREAMED, World, run
from memory_link import accepted, delta, fail, finished, say

from cortex.protocol.deltas import Finish, TextPiece
from cortex.protocol.faults import Code


def test_every_metric_is_emitted():
    """Each declared series moves when the app is driven; no label comes from a client."""

    async def scenario():
        world = World(say("Hello there"))
        await world.post(STREAMED).done()
        await world.post({**HI, "model": "made-up-label"}).done()
        world.link.script = fail(Code.ENGINE_FAILED)
        await world.post(HI).done()
        world.link.script = None
        leaving = world.post(STREAMED)
        await turn_until(lambda: world.metric("cortex_edge_inflight") == 1)
        leaving.disconnect()
        await leaving.done()
        world.metrics.wire_error("header")
        world.metrics.called("demo", {"made": 2, "malformed": 1, "braces": 3, "made-up-label": 4})
        await world.get("/v1/models/org/demo-1b")
        await world.get("/v1/models/made-up-label")
        await world.get("/v1/nowhere")
        return world

    world = run(scenario())
    silent = {family.name for family in world.registry.collect() if not any(s.value for s in family.samples)}
    assert silent == {"cortex_edge_inflight"}, "back to zero, and everything else has moved"
    labels = {
        value
        for family in world.registry.collect()
        for sample in family.samples
        for value in sample.labels.values()
    }
    assert "made-up-label" not in labels
    assert world.metric("cortex_prompt_tokens_total", model="demo") == 7
    assert world.metric("cortex_completion_tokens_total", model="demo") == 3
    assert world.metric("cortex_cached_prompt_tokens_total", model="demo") == 3
    assert world.metric("cortex_requests_total", model="demo", route=CHAT, status="200") == 1
    assert world.metric("cortex_requests_total", model="demo", route=CHAT, status="499") == 1
    assert world.metric("cortex_request_errors_total", model="demo", code="engine_failed") == 1
    assert world.metric("cortex_request_errors_total", model="unknown", code="model_not_found") == 2
    one = {"route": "/v1/models/{id}"}
    assert world.metric("cortex_requests_total", model="org/demo-1b", status="200", **one) == 1
    assert world.metric("cortex_requests_total", model="unknown", status="404", **one) == 1
    assert world.metric("cortex_requests_total", model="unknown", status="404", route="unknown") == 1
    assert world.metric("cortex_time_to_first_token_seconds_count", model="demo") == 1
    assert world.metric("cortex_tokens_per_second_count", model="demo") == 1
    assert world.metric("cortex_tool_calls_total", model="demo") == 2
    assert world.metric("cortex_tool_calls_malformed_total", model="demo") == 1
    assert world.metric("cortex_tool_call_repairs_total", model="demo", step="braces") == 3


@pytest.mark.parametrize("body", [STREAMED, HI], ids=["streamed", "whole"])
def test_times_are_taken_where_they_are_said_to_be(monkeypatch, body):
    """To the first content, not to the acceptance or to a token whose text is held back; and to the stream's end."""
    clock = [100.0]
    monkeypatch.setattr("cortex.edge.metrics.monotonic", lambda: clock[0])

    async def scenario():
        world = World()
        exchange = world.post(body)
        ticket, stream = await world.opened()

        async def hear(item, at):
            clock[0] = 100.0 + at
            stream.put(item)
            for _ in range(20):
                await asyncio.sleep(0)

        await hear(accepted(ticket), 2.0)
        await hear(delta(ticket, 0), 3.0)
        await hear(delta(ticket, 1, TextPiece("Hello")), 4.5)
        await hear(delta(ticket, 2, TextPiece(" there"), Finish("stop")), 6.5)
        clock[0] = 108.0
        stream.end(finished(ticket, 3))
        await exchange.done()
        return world

    world = run(scenario())
    assert world.metric("cortex_time_to_first_token_seconds_sum", model="demo") == pytest.approx(4.5)
    assert world.metric("cortex_request_duration_seconds_sum", model="demo") == pytest.approx(8.0)
    assert world.metric("cortex_tokens_per_second_sum", model="demo") == pytest.approx(3 / 3.5)
