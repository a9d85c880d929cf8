"""The routes of OpenAI Responses over a link in memory: what is kept, and for whom."""

import json

import pytest
from asgi_driver import Exchange
from edge_world import World, run
from memory_link import DEMO, accepted, fail, say

from cortex.protocol.faults import Code
from cortex.protocol.messages import Counted

PATH = "/v1/responses"
HI = {"model": "demo", "input": "hi"}


def fetch(world, path, method="GET", query="", **headers):
    exchange = Exchange(world.app, method, f"{PATH}/{path}", headers=headers)
    exchange.scope["query_string"] = query.encode()
    return exchange.done()


def test_a_response_can_be_gone_on_from():
    """The second request has the whole conversation; its own instructions alone count."""

    async def scenario():
        world = World(say("Hello there"))
        first = (await world.post({**HI, "instructions": "Be brief."}, PATH).done()).json
        assert first["output"][0]["content"][0]["text"] == "Hello there"
        again = {"model": "demo", "input": "and?", "previous_response_id": first["id"], "stream": True}
        exchange = await world.post(again, PATH).done()
        assert [(turn.role, turn.text) for turn in world.link.chat.turns] == [
            ("user", "hi"),
            ("assistant", "Hello there"),
            ("user", "and?"),
        ]
        last = json.loads(exchange.body.decode().rstrip().rpartition("\ndata: ")[2])["response"]
        assert last["previous_response_id"] == first["id"]
        third = {"model": "demo", "input": "so?", "previous_response_id": last["id"]}
        assert (await world.post(third, PATH).done()).status == 200
        assert len(world.link.chat.turns) == 5

    run(scenario())


def test_an_earlier_response_is_known_by_any_spelling_of_its_field():
    """A key may be written with escapes: it is still the same key."""

    async def scenario():
        world = World(say("Hello"))
        first = (await world.post(HI, PATH).done()).json
        body = json.dumps({"model": "demo", "input": "and?", "previous_response_id": first["id"]})
        await world.post(body.replace("us_r", "us\\u005fr").encode(), PATH).done()
        assert [turn.text for turn in world.link.chat.turns] == ["hi", "Hello", "and?"]

    run(scenario())


def test_items_can_be_referred_to():
    """By the ids that they were told with, and that they are listed with; the last response of a chain has all of them."""

    async def scenario():
        world = World(say("One"))
        first = (await world.post(HI, PATH).done()).json
        listed = (await fetch(world, f"{first['id']}/input_items")).json["data"]
        refer = [{"type": "item_reference", "id": one["id"]} for one in (*listed, *first["output"])]
        world.link.script = say("Two")
        second = (
            await world.post({**HI, "input": [*refer, {"role": "user", "content": "and?"}]}, PATH).done()
        ).json
        assert [turn.text for turn in world.link.chat.turns] == ["hi", "One", "and?"]
        fetched = []
        fetch_of = world.link.keeping.fetch

        async def counted(name, principal):
            fetched.append(name)
            return await fetch_of(name, principal)

        world.link.keeping.fetch = counted
        items = [
            {"role": "user", "content": "hi"},
            refer[1],
            {"role": "user", "content": "and?"},
            {"type": "item_reference", "id": second["output"][0]["id"]},
            {"role": "user", "content": "so?"},
        ]
        await world.post({**HI, "input": items}, PATH).done()
        assert [turn.text for turn in world.link.chat.turns] == ["hi", "One", "and?", "Two", "so?"]
        assert fetched == [second["id"]]
        refused = await world.post({**HI, "input": items}, PATH, authorization="Bearer b").done()
        assert (refused.status, refused.json["error"]["param"]) == (404, "input[1]")
        assert refused.headers["x-should-retry"] == "false"

    run(scenario())


def test_nothing_is_looked_for_on_behalf_of_who_may_not_ask():
    """An unknown model is told before an unknown response."""

    async def scenario():
        body = {"model": "nobody", "input": "hi", "previous_response_id": "resp_1"}
        refused = await World().post(body, PATH).done()
        assert refused.json["error"]["code"] == "model_not_found"

    run(scenario())


def test_a_response_is_its_clients_own():
    """Another client gets a 404 for it, whatever it tries."""

    async def scenario():
        world = World(say("Hello"))
        made = (await world.post(HI, PATH, authorization="Bearer a").done()).json
        mine = await fetch(world, made["id"], authorization="Bearer a")
        assert mine.json == made
        for answer_ in (
            await fetch(world, made["id"], authorization="Bearer b"),
            await fetch(world, f"{made['id']}/input_items"),
            await fetch(world, made["id"], "DELETE"),
        ):
            assert (answer_.status, answer_.json["error"]["code"]) == (404, "response_not_found")
        other = await world.post({**HI, "previous_response_id": made["id"]}, PATH).done()
        assert (other.status, other.json["error"]["code"]) == (404, "previous_response_not_found")
        assert other.json["error"]["param"] == "previous_response_id"
        assert other.headers["x-should-retry"] == "false"

    run(scenario())


def test_a_response_is_deleted_once():
    """Then it is gone, also as a beginning."""

    async def scenario():
        world = World(say("Hello"))
        made = (await world.post(HI, PATH).done()).json
        gone = await fetch(world, made["id"], "DELETE")
        assert gone.json == {"id": made["id"], "object": "response", "deleted": True}
        assert (await fetch(world, made["id"])).status == 404
        assert (await fetch(world, made["id"], "DELETE")).status == 404

    run(scenario())


def test_nothing_is_kept_that_should_not_be():
    """Not without store, not of a failure, not of a stream whose client has left."""

    async def scenario():
        world = World(say("Hello"))
        await world.post({**HI, "store": False}, PATH).done()
        world.link.script = fail(Code.BUSY)
        await world.post(HI, PATH).done()
        assert world.link.keeping.kept == {}
        world = World()
        exchange = world.post({**HI, "stream": True}, PATH)
        ticket, stream = await world.opened()
        stream.put(accepted(ticket))
        await exchange.until(b"response.in_progress")
        exchange.disconnect()
        await exchange.done()
        assert world.link.keeping.kept == {}

    run(scenario())


def test_the_input_is_listed_page_by_page():
    """The last comes first unless asked otherwise; every item has a type and an id."""

    async def scenario():
        world = World(say("Hello"))
        items = [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ]
        made = (await world.post({**HI, "input": items}, PATH).done()).json
        listed = (await fetch(world, f"{made['id']}/input_items")).json
        assert [item["content"][0]["text"] for item in listed["data"]] == ["three", "two", "one"]
        assert listed["data"][1]["content"][0]["type"] == "output_text"
        assert {item["type"] for item in listed["data"]} == {"message"}
        assert (listed["object"], listed["has_more"]) == ("list", False)
        page = (await fetch(world, f"{made['id']}/input_items", query="order=asc&limit=2")).json
        assert page["has_more"] is True
        rest = f"order=asc&limit=2&after={page['last_id']}"
        left = (await fetch(world, f"{made['id']}/input_items", query=rest)).json
        assert [item["content"][0]["text"] for item in left["data"]] == ["three"]
        for query in ("limit=0", "limit=x", "order=up", "after=nobody"):
            refused = await fetch(world, f"{made['id']}/input_items", query=query)
            assert (refused.status, refused.json["error"]["param"]) == (400, query.partition("=")[0])

    run(scenario())


@pytest.mark.parametrize(
    ("path", "method", "query", "status", "param"),
    [
        ("{id}/cancel", "POST", "", 400, "response_id"),
        ("{id}", "GET", "stream=true", 400, "stream"),
        ("{id}", "GET", "stream=xyz", 400, "stream"),
        ("", "GET", "", 400, "response_id"),
    ],
)
def test_what_only_background_responses_can_do_is_refused(path, method, query, status, param):
    """None runs here without its client."""

    async def scenario():
        world = World(say("Hello"))
        made = (await world.post(HI, PATH).done()).json
        refused = await fetch(world, path.format(id=made["id"]), method, query)
        assert (refused.status, refused.json["error"]["param"]) == (status, param)
        assert refused.headers["x-should-retry"] == "false"

    run(scenario())


def test_nobody_compacts():
    """A 501 that is not to be tried again."""

    async def scenario():
        refused = await World().post(HI, f"{PATH}/compact").done()
        assert (refused.status, refused.headers["x-should-retry"]) == (501, "false")
        assert "items" in refused.json["error"]["message"]

    run(scenario())


def test_input_is_counted():
    """With what it goes on from; nothing is generated."""

    def script(ticket, stream):
        stream.end(Counted(request=ticket.request, attempt=1, tokens=42))

    async def scenario():
        counted = await World(script).post(HI, f"{PATH}/input_tokens").done()
        assert counted.json == {"object": "response.input_tokens", "input_tokens": 42}

    run(scenario())


def test_input_is_counted_of_whatever_there_is():
    """Neither input nor model must be named, where there is one model."""

    def script(ticket, stream):
        stream.end(Counted(request=ticket.request, attempt=1, tokens=42))

    async def scenario():
        world = World(script, fleet={"models": (DEMO,)})
        assert (await world.post({"instructions": "Be brief."}, f"{PATH}/input_tokens").done()).status == 200
        assert (await world.post({}, f"{PATH}/input_tokens").done()).json["input_tokens"] == 42
        refused = await World(script).post({"input": "hi"}, f"{PATH}/input_tokens").done()
        assert (refused.status, refused.json["error"]["param"]) == (400, "model")
        assert (await world.post({"input": "hi"}, PATH).done()).json["error"]["param"] == "model"

    run(scenario())


def test_pages_end_where_ids_repeat():
    """Every item is listed once, whatever a client calls them."""

    async def scenario():
        world = World(say("Hello"))
        ids = ("same", "same", "same_1", "same", "same_1")
        items = [{"role": "user", "content": str(index), "id": id_} for index, id_ in enumerate(ids)]
        made = (await world.post({**HI, "input": items}, PATH).done()).json
        seen, after = [], ""
        for _ in items:
            query = f"order=asc&limit=1&after={after}"
            page = (await fetch(world, f"{made['id']}/input_items", query=query)).json
            seen += [item["content"][0]["text"] for item in page["data"]]
            after = page["last_id"]
        assert (seen, page["has_more"]) == (["0", "1", "2", "3", "4"], False)

    run(scenario())


def test_an_image_that_nobody_sees_is_said_to_be_in_the_input():
    """That is what its client called it."""
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

    async def scenario():
        part = {"type": "input_image", "image_url": f"data:image/png;base64,{pixel}"}
        refused = await World().post({**HI, "input": [{"role": "user", "content": [part]}]}, PATH).done()
        assert (refused.status, refused.json["error"]["param"]) == (400, "input")
        assert refused.json["error"]["message"].startswith("input holds an image, ")

    run(scenario())


def test_a_response_can_be_probed():
    """HEAD where GET is."""

    async def scenario():
        world = World(say("Hello"))
        made = (await world.post(HI, PATH).done()).json
        assert (await fetch(world, made["id"], "HEAD")).status == 200
        assert (await fetch(world, "nobody", "HEAD")).status == 404

    run(scenario())


def test_a_silent_broker_is_no_404():
    """Whether it is there is not known: that may be tried again."""

    async def scenario():
        world = World(say("Hello"))
        world.link.keeping.silent = True
        refused = await world.post({**HI, "previous_response_id": "resp_1"}, PATH).done()
        assert (refused.status, refused.json["error"]["code"]) == (503, "broker_lost")

    run(scenario())
