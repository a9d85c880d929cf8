"""Status as a table for people. The words are the broker's own; colours only where the terminal has them."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cortex.protocol.messages import NeuronStatus, Status

COLOURS = {
    "ready": "green",
    "hot": "green",
    "registered": "yellow",
    "loading": "yellow",
    "stalled": "red",
    "gone": "red",
    "absent": "red",
    "failed": "red",
}
GIB = 2**30


def status(report: Status) -> RenderableType:
    """The whole report: a headline, then a line per model on each device."""
    head = (
        f"broker {report.broker} {report.version}, up {_duration(report.uptime_s)} · "
        f"{_count(report.edges, 'edge worker')} · {report.running} running, {report.waiting} waiting, "
        f"{report.served} served"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("node", "device", "state", "seen", "memory", "model", "model state", "load", "tok/s"):
        table.add_column(name, justify="right" if name in {"load", "tok/s", "seen", "memory"} else "left")
    for neuron in report.neurons:
        for row in _rows(neuron):
            table.add_row(*row)
    if not report.neurons:
        return Group(head, "", "no neuron has joined yet")
    return Group(head, "", table)


def _rows(neuron: NeuronStatus) -> list[tuple[RenderableType, ...]]:
    device = f"{neuron.device.kind}-{neuron.device.index}" if neuron.state != "absent" else "-"
    memory = f"{neuron.device.memory_bytes / GIB:.0f} GiB" if neuron.device.memory_bytes else "-"
    seen = "-" if neuron.state == "absent" else f"{neuron.seen_ms / 1000:.1f} s"
    state = _coloured(neuron.state)
    if neuron.state == "registered" and neuron.phase in {"starting", "loading"}:
        state.append(f" ({neuron.detail or neuron.phase})")
    first: tuple[RenderableType, ...] = (neuron.node, device, state, seen, memory)
    if not neuron.models:
        return [(*first, "-", "-", "-", "-")]
    rows: list[tuple[RenderableType, ...]] = []
    for model in neuron.models:
        load = f"{neuron.load.get(model.id, 0)}/{model.slots}"
        rows.append((*first, model.id, _coloured(model.state), load, f"{neuron.tokens_per_s:.1f}"))
        first = ("", "", "", "", "")
    return rows


def _coloured(word: str) -> Text:
    return Text(word, style=COLOURS.get(word, ""))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
