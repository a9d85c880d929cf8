"""The whole app with keys in use: every path but four needs one, and a key opens what it is for."""

import json
import re

import pytest
from edge_world import CHAT, HI, World, run
from hypothesis import given
from hypothesis import strategies as st
from made_keys import entry, presented, ring
from memory_link import say

from cortex.edge.keyring import OPEN, Keyring
from cortex.edge.keys import Keys
from cortex.protocol.keys import KeyFile
from cortex.protocol.messages import CatalogueEntry, Loading, Names, Welcome

NAMES = Names(aliases={"fast": "demo", "gpt-5*": "org/demo-1b"}, small="demo")


def world(*entries, script=None):
    keyring = Keyring()
    keyring.keys = Keys(KeyFile(keys=entries or (entry(),)))
    return World(script, keyring=keyring, fleet={"names": NAMES})


def bearer(id_="abcd"):
    return {"authorization": f"Bearer {presented(id_)}"}


def test_the_four_are_open():
    """Probes and people get an answer without a key."""

    async def scenario():
        here = world()
        for path in sorted(OPEN):
            assert (await here.get(path)).status == 200, path
            assert (await here.get(path, "HEAD")).status == 200, path

    run(scenario())
    assert {"/", "/livez", "/readyz", "/health"} == OPEN


@pytest.mark.parametrize("state", ["loading", "hot"])
def test_what_anybody_may_ask_names_nothing(state):
    """Neither models nor hosts nor brokers, while there are keys."""

    async def scenario():
        here = world()
        stalled = CatalogueEntry(
            id="secret-model",
            state=state,
            locations=(("secret-host/cpu-0", "stalled", 0),) if state == "hot" else (),
        )
        here.link.catalogue.update(
            Welcome(broker="secret-broker", catalogue=9, neurons=1, models=(stalled,), names=Names())
        )
        for path in sorted(OPEN):
            exchange = await here.get(path)
            assert b"secret" not in exchange.body, path
        assert (await here.get("/readyz")).status == 503

    run(scenario())


def test_every_route_needs_a_key():
    """Whatever the table holds, and whatever it will hold: nothing is let in for having been forgotten."""

    async def scenario():
        here = world()
        for route in (await here.get("/")).json["routes"]:
            method, _, path = route.partition(" ")
            if path in OPEN:
                continue
            for headers in ({}, {"x_api_key": "none"}, {"authorization": "Bearer none"}):
                exchange = await here.get(re.sub("{.*}", "demo", path), method, **headers)
                assert exchange.status == 401, route
                assert exchange.headers["x-should-retry"] == "false"
                assert exchange.headers["www-authenticate"] == "Bearer"
                assert exchange.headers["x-request-id"]
                assert "invalid_api_key" in exchange.body.decode()
        assert here.link.tickets == []

    run(scenario())


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map("/".__add__),
)
def test_so_does_every_other_path(method, path):
    """Those that do not exist too, so that nobody learns which do."""
    status = 200 if path in OPEN else 401

    async def scenario():
        if path not in OPEN:
            assert (await world().get(path, method)).status == status

    run(scenario())


@pytest.mark.parametrize("path", ["//", "/./", "/livez/", "/health/x", "/LIVEZ", "/v1/../livez", "/livez%00"])
def test_nothing_looks_open_that_is_not(path):
    """Only the exact four."""

    async def scenario():
        assert (await world().get(path)).status == 401

    run(scenario())


@pytest.mark.parametrize("headers", [bearer(), {"x_api_key": presented()}, {**bearer(), "x_api_key": "none"}])
def test_a_key_opens_every_route(headers):
    """In either header."""

    async def scenario():
        here = world(script=say("x"))
        assert (await here.get("/v1/models", **headers)).status == 200
        exchange = await here.post(HI, **headers).done()
        assert exchange.status == 200
        assert (await here.get("/nowhere", **headers)).status == 404

    run(scenario())


def test_a_request_bears_the_id_and_priority_of_its_key():
    """Never the secret, nor its digest."""

    async def scenario():
        here = world(entry(priority=5), entry("efgh"), script=say("x"))
        await here.post(HI, **bearer()).done()
        await here.post(HI, **bearer("efgh")).done()
        first, second = here.link.tickets
        assert (first.principal, first.priority) == ("abcd", 5)
        assert (second.principal, second.priority) == ("efgh", 0)
        assert first.digest != second.digest
        assert {digest for digest, _ in first.blocks}.isdisjoint(digest for digest, _ in second.blocks)

    run(scenario())


def test_a_body_without_a_key_is_not_read():
    """The refusal leaves before the body has come, and the connection ends."""

    async def scenario():
        here = world()
        exchange = here.post(b"x" * 100)
        exchange.disconnect()
        await exchange.done()
        assert (exchange.status, exchange.headers["connection"]) == (401, "close")
        assert here.app.inflight == 0

    run(scenario())


def test_a_head_is_refused_without_a_body():
    """As HTTP wants it."""

    async def scenario():
        exchange = await world().get("/v1/models", "HEAD")
        assert (exchange.status, exchange.body) == (401, b"")

    run(scenario())


@pytest.mark.parametrize(
    ("models", "name", "status"),
    [
        (("demo",), "demo", 200),
        (("demo",), "fast", 200),
        (("fast",), "fast", 200),
        (("fast",), "demo", 403),
        (("demo",), "gpt-5", 403),
        (("gpt-5*",), "gpt-5-mini", 200),
        (("gpt-5*",), "org/demo-1b", 403),
        (("org/*",), "gpt-5-mini", 200),
        (("demo",), "claude-haiku", 200),
        (("org/*",), "claude-haiku", 403),
        (("demo", "claude-haiku"), "claude-haiku", 200),
        (("org/demo-1b", "claude-haiku"), "claude-haiku", 200),
        (("gpt-5-mini",), "gpt-5-mini", 200),
        (("*-mini",), "gpt-5-mini", 403),
        (("gpt-5*b",), "gpt-5*b", 403),
        (("clau*",), "claude-haiku", 403),
        (("demo",), "nobody", 403),
        (("no*",), "nobody", 403),
        ((), "nobody", 404),
    ],
)
def test_a_key_may_use_its_models(models, name, status):
    """By any name that the settings have for them, or that it names itself; what a client makes up opens none.

    A refusal names those that it may use, and not whether there is another one of that name.
    """

    async def scenario():
        here = world(entry(models=models), script=say("x"))
        exchange = await here.post({**HI, "model": name}, **bearer()).done()
        assert exchange.status == status
        if status == 403:
            error = exchange.json["error"]
            assert (error["code"], error["param"]) == ("model_not_allowed", "model")
            assert error["message"].endswith(f"it may use: {', '.join(models)}.")
            assert exchange.headers["x-should-retry"] == "false"
            assert here.link.tickets == []
        one = await here.get(f"/v1/models/{name}", **bearer())
        assert one.status == status

    run(scenario())


def test_a_restricted_key_hears_the_same_of_what_is_there_and_what_is_not():
    """On every route that takes a model, in both shapes, and while the fleet is not known; no other name is in it."""

    async def scenario():
        here = world(entry(models=("fast",)))
        version = {**bearer(), "anthropic-version": "2023-06-01"}
        message = {"model": "", "max_tokens": 1, "messages": HI["messages"]}
        bodies = (
            (CHAT, HI),
            ("/v1/messages", message),
            ("/v1/messages/count_tokens", message),
            ("/v1/responses", {"input": "hi"}),
            ("/v1/responses/input_tokens", {"input": "hi"}),
            ("/v1/completions", {"prompt": "hi"}),
            ("/v1/embeddings", {"input": "hi"}),
        )

        async def heard(name):
            answers = [await here.get(f"/v1/models/{name}", **headers) for headers in (bearer(), version)]
            for path, body in bodies:
                answers.append(await here.post({**body, "model": name}, path, **bearer()).done())
            told = [(one.status, one.body.decode().replace(name, "NAME")) for one in answers]
            return [(status, re.sub(r"req_[0-9a-f]+", "", text)) for status, text in told]

        there, nowhere = await heard("org/demo-1b"), await heard("org/demo-7b")
        assert there == nowhere
        assert {status for status, _ in there} == {403}
        assert all("demo" not in text for _, text in there)
        here.link.catalogue.lose_broker()
        here.link.catalogue.update(
            Welcome(broker="new", catalogue=1, settled=False, models=here.link.catalogue.entries, names=NAMES)
        )
        there, nowhere = await heard("org/demo-1b"), await heard("org/demo-7b")
        assert there == nowhere
        assert {status for status, _ in there} == {503}

    run(scenario())


def test_a_key_for_another_name_does_not_read_the_id():
    """Neither as what an alias stands for, nor in what is told of a load; any other key does."""

    async def scenario(models):
        here = world(entry(models=models))
        [model] = [
            one for one in (await here.get("/v1/models", **bearer())).json["data"] if one["id"] == "fast"
        ]
        exchange = here.post({**HI, "model": "fast", "stream": True}, **bearer())
        ticket, stream = await here.opened()
        stream.put(Loading(request=ticket.request, attempt=1, percent=7, node="beast"))
        await exchange.until(b"loading ")
        comment = exchange.body.partition(b": loading ")[2].split()[0]
        exchange.disconnect()
        await exchange.done()
        return model.get("alias_of"), comment

    assert run(scenario(("fast",))) == (None, b"fast")
    assert run(scenario(("demo",))) == run(scenario(())) == ("demo", b"demo")


@pytest.mark.parametrize(
    ("models", "listed"),
    [
        ((), ["demo", "org/demo-1b", "fast"]),
        (("demo",), ["demo", "fast"]),
        (("fast",), ["fast"]),
        (("org/*",), ["org/demo-1b"]),
        (("other",), []),
    ],
)
def test_a_list_shows_what_the_key_may_use(models, listed):
    """Ids first, then other names."""

    async def scenario():
        here = world(entry(models=models))
        found = (await here.get("/v1/models", **bearer())).json["data"]
        assert [model["id"] for model in found] == listed

    run(scenario())


def test_refusals_are_counted(tmp_path):
    """As what was refused before it was looked at; a secret is in no metric and no log."""

    async def scenario():
        here = World(keyring=ring(tmp_path / "keys.toml", entry()))
        await here.get("/v1/models", x_api_key="ctx_abcd_wrong")
        assert here.metric("cortex_requests_total", model="unknown", route="refused", status="401") == 1

    run(scenario())


def test_embeddings_ask_for_the_model_too():
    """The other route that generates."""

    async def scenario():
        here = world(entry(models=("other",)))
        exchange = await here.post({"model": "demo", "input": "x"}, "/v1/embeddings", **bearer()).done()
        assert exchange.status == 403
        assert json.loads(exchange.body)["error"]["code"] == "model_not_allowed"
        assert (await here.post(HI, CHAT, **bearer()).done()).status == 403

    run(scenario())
