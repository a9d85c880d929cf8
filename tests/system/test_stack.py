"""A real stack of processes with the simulated engine: faults are struck, bytes are checked."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from openai import OpenAI
from prometheus_client.parser import text_string_to_metric_families
from stack import Stack

from cortex.neuron.engine.sim_words import text, token
from cortex.protocol import liveness
from cortex.protocol.messages import NeuronStatus

pytestmark = pytest.mark.system

STEP_S = 0.02


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "c", sim={"devices": 2, "tokens_per_s": 50, "slots": 8}) as running:
        running.wait_for(lambda: ready(running) == 2, 20, "two devices never joined")
        yield running


def ready(stack: Stack) -> int:
    """How many devices are there and have a model."""
    report = stack.try_status()
    return 0 if report is None else sum(serves(neuron) for neuron in report.neurons)


def serves(neuron: NeuronStatus) -> bool:
    return neuron.state == "ready" and any(model.state == "hot" for model in neuron.models)


def gone(stack: Stack) -> list[NeuronStatus]:
    return [neuron for neuron in stack.status().neurons if neuron.state == "gone"]


def load(stack: Stack) -> int:
    return sum(sum(neuron.load.values()) for neuron in stack.status().neurons)


def devices(stack: Stack) -> list[int]:
    """The process ids of the device processes."""
    return stack.tree("neuron")[1:]


class Stream:
    """One streamed answer, read event by event; `error` is the error event, if one came."""

    def __init__(self, stack: Stack, max_tokens: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", stack.port, timeout=30)
        asked = {
            "model": "sim-model",
            "stream": True,
            "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": "x"}],
        }
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/v1/chat/completions", json.dumps(asked), headers)
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        self.id = str(self._response.getheader("x-request-id"))
        self.pieces: list[str] = []
        self.error: dict[str, str] | None = None
        self.finish: str | None = None
        self.done = False

    def read(self, count: int | None = None) -> None:
        """Read until there are `count` pieces, or to the end."""
        while count is None or len(self.pieces) < count:
            line = self._response.readline()
            if not line:
                self.leave()
                return
            if not line.startswith(b"data: "):
                continue
            if line == b"data: [DONE]\n":
                self.done = True
                continue
            event = json.loads(line[6:])
            self.error = event.get("error", self.error)
            for choice in event.get("choices", ()):
                if choice["delta"].get("content"):
                    self.pieces.append(choice["delta"]["content"])
                self.finish = choice["finish_reason"] or self.finish

    def leave(self) -> None:
        """Drop the connection, as a client that is killed does."""
        self._response.close()
        self._connection.close()

    def expect(self, count: int) -> None:
        """Every token there, once, in order, of this request."""
        assert "".join(self.pieces) == "".join(text(token(self.id, 0, i)) for i in range(count))


def test_the_official_client_streams_and_collects(stack: Stack) -> None:
    """Both ways of asking give the tokens of their own request."""
    client = OpenAI(base_url=f"{stack.url}/v1", api_key="unused", max_retries=0)
    messages = [{"role": "user", "content": "x"}]
    chunks = client.chat.completions.create(
        model="sim-model",
        messages=messages,
        max_tokens=5,
        stream=True,
        stream_options={"include_usage": True},
    )
    seen = list(chunks)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in seen if chunk.choices)
    assert said == "".join(text(token(seen[0].id.replace("chatcmpl-", "req_"), 0, i)) for i in range(5))
    assert seen[-1].usage.completion_tokens == 5
    whole = client.chat.completions.create(model="sim-model", messages=messages, max_tokens=5)
    assert whole.choices[0].message.content == "".join(
        text(token(whole.id.replace("chatcmpl-", "req_"), 0, i)) for i in range(5)
    )
    assert [model.id for model in client.models.list()] == ["sim-model"]
    client.close()


def test_a_device_killed_while_idle_comes_back_and_serves(tmp_path: Path) -> None:
    """Status shows that it does not serve, then that it does; a request works meanwhile and afterwards."""
    with Stack(tmp_path / "c", sim={"devices": 2, "slots": 8, "load_s": 1.0}) as stack:
        stack.wait_for(lambda: ready(stack) == 2, 20, "two devices never joined")
        victim = devices(stack)[0]
        last_seen_ms = max(neuron.seen_ms for neuron in stack.status().neurons)
        os.kill(victim, signal.SIGKILL)
        stack.wait_for(lambda: gone(stack), 10, "it was never gone")
        [lost] = gone(stack)
        assert lost.seen_ms - last_seen_ms < 1000 * liveness.EXPIRY - 500, (
            "by its connection, not by its silence"
        )
        meanwhile = Stream(stack, 3)
        meanwhile.read()
        meanwhile.expect(3)
        stack.wait_for(lambda: ready(stack) == 2 and victim not in devices(stack), 20, "it never came back")
        assert [(n.state, n.phase) for n in stack.status().neurons] == [("ready", "idle")] * 2
        afterwards = Stream(stack, 3)
        afterwards.read()
        afterwards.expect(3)


def test_a_device_that_stands_is_replaced(tmp_path: Path) -> None:
    """Its client gets an error that can be tried again, the log says in which request it stood, and it serves again."""
    stack = Stack(tmp_path / "data", sim={"tokens_per_s": 50, "slots": 8, "hang_at": 20})
    settings = stack.neuron_toml.read_text()
    stack.neuron_toml.write_text(settings.replace("[neuron]\n", "[neuron]\nstall_s = 1.0\n"))
    with stack:
        (victim,) = devices(stack)
        stream = Stream(stack, 50)
        stream.read()
        assert stream.error is not None
        assert stream.error["code"] in {"stalled", "neuron_lost"}
        stack.wait_for(lambda: victim not in devices(stack) and ready(stack) == 1, 20, "not replaced")
        assert "made no progress and gave itself up" in stack.logs()
        assert "gave up after 1 s without progress, in a step (decode) with " in stack.logs()


def test_streams_of_a_killed_device_end_with_an_error_and_others_go_on(stack: Stack) -> None:
    """Never silence, never a wrong token: an error event for the dead one's, the full answer for the rest."""
    streams = [Stream(stack, 400) for _ in range(4)]
    for stream in streams:
        stream.read(5)
    os.kill(devices(stack)[0], signal.SIGKILL)
    for stream in streams:
        stream.read()
    failed = [stream for stream in streams if stream.error]
    assert len(failed) == 2
    for stream in streams:
        if stream in failed:
            assert stream.error is not None
            assert stream.error["code"] in {"neuron_lost", "stream_gap"}
            stream.expect(len(stream.pieces))
            assert not stream.finish
        else:
            stream.expect(400)
            assert stream.finish == "length"
            assert stream.done


def test_a_client_that_leaves_frees_its_slot(stack: Stack) -> None:
    """Long before the answer would have ended; the best of five within 250 ms and one step."""
    taken = []
    for _ in range(5):
        stream = Stream(stack, 5000)
        stream.read(2)
        assert load(stack) == 1
        began = time.monotonic()
        stream.leave()
        stack.wait_for(lambda: load(stack) == 0, 10, "the slot was never freed")
        taken.append(time.monotonic() - began)
    assert min(taken) <= 0.25 + STEP_S, f"seconds until the slot was free: {taken}"


def test_a_restarted_broker_learns_the_fleet_back(stack: Stack) -> None:
    """Running streams end with an error that may be retried; the next request is served."""
    stream = Stream(stack, 1000)
    stream.read(3)
    stack.processes["broker"].kill()
    stack.processes["broker"].wait()
    stack.start("broker")
    stream.read()
    assert stream.error is not None
    assert stream.error["code"] == "broker_lost"
    stream.expect(len(stream.pieces))
    stack.wait_for(lambda: ready(stack) == 2, 20, "the fleet was not learnt back")
    stack.wait_ready()
    again = Stream(stack, 3)
    again.read()
    again.expect(3)
    stack.wait_for(lambda: load(stack) == 0, 20, "orphans were not cancelled")


@pytest.mark.parametrize("role", ["broker", "edge", "neuron"])
def test_a_process_that_stands_still_for_a_second_costs_no_token(tmp_path: Path, role: str) -> None:
    """Stopped and continued at a thousand frames a second: every stream is whole and in order."""
    sim = {"devices": 1, "tokens_per_s": 1000, "slots": 8}
    with Stack(tmp_path / "c", sim=sim) as stack:
        streams = [Stream(stack, 3000) for _ in range(4)]
        readers = [threading.Thread(target=stream.read) for stream in streams]
        for reader in readers:
            reader.start()
        time.sleep(0.5)
        paused = stack.tree(role)[-1]
        os.kill(paused, signal.SIGSTOP)
        time.sleep(1.0)
        os.kill(paused, signal.SIGCONT)
        for reader in readers:
            reader.join()
        for stream in streams:
            assert stream.error is None
            stream.expect(3000)
            assert stream.done


def test_every_series_is_scraped_while_the_stack_works(stack: Stack) -> None:
    """The exporter serves edge's, broker's and neurons' figures as valid exposition text."""
    stream = Stream(stack, 60)
    stream.read()

    def scraped() -> dict[str, float]:
        connection = HTTPConnection("127.0.0.1", stack.metrics_port, timeout=5)
        connection.request("GET", "/metrics")
        body = connection.getresponse().read().decode()
        connection.close()
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }

    stack.wait_for(lambda: scraped().get("cortex_broker_requests_total") == 1, 10, "the broker's figures")
    seen = scraped()
    assert seen["cortex_completion_tokens_total"] == 60
    assert seen["cortex_time_to_first_token_seconds_count"] == 1
    assert seen["cortex_tokens_per_second_sum"] == pytest.approx(50, rel=0.5)
    assert {"cortex_neuron_up", "cortex_model_in_flight", "cortex_queue_depth", "cortex_edges"} <= seen.keys()


def test_strangers_on_the_sockets_disturb_nobody(stack: Stack) -> None:
    """Raw bytes on each plane are shut out, and a running stream stays whole."""
    stream = Stream(stack, 50)
    for plane in (stack.planes.edge, stack.planes.neuron, stack.planes.ctl):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(plane.removeprefix("ipc://"))
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + os.urandom(4096))
    stream.read()
    stream.expect(50)
