"""The OpenAPI document has every route, and what it says is so: bodies are served, and answers have its types."""

import json
import re

import msgspec
import pytest
from edge_world import World, run
from made_keys import entry as key_entry
from made_keys import presented
from memory_link import answer, finished

from cortex.edge.keyring import OPEN, Keyring
from cortex.edge.keys import Keys
from cortex.edge.openapi.document import WORDS
from cortex.edge.openapi.entries import ENTRIES
from cortex.edge.openapi.meanings import MEANINGS, meaning_of
from cortex.edge.openapi.schemas import Components
from cortex.protocol.deltas import Finish, ReasoningPiece, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.keys import KeyFile
from cortex.protocol.messages import Counted

WITHOUT_MODEL = {"POST /v1/responses/compact", "POST /v1/responses/{response_id}/cancel"}
"""They serve nobody: no model is asked for."""
BODIES = [route for route, entry in ENTRIES.items() if entry.body is not None]
PAGES = [route for route in ENTRIES if route.startswith("GET ") and route != "GET /v1/models/{id}"]
SAID = answer(
    ReasoningPiece("Hm."),
    TextPiece("Hello."),
    ToolStart(0, "call_1", "look"),
    ToolArguments(0, '{"a":1}'),
    ToolEnd(0),
    Finish("stop"),
)


def script(ticket, stream):
    """Whatever is asked for is answered: a text, vectors or a count."""
    if ticket.operation == "embed":
        stream.end(finished(ticket), (bytes(4 * 3 * 2),))
    elif ticket.operation == "count":
        stream.end(Counted(request=ticket.request, attempt=1, tokens=7))
    else:
        SAID(ticket, stream)


def asked(route, **more):
    """A route's path and its example, for a model that is there."""
    text = json.dumps({**ENTRIES[route].example, **more}).replace('"MODEL"', '"demo"')
    return route.partition(" ")[2], text.encode()


def decoded(data, kinds):
    """Decode as the first of these types that fits; raises what is wrong with the last."""
    for kind in kinds[:-1]:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError:
            continue
    return msgspec.json.decode(data, type=kinds[-1])


def page():
    async def scenario():
        world = World()
        return (await world.get("/")).json["routes"], (await world.get("/openapi.json")).json

    return run(scenario())


def test_every_route_has_an_entry():
    """And every entry a route: add one to `edge/openapi/entries.py` with a new route."""
    routes, document = page()
    assert set(routes) == set(ENTRIES)
    described = {
        f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
    }
    assert described == set(routes)


def test_every_body_has_an_example():
    """Without one nobody would know that the route asks for a key that may use the model."""
    for route, entry in ENTRIES.items():
        if route.startswith("POST ") and route not in WITHOUT_MODEL:
            assert entry.body is not None, route
            assert entry.example, route


def test_the_document_refers_to_what_it_has():
    """Names are fit for a component, operations are told apart, open routes say so."""
    _, document = page()
    text = json.dumps(document)
    referred = {name.partition('"')[0] for name in text.split("#/components/schemas/")[1:]}
    assert referred <= set(document["components"]["schemas"])
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in document["components"]["schemas"])
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    unlocked = {
        path for path, methods in document["paths"].items() if methods.get("get", {}).get("security") == []
    }
    assert unlocked == OPEN


@pytest.mark.parametrize("route", BODIES)
def test_an_example_is_answered_as_described(route):
    """Whole and, where the route has streams, event by event: no field that is not described, none missing."""
    entry = ENTRIES[route]

    async def scenario():
        world = World(script)
        path, body = asked(route)
        whole = await world.post(body, path).done()
        assert whole.status == 200, whole.body
        decoded(whole.body, entry.replies)
        if entry.events:
            streamed = await world.post(asked(route, stream=True)[1], path).done()
            assert streamed.headers["content-type"].startswith("text/event-stream")
            lines = streamed.body.decode().split("\n")
            data = [line[6:] for line in lines if line.startswith("data: ") and line != "data: [DONE]"]
            assert len(data) >= 3
            for one in data:
                decoded(one.encode(), entry.events)
            assert entry.event_lines is any(line.startswith("event: ") for line in lines)

    run(scenario())


def test_tools_of_every_kind_are_as_described():
    """Calls of custom tools, of those in a namespace, and thoughts that are to be sent back."""
    look = {"type": "function", "name": "look"}
    group = {"type": "namespace", "name": "a", "description": "", "tools": [look]}
    offered = [{"type": "custom", "name": "patch"}, group, {**look, "parameters": {"type": "object"}}]
    route = "POST /v1/responses"
    said = (ToolStart(0, "c", "patch"), ToolArguments(0, '{"input":"x"}'), ToolEnd(0))
    inner = (ToolStart(1, "d", "a__look"), ToolArguments(1, "{}"), ToolEnd(1), Finish("stop"))

    async def scenario():
        world = World(answer(ReasoningPiece("Hm."), *said, *inner))
        path, body = asked(route, tools=offered, stream=True, include=["reasoning.encrypted_content"])
        streamed = await world.post(body, path).done()
        lines = streamed.body.decode().split("\n")
        told = [
            decoded(line[6:].encode(), ENTRIES[route].events) for line in lines if line.startswith("data: ")
        ]
        assert [type(item).__name__ for item in told[-1].response.output] == [
            "OutputReasoning",
            "OutputCustomCall",
            "OutputCall",
        ]

    run(scenario())


def test_custom_calls_of_a_chat_are_as_described():
    """Whole, and in pieces."""
    route = "POST /v1/chat/completions"
    tools = [{"type": "custom", "custom": {"name": "patch"}}]
    said = (ToolStart(0, "c", "patch"), ToolArguments(0, '{"input":"x"}'), ToolEnd(0), Finish("stop"))

    async def scenario():
        world = World(answer(*said))
        path, body = asked(route, tools=tools)
        [choice] = decoded((await world.post(body, path).done()).body, ENTRIES[route].replies).choices
        assert choice.message.tool_calls[0].custom.input == "x"
        streamed = await world.post(asked(route, tools=tools, stream=True)[1], path).done()
        for line in streamed.body.decode().split("\n"):
            if line.startswith("data: ") and line != "data: [DONE]":
                decoded(line[6:].encode(), ENTRIES[route].events)

    run(scenario())


@pytest.mark.parametrize("route", BODIES)
def test_a_route_asks_for_a_key_that_may_use_the_model(route):
    """None forgets: each refuses its own example for a key of another model, in words that are described."""

    async def scenario():
        keyring = Keyring()
        keyring.keys = Keys(KeyFile(keys=(key_entry(models=("other",)),)))
        world = World(script, keyring=keyring)
        path, body = asked(route)
        refused = await world.post(body, path, x_api_key=presented()).done()
        assert refused.status == 403, refused.body
        assert world.link.tickets == []
        decoded(refused.body, WORDS[ENTRIES[route].words])
        assert 403 in ENTRIES[route].failures

    run(scenario())


@pytest.mark.parametrize("route", PAGES)
def test_a_page_is_as_described(route):
    """Those that need nothing but a GET; with a path of its own, at least its failure."""

    async def scenario():
        entry, path = ENTRIES[route], route.partition(" ")[2]
        found = await World().get(re.sub("{.*}", "nobody", path))
        if "{" in path or found.status != 200:
            decoded(found.body, WORDS[entry.words])
            assert found.status in entry.failures
        else:
            decoded(found.body, entry.replies)

    run(scenario())


def test_a_model_is_as_described():
    """Alone and in the list, in OpenAI's shape and in Anthropic's."""

    async def scenario():
        world = World()
        for path in ("/v1/models", "/v1/models/{id}"):
            for headers in ({}, {"anthropic_version": "2023-06-01"}):
                found = await world.get(path.replace("{id}", "demo"), **headers)
                one = ENTRIES[f"GET {path}"].replies[bool(headers)]
                decoded(found.body, [one])

    run(scenario())


def test_failures_are_as_described():
    """A wrong body, an unknown model, a wrong kind of body."""

    async def scenario():
        world = World()
        for route in BODIES:
            path, body = asked(route)
            for sent, headers in (
                (b"{", {}),
                (body.replace(b"demo", b"nobody"), {}),
                (body, {"content_type": "text/plain"}),
            ):
                found = await world.post(sent, path, **headers).done()
                decoded(found.body, WORDS[ENTRIES[route].words])
                assert found.status in ENTRIES[route].failures, (route, found.status)

    run(scenario())


def test_a_type_without_a_schema_is_a_mistake_of_ours():
    """It is noticed when the document is made."""
    with pytest.raises(TypeError, match="no schema is known"):
        Components().of(memoryview)


# ── what fields mean ─────────────────────────────────────────────────────────────────────────────────────────────

LIMITED = [
    (route, field.encode_name, keyword, limit)
    for route in BODIES
    for field in msgspec.structs.fields(ENTRIES[route].body)
    for keyword, limit in meaning_of(ENTRIES[route].body, field.encode_name).limits.items()
]
TOGETHER = {"top_logprobs": {"logprobs": True}, "max_tokens": {"echo": True}}
"""What makes sense only beside something else."""


def at_and_beyond(keyword, limit):
    """A value that a keyword just allows, and one that it does not; None for what would be as large as a body may be."""
    match keyword:
        case "minimum":
            return limit, limit - 1
        case "maximum":
            return limit, limit + 1
        case "exclusiveMinimum":
            return limit + 0.5, limit
        case "enum":
            return limit[0], "something else"
        case "minLength":
            return "x" * limit, "x" * (limit - 1)
        case "maxLength":
            return "x" * limit, "x" * (limit + 1)
        case "maxProperties":
            return {str(one): 1 for one in range(limit)}, {str(one): 1 for one in range(limit + 1)}
    return None


def filled(route, field, keyword, limit):
    """The same for lists, whose entries have to be what the field holds."""
    one = {"messages": HI_THERE, "input": HI_THERE}.get(field, "x")
    return ["x"] if "embed" in route else [one] * limit, [one] * (
        limit + (1 if keyword == "maxItems" else -1)
    )


HI_THERE = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(("route", "field", "keyword", "limit"), LIMITED)
def test_a_limit_that_is_told_is_kept(route, field, keyword, limit):
    """What lies beyond it is a 400 that names the field, and what lies at it is not refused for this field."""

    async def scenario():
        at, beyond = at_and_beyond(keyword, limit) or filled(route, field, keyword, limit)
        for value, refused in ((at, False), (beyond, True)):
            path, body = asked(route, **TOGETHER.get(field, {}), **{field: value})
            answer = await World(script).post(body, path).done()
            named = answer.status == 400 and answer.json["error"]["message"].startswith(field)
            assert named is refused, (value if keyword != "maxItems" else len(value), answer.body[:300])

    run(scenario())


@pytest.mark.parametrize("kind", [ENTRIES[route].body for route in BODIES])
def test_every_field_of_a_body_is_described(kind):
    """Add a line to `edge/openapi/meanings.py` with a new field."""
    for field in msgspec.structs.fields(kind):
        assert meaning_of(kind, field.encode_name).text, field.encode_name


def test_no_meaning_is_left_of_a_field_that_is_gone():
    """What is described exists."""
    for kind, told in MEANINGS.items():
        assert set(told) <= {field.encode_name for field in msgspec.structs.fields(kind)}, kind


@pytest.mark.parametrize(
    ("route", "more"),
    [
        ("POST /v1/chat/completions", {"messages": [{"role": "narrator", "content": "x"}]}),
        ("POST /v1/chat/completions", {"response_format": {"type": "xml"}}),
        ("POST /v1/messages", {"messages": [{"role": "tool", "content": "x"}]}),
        ("POST /v1/messages", {"tool_choice": {"type": "required"}}),
        ("POST /v1/messages", {"thinking": {"type": "perhaps"}}),
        ("POST /v1/messages", {"output_config": {"format": {"type": "json_object"}}}),
        ("POST /v1/responses", {"text": {"format": {"type": "xml"}}}),
        ("POST /v1/responses", {"reasoning": {"summary": "long"}}),
    ],
)
def test_words_inside_of_a_field_are_kept_to(route, more):
    """Each word that the document lists is the reader's own; another one is a 400."""

    async def scenario():
        path, body = asked(route, **more)
        assert (await World(script).post(body, path).done()).status == 400

    run(scenario())
