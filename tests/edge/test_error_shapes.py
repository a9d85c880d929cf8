"""Every failure in the words of the route's clients: which routes speak Anthropic's, and what they say."""

import json

import pytest
from asgi_driver import Exchange
from edge_world import HI, World, run

from cortex.edge.errors import ANTHROPIC, ANTHROPIC_TYPES, OPENAI, RESPONSES, STATUSES, shape_of
from cortex.protocol.faults import Code, Fault

MESSAGES = "/v1/messages"
VERSION = {"anthropic-version": "2026-10-21"}


@pytest.mark.parametrize(
    ("path", "version", "shape"),
    [
        ("/v1/messages", False, ANTHROPIC),
        ("/v1/messages/count_tokens", False, ANTHROPIC),
        ("/v1/messages/batches", False, ANTHROPIC),
        ("/v1/messagesx", False, OPENAI),
        ("/v1/responses", False, RESPONSES),
        ("/v1/responses/resp_1", True, RESPONSES),
        ("/v1/responsesx", False, OPENAI),
        ("/v1/models", True, ANTHROPIC),
        ("/v1/models/org/demo", True, ANTHROPIC),
        ("/v1/models", False, OPENAI),
        ("/v1/chat/completions", True, OPENAI),
        ("/v1/embeddings", True, OPENAI),
        ("/nowhere", False, OPENAI),
        ("/v1/files", True, ANTHROPIC),
        ("/v1/v1/messages", True, ANTHROPIC),
        ("/api/event_logging", True, ANTHROPIC),
    ],
)
def test_the_path_decides_and_elsewhere_the_version(path, version, shape):
    """Where it is no dialect's own, as the list of models, whoever names Anthropic's version gets Anthropic's shape."""
    headers = [(b"anthropic-version", b"2023-06-01")] if version else [(b"host", b"x")]
    assert shape_of(path, headers) is shape


def test_what_is_wrong_with_the_messages_of_responses_is_wrong_with_its_input():
    """An engine knows messages only; the client is told the name of the field that it sent."""
    fault = Fault(code=Code.CONTEXT_LENGTH_EXCEEDED, message="Too long.", param="messages", tokens=9, limit=8)
    told = [json.loads(shape.fault(fault, "req_1"))["error"]["param"] for shape in (RESPONSES, OPENAI)]
    assert told == ["input", "messages"]
    other = json.loads(
        RESPONSES.fault(Fault(code=Code.MODEL_NOT_FOUND, message="No.", param="model"), "req_1")
    )
    assert other["error"]["param"] == "model"


@pytest.mark.parametrize("code", Code)
def test_every_fault_has_a_type_that_anthropics_clients_know(code):
    """With the same status as everywhere; the stable code is in the details."""
    body = json.loads(ANTHROPIC.fault(Fault(code=code, message="No."), "req_1"))
    error = body["error"]
    status = STATUSES[code][0]
    expected = ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    assert (body["type"], body["request_id"], error["type"]) == ("error", "req_1", expected)
    assert error["details"] == {"error_code": code.value}


@pytest.mark.parametrize(
    ("tokens", "limit", "said"),
    [
        (210_000, 200_000, "prompt is too long: 210000 tokens > 200000 maximum"),
        (4096, 4096, "prompt is too long: 4096 tokens > 4095 maximum"),
        (None, None, "prompt is too long: Too long."),
    ],
)
def test_a_prompt_that_is_too_long_is_told_as_agents_read_it(tokens, limit, said):
    """Both numbers, and the first is the larger one; OpenAI's clients read the sentence that the neuron wrote."""
    reason = Fault(code=Code.CONTEXT_LENGTH_EXCEEDED, message="Too long.", tokens=tokens, limit=limit)
    assert json.loads(ANTHROPIC.fault(reason, "r"))["error"]["message"] == said
    assert json.loads(OPENAI.fault(reason, "r"))["error"]["message"] == "Too long."


def test_the_guards_own_refusals_speak_anthropic_too():
    """Full, draining, too large, cut short: a body that tells the request's id, and a header that does."""

    async def scenario():
        full = await World(max_inflight=0).post(HI, MESSAGES).done()
        large = await World(max_body_bytes=10).post(HI, MESSAGES).done()
        world = World()
        world.app.begin_drain(at_once=True)
        draining = await world.post(HI, MESSAGES).done()
        short = Exchange(World().app, "POST", MESSAGES, headers={"content-length": "9"}, body=b"{}")
        await short.done()
        found = [(one.status, one.json["error"]["type"]) for one in (full, large, draining, short)]
        assert found == [
            (503, "api_error"),
            (413, "request_too_large"),
            (503, "api_error"),
            (400, "invalid_request_error"),
        ]
        for one in (full, large, draining, short):
            assert one.headers["server"] == "cortex"
            assert one.headers["request-id"] == one.headers["x-request-id"] == one.json["request_id"]
        assert full.headers["retry-after"] == "2"

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/models/nobody", 404, "not_found_error"),
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
        ("GET", "/v1/files", 404, "not_found_error"),
        ("PUT", "/v1/models", 405, "invalid_request_error"),
    ],
)
def test_falcons_failures_speak_anthropic_too(method, path, status, kind):
    """404 from a route or from nowhere, with the id in body and header."""

    async def scenario():
        exchange = await Exchange(World().app, method, path, headers=VERSION).done()
        assert (exchange.status, exchange.json["error"]["type"]) == (status, kind)
        assert exchange.json["request_id"] == exchange.headers["request-id"]

    run(scenario())
