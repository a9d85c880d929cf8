"""A cold load takes a while: what each dialect's client hears meanwhile, through real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from stack import Stack

pytestmark = pytest.mark.system

MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": "m", "messages": MESSAGES, "max_tokens": 3}
ROUTES = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": CHAT,
    "/v1/responses": {"model": "m", "input": "hi", "max_output_tokens": 16},
}


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What came over each route, streamed, and over chat in one piece, asked for while the model was loading."""
    data: Path = tmp_path_factory.mktemp("waits") / "c"
    gateway = {"keepalive_s": 0.5}
    with Stack(data, sim={"load_s": 4.0}, gateway=gateway, models=("m",), neuron=False) as stack:
        stack.start("neuron")
        stack.wait_for(lambda: b'"id":"m"' in stack.get("/v1/models")[1], 30, "the model is never known")
        with ThreadPoolExecutor(8) as threads:
            streams = {
                path: threads.submit(ask, stack, path, {**body, "stream": True})
                for path, body in ROUTES.items()
            }
            whole = threads.submit(ask, stack, "/v1/chat/completions", CHAT)
            yield {**{path: stream.result() for path, stream in streams.items()}, "whole": whole.result()}


def ask(stack: Stack, path: str, body: dict[str, object]) -> str:
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=30)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()
    finally:
        connection.close()


def before(text: str, mark: str) -> str:
    """What came before the first content."""
    head, found, _ = text.partition(mark)
    assert found, text
    return head


def test_chat_clients_get_their_role_and_comments(heard: dict[str, str]) -> None:
    """Events would be chunks to the SDKs: only comments follow the role until there is text."""
    nothing, first, *_ = heard["/v1/chat/completions"].split("data: ")
    assert nothing == ""
    assert '"role":"assistant"' in first
    assert ": loading m on " in first
    assert "event:" not in heard["/v1/chat/completions"]


def test_anthropics_clients_get_the_message_and_pings(heard: dict[str, str]) -> None:
    """The message starts at once, and pings come with the comments."""
    head = before(heard["/v1/messages"], "event: content_block_start")
    assert head.startswith("event: message_start")
    assert ": loading m on " in head
    assert "event: ping" in head


def test_responses_begin_at_once(heard: dict[str, str]) -> None:
    """Created and in progress, then comments, until there is an item."""
    head = before(heard["/v1/responses"], "event: response.output_item.added")
    assert head.startswith("event: response.created")
    assert "event: response.in_progress" in head
    assert ": loading m on " in head


def test_a_whole_answer_is_held_back(heard: dict[str, str]) -> None:
    """Whoever does not stream waits for the answer, and gets it."""
    assert json.loads(heard["whole"])["choices"][0]["finish_reason"] == "length"
