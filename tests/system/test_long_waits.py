"""Clients that wait for a model's cold load, in every dialect, against real processes: their streams live, their whole
answers are held, and one that gives up and asks again has kept its place.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from fleet import Fleet

from cortex.neuron.engine.sim_words import text, token

pytestmark = pytest.mark.system

LOAD_S = 4.0
GATEWAY = {"queue_s": 2.0, "keepalive_s": 1.0}
"""Nobody may wait as long as a load takes, but for a load."""
MODELS = [{"id": name, "source": f"/{name}", "vram_mb": 2000} for name in ("streamed", "asked-again")]
HOST = {"memory_bytes": 8 * 2**30, "load_s": LOAD_S, "tokens_per_s": 100, "slots": 1}
TOKENS = 5
SAID = [{"role": "user", "content": "hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": SAID, "max_tokens": TOKENS},
    "/v1/completions": {"prompt": "hi", "max_tokens": TOKENS},
    "/v1/responses": {"input": "hi", "max_output_tokens": TOKENS, "store": False},
    "/v1/messages": {"messages": SAID, "max_tokens": TOKENS},
}
LOADING = re.compile(r": loading streamed on one/sim-0 \d+ %|: queued, \d+ ahead(: .+)?|: ping|: begun")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One device that serves one request at a time, and two models that it has not loaded."""
    data: Path = tmp_path_factory.mktemp("waits") / "f"
    with Fleet(data, hosts={"one": HOST}, models=MODELS, gateway=GATEWAY) as running:
        yield running


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Closes what is put into it."""
    with ExitStack() as stack:
        yield stack


class Heard(NamedTuple):
    """One answer: its status, and its lines with the second at which each came."""

    status: int
    lines: list[tuple[float, str]]

    @property
    def waited(self) -> list[str]:
        """Lines that came before the model was there."""
        return [line for at, line in self.lines if at < LOAD_S * 0.8 and line]

    @property
    def events(self) -> list[dict[str, Any]]:
        data = [line.removeprefix("data: ") for _, line in self.lines if line.startswith("data: {")]
        return [json.loads(one) for one in data]

    @property
    def longest_silence(self) -> float:
        times = [0.0, *(at for at, _ in self.lines)]
        return max(later - sooner for sooner, later in pairwise(times))


def ask(fleet: Fleet, path: str, *, stream: bool) -> Heard:
    began = time.monotonic()
    connection = HTTPConnection("127.0.0.1", fleet.port, timeout=60)
    body = json.dumps({"model": "streamed", "stream": stream, **BODIES[path]})
    connection.request("POST", path, body, {"content-type": "application/json"})
    response = connection.getresponse()
    lines = [(time.monotonic() - began, line.decode().rstrip("\n")) for line in response]
    connection.close()
    return Heard(response.status, lines)


def words(answer: str) -> str:
    """What the simulated model says in the answer of this id, for it speaks by the request's."""
    request = "req_" + answer.rpartition("_")[2].rpartition("-")[2]
    return "".join(text(token(request, 0, index)) for index in range(TOKENS))


def test_a_cold_load_is_waited_for_in_every_dialect(fleet: Fleet) -> None:
    """Streams begin at once and are never silent, in the signs that their clients bear; whole answers are held; one load serves all."""
    with ThreadPoolExecutor(2 * len(BODIES)) as threads:
        streamed = {path: threads.submit(ask, fleet, path, stream=True) for path in BODIES}
        held = {path: threads.submit(ask, fleet, path, stream=False) for path in BODIES}
    for path, future in streamed.items():
        heard = future.result()
        assert heard.status == 200, heard
        assert heard.lines[-1][0] > LOAD_S * 0.9
        assert heard.longest_silence < LOAD_S * 0.75
        CHECKS[path](heard)
    for future in held.values():
        heard = future.result()
        assert heard.status == 200, heard
        assert heard.lines[0][0] > LOAD_S * 0.9
        [(_, body)] = heard.lines
        answer = json.loads(body)
        assert words(answer["id"]) in body


def comments(heard: Heard) -> list[str]:
    found = [line for line in heard.waited if line.startswith(":")]
    assert len(found) >= 2
    assert all(LOADING.fullmatch(line) for line in found), found
    assert any(line.startswith(": loading") for line in found), found
    return found


def check_chat(heard: Heard) -> None:
    """Any event is a chunk to the SDK: after the role come comments alone."""
    first, *rest = heard.waited
    assert json.loads(first.removeprefix("data: "))["choices"][0]["delta"]["role"] == "assistant"
    assert rest == comments(heard)
    said = "".join(event["choices"][0]["delta"].get("content") or "" for event in heard.events)
    assert said == words(heard.events[0]["id"])


def check_completion(heard: Heard) -> None:
    """There is nothing to begin with, so a comment begins it."""
    assert heard.waited == comments(heard)
    said = "".join(event["choices"][0]["text"] for event in heard.events if event["choices"])
    assert said == words(heard.events[0]["id"])


def check_response(heard: Heard) -> None:
    """Agents' timers hear events: the response is created before anything is waited for."""
    names = [line for line in heard.waited if line.startswith("event:")]
    assert names == ["event: response.created", "event: response.in_progress"]
    comments(heard)
    last = heard.events[-1]
    said = "".join(event["delta"] for event in heard.events if event["type"] == "response.output_text.delta")
    assert said == words(last["response"]["id"])


def check_message(heard: Heard) -> None:
    """A ping beside every comment: Anthropic's clients time events, and skip these."""
    first, *names = [line for line in heard.waited if line.startswith("event:")]
    assert first == "event: message_start"
    assert names == ["event: ping"] * len(comments(heard))
    said = "".join(event["delta"]["text"] for event in heard.events if event["type"] == "content_block_delta")
    assert said == words(heard.events[0]["message"]["id"])


CHECKS: dict[str, Callable[[Heard], None]] = {
    "/v1/chat/completions": check_chat,
    "/v1/completions": check_completion,
    "/v1/responses": check_response,
    "/v1/messages": check_message,
}


def test_who_gives_up_and_asks_again_has_kept_its_place(fleet: Fleet, clients: ExitStack) -> None:
    """The SDKs' resends are the same requests: three that time out during the load go before one that came meanwhile."""
    served: list[str] = []
    asks = {name: asking(fleet, clients, name) for name in ("chat", "messages", "responses")}

    def request(name: str) -> None:
        asks[name](60.0)
        served.append(name)

    def waiting(count: int) -> None:
        fleet.wait_for(lambda: fleet.status().waiting == count, LOAD_S, f"{count} never waited")

    with ThreadPoolExecutor(4) as threads:
        gave_up: list[Future[None]] = []
        for count, name in enumerate(asks, 1):
            gave_up.append(threads.submit(asks[name], 0.8))
            waiting(count)
        for future in gave_up:
            with pytest.raises((openai.APITimeoutError, anthropic.APITimeoutError)):
                future.result()
        waiting(0)
        again = ["rival", *reversed(asks)]
        asks["rival"] = asking(fleet, clients, "chat", content="I came later.")
        for count, name in enumerate(again, 1):
            threads.submit(request, name)
            waiting(count)
    assert served == ["chat", "messages", "responses", "rival"]


def asking(fleet: Fleet, clients: ExitStack, how: str, content: str = "hi") -> Callable[[float], None]:
    """The same request each time, by an SDK's client that waits so many seconds and does not read the answer."""
    url, key = f"http://127.0.0.1:{fleet.port}", "one-principal"
    said: list[Any] = [{"role": "user", "content": content}]
    asked: dict[str, Any] = {"model": "asked-again", "messages": said, "max_tokens": 30}
    create: Callable[..., object]
    if how == "messages":
        messages = clients.enter_context(anthropic.Anthropic(base_url=url, auth_token=key, max_retries=0))
        create = messages.messages.with_raw_response.create
    else:
        client = clients.enter_context(openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0))
        create = client.chat.completions.with_raw_response.create
        if how == "responses":
            create = client.responses.with_raw_response.create
            asked = {"model": "asked-again", "input": content, "max_output_tokens": 30, "store": False}

    def ask_within(seconds: float) -> None:
        create(**asked, timeout=seconds)

    return ask_within
