"""A real Prometheus scrapes a running stack: what dashboards will ask for arrives, and its own linter is content."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from stack import Stack, free_port

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        shutil.which("prometheus") is None or shutil.which("promtool") is None,
        reason="prometheus is not installed; tests/support/install-prometheus does it",
    ),
]

ASKED = {"model": "sim-model", "max_tokens": 20, "messages": [{"role": "user", "content": "x"}]}
CONFIG = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - job_name: cortex
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """Prometheus on a free loopback port, scraping one stack."""

    def __init__(self, directory: Path, stack: Stack) -> None:
        directory.mkdir()
        config = directory / "prometheus.yml"
        config.write_text(CONFIG.format(port=stack.metrics_port))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._stack = stack
        with (stack.data / "prometheus.log").open("wb") as log:  # where the stack's own logs are shown from
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        stack.wait_for(self._is_ready, 60, "prometheus was never ready")

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def values(self, query: str) -> list[float]:
        """The values of an instant query, one per series."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=5).json()
        assert answer["status"] == "success", answer
        return [float(series["value"][1]) for series in answer["data"]["result"]]

    def expect(self, query: str, wanted: float) -> None:
        """Wait until a query has exactly this one value."""
        self._stack.wait_for(lambda: self.values(query) == [wanted], 30, f"{query} was never {wanted}")

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "c", sim={"tokens_per_s": 200}) as running:
        yield running


@pytest.fixture
def prometheus(tmp_path: Path, stack: Stack) -> Iterator[Prometheus]:
    running = Prometheus(tmp_path / "prometheus", stack)
    yield running
    running.close()


def test_prometheus_finds_the_stack_up_and_one_request_in_every_series(
    stack: Stack, prometheus: Prometheus
) -> None:
    """Requests, tokens, time to first token, durations and the device, asked for as a dashboard does."""
    prometheus.expect('up{job="cortex"}', 1)
    assert httpx.post(f"{stack.url}/v1/chat/completions", json=ASKED, timeout=30).status_code == 200
    labels = 'model="sim-model"'
    route = 'route="/v1/chat/completions",status="200"'
    prometheus.expect(f"cortex_requests_total{{{labels},{route}}}", 1)
    prometheus.expect(f"cortex_completion_tokens_total{{{labels}}}", 20)
    prometheus.expect(f"cortex_prompt_tokens_total{{{labels}}} > bool 0", 1)
    prometheus.expect(f"cortex_time_to_first_token_seconds_count{{{labels}}}", 1)
    prometheus.expect(f"cortex_request_duration_seconds_count{{{labels}}}", 1)
    prometheus.expect(f"cortex_tokens_per_second_count{{{labels}}}", 1)
    prometheus.expect('cortex_request_duration_seconds_bucket{le="+Inf"}', 1)
    prometheus.expect('cortex_neuron_up{node="host",device="sim-0"}', 1)
    [target] = httpx.get(f"{prometheus.url}/api/v1/targets").json()["data"]["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_prometheus_sees_that_a_stack_is_down(stack: Stack, prometheus: Prometheus) -> None:
    """A gateway that has stopped is not scraped from memory."""
    prometheus.expect('up{job="cortex"}', 1)
    stack.stop()
    prometheus.expect('up{job="cortex"}', 0)


def test_the_exposition_passes_prometheus_own_linter(stack: Stack) -> None:
    """`promtool check metrics` has nothing to say about names, types, units or help texts."""
    httpx.post(f"{stack.url}/v1/chat/completions", json=ASKED, timeout=30)

    def exposition() -> bytes:
        return httpx.get(f"http://127.0.0.1:{stack.metrics_port}/metrics").content

    for series in (b"cortex_requests_total", b"cortex_neuron_up", b"cortex_broker_requests_total"):
        stack.wait_for(lambda series=series: series in exposition(), 10, f"{series!r} never came")
    lint = ["promtool", "check", "metrics"]
    checked = subprocess.run(lint, check=False, input=exposition(), capture_output=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
    checked = subprocess.run(lint, check=False, input=b"badCounter 1\n", capture_output=True)
    assert checked.returncode != 0, "the linter looks at what it is given"
