"""Models under all their names, through the whole app."""

from __future__ import annotations

import asyncio

import httpx
import openai
import pytest
from asgi_driver import Exchange
from edge_world import CHAT, HI, STREAMED, World, run
from memory_link import DEMO, accepted, say

from cortex.edge.incoming import digest_of
from cortex.protocol.messages import CatalogueEntry, Cost, Loading, Names, Queued
from cortex.protocol.request import Sampling

BIG = CatalogueEntry(
    id="org/big-27b",
    state="loading",
    context=32768,
    max_output=8192,
    capabilities=("reasoning", "text", "tools"),
    locations=(("beast/cuda-0", "loading", 20_000_000_000), ("benjy/cuda-0", "stalled", 0)),
    feasible_on=("beast", "benjy"),
    cost=Cost(input=0.5, output=0.0),
    sampling=Sampling(temperature=0.6, max_tokens=4096),
)
FLEET = {
    "models": (DEMO, BIG),
    "names": Names(aliases={"big": BIG.id, "gpt-5*": BIG.id, "gone": "nowhere"}, small="demo"),
}


def ask(world, **body):
    return world.post({**HI, **body})


def test_an_answer_bears_the_name_that_was_asked_for():
    """Streamed or not; the request travels under the id, and so do the figures."""

    async def scenario():
        world = World(say("Hello there"), fleet=FLEET)
        assert (await ask(world, model="big").done()).json["model"] == "big"
        assert (world.link.tickets[-1].model, world.link.chat.model) == (BIG.id, BIG.id)
        streamed = await ask(world, model="claude-haiku-4-5", stream=True).done()
        assert b'"model":"claude-haiku-4-5"' in streamed.body
        assert world.link.tickets[-1].model == "demo"
        labels = {"model": BIG.id, "route": CHAT, "status": "200"}
        assert world.metric("cortex_requests_total", **labels) == 1
        assert (await ask(world, model="claude-opus-5").done()).status == 404

    run(scenario())


def test_a_models_defaults_travel_with_the_request():
    """Where it is silent: temperature and length from the profile; what it says itself holds."""

    async def scenario():
        world = World(say("x"), fleet=FLEET)
        await ask(world, model="big").done()
        assert (world.link.chat.sampling.temperature, world.link.chat.sampling.max_tokens) == (0.6, 4096)
        await ask(world, model="big", temperature=0, max_tokens=64000).done()
        assert (world.link.chat.sampling.temperature, world.link.chat.sampling.max_tokens) == (0.0, 8192)

    run(scenario())


def test_an_identical_resend_has_the_same_digest():
    """Though another seed is drawn and it may want no stream now; another request or principal has another one."""

    async def scenario():
        world = World(say("x"), fleet=FLEET)
        await ask(world).done()
        await ask(world, stream=True, stream_options={"include_usage": True}).done()
        await ask(world, seed=1).done()
        await ask(world, temperature=0.5).done()
        await world.post(HI, authorization="Bearer secret").done()
        digests = [ticket.digest for ticket in world.link.tickets]
        assert digests[0] == digests[1]
        assert len(set(digests)) == 4
        assert {len(digest) for digest in digests} == {16}
        assert world.link.tickets[0].attachments != world.link.tickets[1].attachments

    run(scenario())


def test_a_digest_is_of_principal_and_body_apart():
    """What moves from the one to the other does not come out the same."""
    assert digest_of("a", b"bc") != digest_of("ab", b"c")


def test_a_conversation_that_goes_on_begins_with_the_same_blocks():
    """The router finds where its beginning was served."""

    async def scenario():
        world = World(say("x"), fleet=FLEET)
        await ask(world, model="big").done()
        said = [*HI["messages"], {"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]
        await ask(world, messages=said, model="gpt-5").done()
        first, second = (ticket.blocks for ticket in world.link.tickets)
        assert second[: len(first)] == first
        assert len(second) == 3

    run(scenario())


def test_all_is_told_about_a_model():
    """What the Rust cortex tells, its words for a location's state beside ours."""

    async def scenario():
        world = World(fleet=FLEET)
        model = (await world.get("/v1/models/org/big-27b")).json
        assert model.pop("created") > 0
        assert model == {
            "id": "org/big-27b",
            "object": "model",
            "owned_by": "cortex",
            "loaded": False,
            "state": "loading",
            "feasible_on": ["beast", "benjy"],
            "locations": [
                {"node": "beast/cuda-0", "status": "loading", "state": "loading", "vram_estimate_mb": 19073},
                {"node": "benjy/cuda-0", "status": "recovering", "state": "stalled"},
            ],
            "capabilities": ["reasoning", "text", "tools"],
            "tool_call": True,
            "reasoning": True,
            "cost": {"input": 0.5, "output": 0.0},
            "limit": {"context": 32768, "output": 8192},
            "max_model_len": 32768,
            "max_input_tokens": 32768,
            "max_output_tokens": 8192,
        }

    run(scenario())


def test_aliases_are_models_of_their_own():
    """Listed under their names if they are exact and their model is there; found by any name that can be used."""

    async def scenario():
        world = World(fleet=FLEET)
        listed = (await world.get("/v1/models")).json["data"]
        assert [(model["id"], model.get("alias_of")) for model in listed] == [
            ("demo", None),
            ("org/big-27b", None),
            ("big", "org/big-27b"),
        ]
        for name, id_ in (("big", BIG.id), ("gpt-5.1", BIG.id), ("gpt-nano", "demo")):
            model = (await world.get(f"/v1/models/{name}")).json
            assert (model["id"], model["alias_of"]) == (name, id_)
        assert (await world.get("/v1/models/gone")).status == 404

    run(scenario())


@pytest.mark.parametrize("item", ["queued", "loading"])
def test_a_waiting_client_is_told_why(item):
    """After the role chunk: its place in the queue, or how far the load is."""

    async def scenario():
        world = World(fleet=FLEET)
        exchange = world.post({**STREAMED, "model": "big"})
        ticket, stream = await world.opened()
        if item == "queued":
            stream.put(Queued(request=ticket.request, attempt=1, position=3))
            await exchange.until(b"}\n\n: queued, 3 ahead\n\n")
        else:
            stream.put(Loading(request=ticket.request, attempt=1, percent=43, node="beast"))
            await exchange.until(b"}\n\n: loading org/big-27b on beast 43 %\n\n")
        assert exchange.body.startswith(b'data: {"id":')
        stream.put(accepted(ticket))
        exchange.disconnect()
        await exchange.done()

    run(scenario())


class Wire(httpx.AsyncBaseTransport):
    """The app as an HTTP client reaches it."""

    def __init__(self, app):
        self.app = app

    async def handle_async_request(self, request):
        path = request.url.path  # decoded, as a server hands it on
        exchange = await Exchange(self.app, request.method, path).done()
        return httpx.Response(exchange.status, headers=exchange.headers, content=exchange.body)


def test_the_openai_sdk_lists_and_finds_models():
    """Its own types accept what we say; a slash in an id travels encoded."""

    async def scenario():
        world = World(fleet=FLEET)
        http = httpx.AsyncClient(transport=Wire(world.app))
        client = openai.AsyncOpenAI(base_url="http://test/v1", api_key="x", http_client=http)
        models = [model async for model in client.models.list()]
        assert [model.id for model in models] == ["demo", "org/big-27b", "big"]
        assert all(isinstance(model.created, int) and model.object == "model" for model in models)
        assert (await client.models.retrieve("org/big-27b")).owned_by == "cortex"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nobody")
        await client.close()

    asyncio.run(scenario())


def test_a_slash_behind_the_list_is_the_list():
    """No model is named by nothing."""

    async def scenario():
        world = World(fleet=FLEET)
        plain, slashed = [await world.get(f"/v1/models{end}") for end in ("", "/")]
        assert (plain.status, plain.json) == (slashed.status, slashed.json)

    run(scenario())


def test_models_are_as_old_as_the_gateway():
    """Its workers, who begin one by one, tell the same."""

    async def scenario():
        world = World(fleet=FLEET, started=1234567890.5)
        models = (await world.get("/v1/models")).json["data"]
        assert {model["created"] for model in models} == {1234567890}

    run(scenario())
