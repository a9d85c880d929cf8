"""Questions: one answer, printed."""

from __future__ import annotations

from cortex.broker.ctl.client import Client
from cortex.broker.ctl.commands import FailedError
from cortex.broker.ctl.output import Output
from cortex.broker.ctl.render.events import EventLines
from cortex.broker.ctl.render.explanation import explanation
from cortex.broker.ctl.render.models import models
from cortex.broker.ctl.render.neurons import neurons
from cortex.broker.ctl.render.status import status
from cortex.protocol.faults import Code
from cortex.protocol.messages import (
    ConfigQuery,
    ConfigReport,
    Decision,
    Events,
    EventsSince,
    Explain,
    Explanation,
    Models,
    ModelsQuery,
    Status,
    StatusQuery,
)


def show_status(client: Client, output: Output) -> None:
    report = client.ask(StatusQuery(), Status)
    output.show(report, status(report))
    output.note(report.outdated)


def show_neurons(client: Client, output: Output) -> None:
    report = client.ask(StatusQuery(), Status)
    output.show(report, neurons(report))


def show_models(client: Client, output: Output) -> None:
    report = client.ask(ModelsQuery(), Models)
    output.show(report, models(report))
    output.note(report.outdated)


def show_explanation(client: Client, output: Output, model: str) -> None:
    report = client.ask(Explain(model=model), Explanation)
    unknown = report.fault if report.fault and report.fault.code is Code.MODEL_NOT_FOUND else None
    if output.as_json or unknown is None:
        output.show(report, explanation(report, model))
    output.note(report.outdated)
    if unknown is not None:
        raise FailedError(unknown.message)


def show_config(client: Client, output: Output) -> None:
    """Each file's text under its path, which is a comment in TOML."""
    report = client.ask(ConfigQuery(), ConfigReport)
    if output.as_json:
        output.json(report)
        return
    for n, (path, text) in enumerate(report.files.items()):
        output.raw(f"{chr(10) if n else ''}# {path}")
        output.raw(text)


def show_events(client: Client, output: Output, since: int) -> None:
    """All that the broker still keeps, however many replies that takes."""
    found: list[Decision] = []
    while True:
        page = client.ask(EventsSince(since=since, patience_ms=0), Events)
        new = [decision for decision in page.events if decision.number > since]
        if not new:
            break
        found += new
        since = new[-1].number
    if output.as_json:
        output.json(Events(events=tuple(found), next=min(since, page.next)))
        return
    if not found:
        output.line("nothing was decided" + (f" after event {since}" if since else " yet"))
    for line in EventLines().lines(tuple(found)):
        output.text(line)
