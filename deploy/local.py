"""`cortex up` and `cortex serve`: which roles run, when they are ready, what the user is told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from rich.console import Console

from cortex.broker.ctl.client import NoAnswerError, ask
from cortex.deploy import config, exporter
from cortex.deploy.launcher import ChildFailedError, Launcher, Role
from cortex.deploy.logfile import LogFile
from cortex.protocol.kit.paths import default_data_directory
from cortex.protocol.kit.signals import Stop
from cortex.protocol.messages import Status, StatusQuery

READY_S = 120.0
UP_GRACE_S = 2
"""On one's own machine Ctrl-C means now: live streams get this long, and then their last event."""
STOPPING = ("edge", "neuron", "broker", "exporter")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, resolved from arguments and files."""

    data: Path
    cortex_toml: Path | None
    neuron_toml: Path | None
    settings: config.CortexSettings
    http: str
    metrics: str
    grace_s: int
    insecure_open: bool
    with_neuron: bool
    log_to_files: bool


def roles(plan: Plan) -> list[Role]:
    """The children of a plan, in the order of starting."""
    common = ["--data", str(plan.data)]
    if plan.insecure_open:
        common.append("--insecure-open")
    if plan.cortex_toml is not None:
        common += ["--config", str(plan.cortex_toml)]

    def log(name: str) -> LogFile | None:
        return LogFile(plan.data / "logs" / f"{name}.log") if plan.log_to_files else None

    planned = [
        Role("exporter", ["exporter", *common], 1.0, log("exporter")),
        Role("broker", ["broker", *common], 2.0, log("broker")),
        Role("edge", ["edge", *common], plan.grace_s + 1.0, log("edge")),
    ]
    if plan.with_neuron:
        broker = config.planes(plan.settings.broker, plan.data).neuron
        arguments = ["neuron", "--data", str(plan.data), "--broker", broker]
        if plan.neuron_toml is not None:
            arguments += ["--config", str(plan.neuron_toml)]
        planned.append(Role("neuron", arguments, 3.0, log("neuron")))
    return planned


def run(plan: Plan) -> int:
    """Start, announce, watch, stop; answers the exit code. The data directory must have been claimed."""
    stop = Stop().install()
    exporter.clear(plan.data)
    if plan.log_to_files:
        (plan.data / "logs").mkdir(exist_ok=True)
    environment = {
        "CORTEX_GATEWAY__LISTEN": plan.http,
        "CORTEX_GATEWAY__METRICS_LISTEN": plan.metrics,
        "CORTEX_GATEWAY__GRACE_S": str(plan.grace_s),
    }
    launcher = Launcher(roles(plan), STOPPING, environment)
    console = Console(stderr=True)
    began = time.monotonic()
    try:
        with console.status("starting") as line:
            launcher.start()
            ready = launcher.wait_until(lambda: _is_ready(plan, line.update), stop, READY_S)
        if ready:
            print(announcement(plan, time.monotonic() - began), flush=True)
            launcher.watch(stop)
    except ChildFailedError as error:
        print(f"cortex: {error}", file=sys.stderr)
        return 1
    finally:
        if stop.requested:
            print("cortex: stopping", file=sys.stderr)
        launcher.stop()
    return 0


def _is_ready(plan: Plan, tell: Callable[[str], None]) -> bool:
    """Whether a client's first request will be served at once; shows what is still missing."""
    endpoint = config.planes(plan.settings.broker, plan.data).ctl
    try:
        report = ask(endpoint, StatusQuery(), tries=1, try_ms=200)
    except NoAnswerError:
        tell("starting the broker")
        return False
    if plan.with_neuron and isinstance(report, Status):
        phases = [f"{n.node}/{n.device.kind}-{n.device.index} {n.detail or n.phase}" for n in report.neurons]
        waiting = not any(n.state == "ready" for n in report.neurons)
        if waiting:
            tell("neuron: " + (", ".join(phases) or "starting"))
            return False
        loading = [model.id for n in report.neurons for model in n.models if model.state == "loading"]
        if loading:
            tell(f"loading {', '.join(loading)}")
            return False
    tell("starting the edge")
    return http_status(plan.http, "/readyz" if plan.with_neuron else "/livez") == HTTPStatus.OK


def http_status(address: str, path: str) -> int | None:
    """The status of a GET, None when nobody listens."""
    host, _, port = address.rpartition(":")
    connection = HTTPConnection(host.strip("[]"), int(port), timeout=1.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def announcement(plan: Plan, took_s: float) -> str:
    """What a user needs next."""
    base = f"http://{plan.http}"
    if not plan.with_neuron:
        return f"ready {base}  ({took_s:.1f} s)"
    question = (
        '{"model":"cortex-demo","stream":true,"messages":[{"role":"user","content":"What is cortex?"}]}'
    )
    elsewhere = "" if plan.data == default_data_directory() else f" --data {plan.data}"
    command = Path(sys.argv[0]).parent / "cortex"
    keys = config.keys_at(plan.settings, plan.cortex_toml, plan.data)
    with_key = " -H 'Authorization: Bearer KEY'" if keys.in_use else ""
    return (
        f"ready {base}  ({took_s:.1f} s)\n\n"
        f"  curl -N {base}/v1/chat/completions -H 'Content-Type: application/json'{with_key} \\\n"
        f"    -d '{question}'\n\n"
        f"  {command} status{elsewhere}\n"
        f"  metrics http://{plan.metrics}/metrics, logs in {plan.data / 'logs'}\n"
        "  stop with Ctrl-C\n"
    )
