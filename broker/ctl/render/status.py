"""The fleet at a glance: a headline, the brokers, then a line per model on each device."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cortex.broker.ctl.render.grid import Cell, Column, Grid
from cortex.broker.ctl.render.words import (
    NONE,
    budget,
    clean,
    count,
    device_name,
    duration,
    plain,
    reserved,
    share,
    word,
    words,
)
from cortex.protocol.messages import BrokerStatus, NeuronStatus, Status

NOBODY = "no neuron has joined yet"
COLUMNS = (
    Column("node"),
    Column("device"),
    Column("state", folds=True),
    Column("seen", right=True, gives=2),
    Column("memory", right=True, gives=1),
    Column("model"),
    Column("model state", folds=True),
    Column("load", right=True),
    Column("tok/s", right=True, gives=3),
)
BROKER_COLUMNS = (
    Column("broker"),
    Column("state"),
    Column("running", right=True),
    Column("waiting", right=True),
    Column("served", right=True),
    Column("owns", right=True),
)


def status(report: Status) -> RenderableType:
    """The whole report."""
    parts: list[RenderableType] = [headline(report), ""]
    if len(report.brokers) > 1:
        parts += [Grid(BROKER_COLUMNS, [_broker(broker) for broker in report.brokers]), ""]
    if report.neurons:
        parts.append(Grid(COLUMNS, [row for neuron in report.neurons for row in _rows(neuron)]))
    else:
        parts.append(NOBODY)
    if report.dropped:
        dropped = ", ".join(f"{clean(reason)} {number}" for reason, number in sorted(report.dropped.items()))
        parts += ["", Text(f"messages dropped: {dropped}")]
    return Group(*parts)


def headline(report: Status) -> Text:
    return Text(
        f"broker {clean(report.broker)} {clean(report.version)}, up {duration(report.uptime_s)} · "
        f"{count(report.edges, 'edge worker')} · {report.running} running, {report.waiting} waiting, "
        f"{report.served} served"
    )


def neuron_state(neuron: NeuronStatus) -> Text:
    """Its state, and what it is doing while it starts."""
    state = word(neuron.state)
    if neuron.state == "registered" and neuron.phase in {"starting", "loading"}:
        state.append(f" ({clean(neuron.detail or neuron.phase)})", style="")
    return state


def seen(neuron: NeuronStatus) -> str:
    """How long ago it was heard."""
    return NONE if neuron.state == "absent" else duration(neuron.seen_ms / 1000)


def memory(neuron: NeuronStatus) -> str:
    """What models hold of what they may take."""
    return NONE if neuron.state == "absent" else share(reserved(neuron.models), budget(neuron.device))


def _rows(neuron: NeuronStatus) -> list[tuple[Cell, ...]]:
    first: tuple[Cell, ...] = (
        plain(neuron.node),
        device_name(neuron.device) if neuron.state != "absent" else NONE,
        neuron_state(neuron) if not neuron.drained else words([neuron_state(neuron), word("drained")]),
        seen(neuron),
        memory(neuron),
    )
    if not neuron.models:
        return [(*first, NONE, NONE, NONE, NONE)]
    rows: list[tuple[Cell, ...]] = []
    speed = f"{neuron.tokens_per_s:.1f}"
    for model in neuron.models:
        running = neuron.load.get(model.id, 0)
        load = f"{running}/{model.slots}" if model.slots or running else NONE
        rows.append((*first, plain(model.id), word(model.state), load, speed))
        first, speed = ("", "", "", "", ""), ""
    return rows


def _broker(broker: BrokerStatus) -> tuple[Cell, ...]:
    numbers = (broker.running, broker.waiting, broker.served, broker.owns)
    return (plain(broker.name), word(broker.state), *map(str, numbers))
