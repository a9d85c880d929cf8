"""`cortex up` and `cortex serve`: which roles run, when they are ready, what the user is told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec
from rich.console import Console

from cortex.broker.ctl.client import NoAnswerError, ask
from cortex.deploy import config, exporter
from cortex.deploy.in_force import STARTED_WITH
from cortex.deploy.launcher import ChildFailedError, Launcher, Role
from cortex.deploy.logfile import LogFile
from cortex.deploy.starting import DEMO, Teller, awaited, can_serve, first_to_ask, hindered
from cortex.protocol.faults import FaultError
from cortex.protocol.kit.paths import default_data_directory
from cortex.protocol.kit.signals import Stop
from cortex.protocol.messages import Models, ModelsQuery, Status, StatusQuery

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


def environment_of(plan: Plan) -> dict[str, str]:
    """What the children are told that their settings do not say, and which variables do."""
    gateway = plan.settings.gateway
    told = {
        name: str(value)
        for name, value, known in (
            ("CORTEX_GATEWAY__LISTEN", plan.http, gateway.listen),
            ("CORTEX_GATEWAY__METRICS_LISTEN", plan.metrics, gateway.metrics_listen),
            ("CORTEX_GATEWAY__GRACE_S", plan.grace_s, gateway.grace_s),
        )
        if value != known
    }
    return {**told, STARTED_WITH: " ".join(told)}


def run(plan: Plan) -> int:
    """Start, announce, watch, stop; answers the exit code. The data directory must have been claimed."""
    stop = Stop().install()
    exporter.clear(plan.data)
    if plan.log_to_files:
        (plan.data / "logs").mkdir(exist_ok=True)
    launcher = Launcher(roles(plan), STOPPING, environment_of(plan))
    console = Console(stderr=True)
    began = time.monotonic()
    try:
        with console.status("starting") as line:
            launcher.start()
            teller = Teller(line.update, _silent if console.is_terminal else _complain, began)
            ready = launcher.wait_until(
                lambda: _is_ready(plan, lambda what: teller.tell(what, time.monotonic())), stop, READY_S
            )
        if ready:
            print(announcement(plan, time.monotonic() - began, _models(plan)), flush=True)
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
        tell("the broker")
        return False
    servable = False
    if plan.with_neuron and isinstance(report, Status):
        if what := awaited(report):
            tell(what)
            return False
        servable = can_serve(_models(plan))
    tell("the edge")
    # Where nothing can be served nothing will be by waiting: that is said instead.
    return http_status(plan.http, "/readyz" if servable else "/livez") == HTTPStatus.OK


def _models(plan: Plan) -> Models:
    """What may be asked for, as the broker says; nothing while it does not answer."""
    try:
        report = ask(config.planes(plan.settings.broker, plan.data).ctl, ModelsQuery(), try_ms=500)
    except (NoAnswerError, FaultError):
        return Models(models=())
    return report if isinstance(report, Models) else Models(models=())


def _complain(text: str) -> None:
    print(f"cortex: {text}", file=sys.stderr, flush=True)


def _silent(_text: str) -> None:
    """A terminal shows it already."""


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


def announcement(plan: Plan, took_s: float, models: Models) -> str:
    """What a user needs next: a question to a model that answers, or why none does."""
    base = f"http://{plan.http}"
    if not plan.with_neuron:
        return f"ready {base}  ({took_s:.1f} s)"
    model = first_to_ask(models)
    words = "What is cortex?" if model == DEMO else "Hello!"
    question = msgspec.json.encode(
        {"model": model, "stream": True, "messages": [{"role": "user", "content": words}]}
    ).decode()
    elsewhere = "" if plan.data == default_data_directory() else f" --data {plan.data}"
    command = Path(sys.argv[0]).parent / "cortex"
    keys = config.keys_at(plan.settings, plan.cortex_toml, plan.data)
    with_key = " -H 'Authorization: Bearer KEY'" if keys.in_use else ""
    ready = (
        f"ready {base}  ({took_s:.1f} s)\n\n"
        f"  curl -N {base}/v1/chat/completions -H 'Content-Type: application/json'{with_key} \\\n"
        f"    -d '{question}'\n\n"
    )
    idle = f"up {base}  ({took_s:.1f} s), but no model can be served: {hindered(models)}\n\n"
    return (
        f"{ready if model else idle}"
        f"  {command} status{elsewhere}\n"
        f"  metrics http://{plan.metrics}/metrics, logs in {plan.data / 'logs'}\n"
        "  stop with Ctrl-C\n"
    )
