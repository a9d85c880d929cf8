"""`cortex up` as a user meets it: real inference with the demo model, Ctrl-C, and what the first run leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from openai import OpenAI
from stack import cortex, free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

STOP_S = 5.0


class Up:
    """A running `cortex up` with its announcement."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.http = f"127.0.0.1:{free_port()}"
        self.metrics = f"127.0.0.1:{free_port()}"
        flags = ("--http", self.http, "--metrics", self.metrics, "--data", str(data))
        self.process = cortex("up", *flags, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().decode()

    def interrupt(self) -> float:
        """Ctrl-C; answers how long everything took to be gone."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        return time.monotonic() - began

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path / "d")
    yield running
    running.close()


def left_over(data: Path) -> list[str]:
    """Command lines of processes that still use the data directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(data) in line:
            found.append(line)
    return found


def test_the_first_run_answers_a_question_and_stops_on_ctrl_c(up: Up) -> None:
    """Ready line, a sensible answer from the weights, a tool call, status, settings on disk, a clean stop."""
    assert up.first_line.startswith(f"ready http://{up.http}"), up.process.communicate()[1].decode()
    client = OpenAI(base_url=f"http://{up.http}/v1", api_key="unused", max_retries=0)
    chunks = client.chat.completions.create(
        model="cortex-demo",
        messages=[{"role": "user", "content": "What is cortex?"}],
        stream=True,
        temperature=0,
    )
    answer = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "proxy" in answer or "fleet" in answer, answer
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}
    called = client.chat.completions.create(
        model="cortex-demo",
        messages=[{"role": "user", "content": "What is the weather in Lisbon?"}],
        tools=[tool],
        temperature=0,
    )
    [call] = called.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Lisbon"})
    assert called.choices[0].finish_reason == "tool_calls"
    hello = [{"role": "user", "content": "hello"}]
    named = {"type": "function", "function": {"name": "get_weather"}}
    forced = client.chat.completions.create(
        model="cortex-demo", messages=hello, tools=[tool], tool_choice=named, max_tokens=200
    )
    assert forced.choices[0].message.tool_calls[0].function.name == "get_weather"
    shape = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}, "required": ["mood"]}
    schema = {"name": "mood", "strict": True, "schema": {**shape, "additionalProperties": False}}
    shaped = client.chat.completions.create(
        model="cortex-demo",
        messages=hello,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert json.loads(shaped.choices[0].message.content)["mood"] in ("good", "bad")
    counted = client.chat.completions.create(
        model="cortex-demo",
        messages=[{"role": "user", "content": "count from 2 to 6"}],
        temperature=0,
        logprobs=True,
        top_logprobs=2,
    )
    rated = counted.choices[0].logprobs.content
    assert b"".join(bytes(one.bytes) for one in rated).decode() == counted.choices[0].message.content
    assert all(one.token == one.top_logprobs[0].token and one.logprob <= 0 for one in rated)
    status = cortex("status", "--data", str(up.data), "--json", stdout=subprocess.PIPE)
    report = json.loads(status.communicate()[0])
    assert report["neurons"][0]["models"][0]["id"] == "cortex-demo"
    written = tomllib.loads((up.data / "cortex.toml").read_text())["gateway"]
    assert (written["listen"], written["metrics_listen"]) == (up.http, up.metrics)
    scraper = HTTPConnection(up.metrics, timeout=10)
    scraper.request("GET", "/metrics")
    assert b"cortex_requests_total" in scraper.getresponse().read()
    scraper.close()
    client.close()
    up.interrupt()
    assert up.process.returncode == 0
    assert left_over(up.data) == []


def test_live_streams_get_a_last_event_and_idle_connections_hold_nothing_up(up: Up) -> None:
    """Ctrl-C with a running stream and a kept-alive connection: all gone in five seconds."""
    idle = HTTPConnection(up.http, timeout=10)
    idle.request("GET", "/livez")
    assert idle.getresponse().read() is not None
    asked = {
        "model": "cortex-demo",
        "stream": True,
        "temperature": 2.0,
        "messages": [{"role": "user", "content": "Count from 1 to 30."}],
        "max_tokens": 60000,
        "ignore_eos": True,
    }
    streams = []
    for _ in range(8):  # as many as there are slots, and none of them ends by itself soon
        connection = HTTPConnection(up.http, timeout=10)
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(asked), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        response.readline()
        streams.append((connection, response))
    taken = up.interrupt()
    ends = [response.read().decode() for _, response in streams]
    assert all('"error"' in end and "[DONE]" not in end for end in ends)
    assert taken <= STOP_S
    assert left_over(up.data) == []
    for connection, _ in streams:
        connection.close()
    idle.close()


def test_settings_that_move_the_planes_hold_for_the_neuron_and_for_operators(tmp_path: Path) -> None:
    """The broker of `--config` listens on TCP: its own neuron joins there, and `status --data` finds it."""
    http, metrics, neuron, ctl = (f"127.0.0.1:{free_port()}" for _ in range(4))
    settings = tmp_path / "mine.toml"
    settings.write_text(
        f'[gateway]\nlisten = "{http}"\nmetrics_listen = "{metrics}"\n'
        f'[broker]\nneuron = "tcp://{neuron}"\nctl = "tcp://{ctl}"\n'
    )
    data = tmp_path / "d"
    running = cortex("up", "--config", str(settings), "--data", str(data), stdout=subprocess.PIPE)
    try:
        assert running.stdout is not None
        assert running.stdout.readline().decode().startswith(f"ready http://{http}")
        status = cortex("status", "--data", str(data), "--json", stdout=subprocess.PIPE)
        [joined] = json.loads(status.communicate()[0])["neurons"]
        assert joined["state"] == "ready"
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
