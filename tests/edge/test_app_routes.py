"""What the app says about itself and its routes, over a link in memory."""

import gzip
from importlib import metadata

import pytest
from edge_world import CHAT, HI, World, run

from cortex.edge.brokers import BrokerHealth
from cortex.protocol.messages import CatalogueEntry, Welcome

LIST = "GET / lists all routes."


def test_health_tells_the_truth():
    """Alive always; ready with a broker and a loaded model; degraded otherwise."""

    async def scenario():
        world = World()
        assert (await world.get("/livez")).status == 200
        assert (await world.get("/readyz")).status == 200
        health = (await world.get("/health")).json
        assert health["status"] == "ok"
        assert (health["broker"], health["models"]) == ("memory", {"known": 2, "loaded": 1})
        assert health["brokers"] == [{"name": "memory", "live": True}]
        world.link.catalogue.lose_broker()
        assert (await world.get("/livez")).status == 200
        assert (await world.get("/readyz")).status == 503
        assert (await world.get("/health")).json["status"] == "degraded"
        assert (await world.get("/", "HEAD")).status == 200
        probed = [(await world.get(path, "HEAD")).status for path in ("/livez", "/readyz", "/health")]
        assert probed == [200, 503, 200]

    run(scenario())


def test_the_root_says_where_to_go():
    """Name, version and every route, so that a browser or a curl finds the way; each of them exists."""

    async def scenario():
        world = World()
        about = (await world.get("/")).json
        assert (about["name"], about["version"]) == ("cortex", metadata.version("cortex-mesh"))
        assert "POST /v1/chat/completions" in about["routes"]
        for method, _, path in (route.partition(" ") for route in about["routes"]):
            answer = await world.get(path.replace("{id}", "demo"), method)
            if "{response_id}" in path:  # nobody has made any
                assert answer.json["error"]["code"] == "response_not_found", path
            else:
                assert answer.status == (415 if method == "POST" else 200), path

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        (
            "POST",
            "/chat/completions",
            "There is nothing at /chat/completions; did you mean POST /v1/chat/completions or POST /v1/completions? "
            + LIST,
        ),
        (
            "GET",
            "/v1/model",
            "There is nothing at /v1/model; did you mean GET /v1/models or GET /v1/models/{id}? " + LIST,
        ),
        ("GET", "/wp-login.php", "There is nothing at /wp-login.php; " + LIST),
        ("GET", CHAT, "GET is not allowed at /v1/chat/completions; use POST."),
        ("POST", CHAT, "The body must be JSON; send it with the header Content-Type: application/json."),
    ],
)
def test_a_wrong_address_is_told_the_right_one(method, path, message):
    """The nearest routes, the allowed method, the header that is missing."""

    async def scenario():
        assert (await World().get(path, method)).json["error"]["message"] == message

    run(scenario())


def test_options_and_a_405_tell_the_same():
    """Whoever asks what is allowed hears what whoever did something else is told."""

    async def scenario():
        world = World()
        asked, refused = await world.get(CHAT, "OPTIONS"), await world.get(CHAT)
        assert (asked.status, refused.status) == (200, 405)
        assert asked.headers["allow"] == refused.headers["allow"] == "POST, OPTIONS"

    run(scenario())


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses", "/v1/completions", "/v1/embeddings"])
def test_a_compressed_body_is_refused_as_what_it_is(path):
    """A 415 names the header, and says what would do; `identity` is no compression."""

    async def scenario():
        refused = await World().post(gzip.compress(b"{}"), path, content_encoding="gzip").done()
        assert (refused.status, refused.headers["accept-encoding"]) == (415, "identity")
        said = "Content-Encoding 'gzip' is not read here; send the body as it is, without it."
        assert refused.json["error"]["message"] == said
        plain = await World().post(b"{}", path, content_encoding="identity").done()
        assert plain.status == 400

    run(scenario())


def test_a_worker_is_ready_while_any_broker_lives():
    """One of two is lost: still ready, and the summary says which."""

    async def scenario():
        world = World()
        world.link.others = (BrokerHealth("second", live=True),)
        world.link.catalogue.lose_broker()
        assert (await world.get("/readyz")).status == 200
        brokers = (await world.get("/health")).json["brokers"]
        assert brokers == [{"name": None, "live": False}, {"name": "second", "live": True}]
        world.link.others = (BrokerHealth("second", live=False),)
        assert (await world.get("/readyz")).json == {"status": "no broker"}

    run(scenario())


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (CatalogueEntry(id="m", state="cold", servable=True, feasible_on=("a",)), "ready"),
        (CatalogueEntry(id="m", state="loading", feasible_on=("a",)), "loading m"),
        (
            CatalogueEntry(id="m", state="hot", locations=(("a/cpu-0", "stalled", 0),), feasible_on=("a",)),
            "no model can be served: a/cpu-0 makes no progress",
        ),
        (CatalogueEntry(id="m", state="failed", feasible_on=("a",)), "no model can be served"),
    ],
)
def test_ready_means_that_some_device_can_serve(entry, status):
    """Loaded or to be loaded on demand; not a first load, a device that stands still, or a model that was refused."""

    async def scenario():
        world = World()
        world.link.catalogue.update(Welcome(broker="memory", catalogue=9, neurons=1, models=(entry,)))
        answer = await world.get("/readyz")
        assert (answer.status, answer.json["status"]) == (200 if status == "ready" else 503, status)

    run(scenario())


def test_without_a_broker_a_request_is_a_503():
    """Retry-After says when to come back."""

    async def scenario():
        world = World()
        world.link.catalogue.lose_broker()
        exchange = await world.post(HI).done()
        assert (exchange.status, exchange.headers["retry-after"]) == (503, "1")

    run(scenario())
