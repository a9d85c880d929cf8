"""Responses over HTTP as they are written: what is said while a client waits, and when the last of it leaves."""

import asyncio

from asgi_driver import Exchange, turn_until
from edge_world import World, run
from memory_link import accepted, answer, delta, finished

from cortex.protocol.deltas import Finish, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import Queued

PATH = "/v1/responses"
HI = {"model": "demo", "input": "hi"}


def test_the_response_begins_while_its_client_waits():
    """Queued is enough; then comments, and a late failure is an event of its own kind."""

    async def scenario():
        world = World()
        world.link.keepalive_s = 0.02
        exchange = world.post({**HI, "stream": True}, PATH)
        ticket, stream = await world.opened()
        stream.put(Queued(request=ticket.request, attempt=1))
        await exchange.until(b"event: response.in_progress")
        await exchange.until(b": ping\n\n")
        stream.end(Fault(code=Code.NEURON_LOST, message="The neuron was lost."))
        await exchange.done()
        assert b"event: response.failed" in exchange.sent[-2]["body"]
        assert b"event: error" not in exchange.body

    run(scenario())


def test_a_call_is_kept_as_it_was_made():
    """Tools loop by `previous_response_id`: the output alone is sent."""

    async def scenario():
        world = World(
            answer(ToolStart(0, "call_1", "look"), ToolArguments(0, "{}"), ToolEnd(0), Finish("tool_calls"))
        )
        tools = [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
        made = (await world.post({**HI, "tools": tools}, PATH).done()).json
        assert made["output"][0]["call_id"] == "call_1"
        output = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
        await world.post({**HI, "input": [output], "previous_response_id": made["id"]}, PATH).done()
        assert [turn.role for turn in world.link.chat.turns] == ["user", "assistant", "tool"]

    run(scenario())


def test_an_agent_that_asks_for_a_websocket_is_told_at_once():
    """426 in the usual shape, so that it goes on with HTTP; without the header the method is wrong."""

    async def scenario():
        world = World()
        headers = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13"}
        refused = await Exchange(world.app, "GET", PATH, headers=headers).done()
        assert (refused.status, refused.json["error"]["code"]) == (426, "upgrade_required")
        assert (refused.headers["upgrade"], refused.headers["connection"]) == ("HTTP/1.1", "upgrade, close")
        headers["upgrade"] = "h2c, WebSocket"
        assert (await Exchange(world.app, "GET", PATH, headers=headers).done()).status == 426
        assert (await world.get(PATH)).status == 405

    run(scenario())


def test_what_is_there_at_once_is_written_at_once():
    """The last text goes out in one write, and the end of the response in one when it is kept."""

    async def scenario():
        world = World()
        exchange = world.post({**HI, "stream": True}, PATH)
        ticket, stream = await world.opened()
        say_all(ticket, stream)
        await exchange.done()
        assert [message["body"].count(b"event: ") for message in exchange.sent[-3:-1]] == [7, 1]
        assert len(world.link.keeping.kept) == 1

    run(scenario())


def test_what_is_not_to_be_kept_ends_in_the_same_write():
    """There is nothing to wait for."""

    async def scenario():
        world = World()
        exchange = world.post({**HI, "stream": True, "store": False}, PATH)
        ticket, stream = await world.opened()
        say_all(ticket, stream)
        await exchange.done()
        assert exchange.sent[-2]["body"].count(b"event: ") == 8

    run(scenario())


def test_the_last_text_does_not_wait_until_it_is_kept():
    """The end does: its client may ask for the response at once."""

    async def scenario():
        world = World()
        world.link.keeping.gate = asyncio.Event()
        exchange = world.post({**HI, "stream": True}, PATH)
        ticket, stream = await world.opened()
        say_all(ticket, stream)
        await exchange.until(b"response.output_item.done")
        await turn_until(lambda: world.link.keeping.kept)
        assert b"response.completed" not in exchange.body
        world.link.keeping.gate.set()
        await exchange.done()
        assert b"response.completed" in exchange.sent[-2]["body"]

    run(scenario())


def test_a_keeper_that_breaks_ends_the_answer_with_an_error(caplog):
    """It is our error, also after the last text."""

    async def scenario():
        world = World()
        world.link.keeping.keep = broken
        exchange = world.post({**HI, "stream": True}, PATH)
        ticket, stream = await world.opened()
        say_all(ticket, stream)
        await exchange.done()
        last = exchange.sent[-2]["body"]
        assert last.startswith(b"event: response.failed")
        assert b"response.completed" not in exchange.body

    with caplog.at_level("CRITICAL"):
        run(scenario())


def say_all(ticket, stream):
    stream.put(accepted(ticket))
    stream.put(delta(ticket, 0, TextPiece("a")))
    stream.put(delta(ticket, 1, TextPiece("b"), Finish("stop")))
    stream.end(finished(ticket, 2))


async def broken(*_):
    raise ValueError
