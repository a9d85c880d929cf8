"""One line per device: what it has, what it holds and what it does."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from cortex.broker.ctl.render.grid import Cell, Column, Grid
from cortex.broker.ctl.render.status import NOBODY, memory, neuron_state, seen
from cortex.broker.ctl.render.words import (
    NONE,
    RESIDENT,
    device_name,
    plain,
    size,
    word,
    words,
)
from cortex.protocol.messages import NeuronStatus, Status
from cortex.protocol.values import Model

COLUMNS = (
    Column("node"),
    Column("device"),
    Column("state", folds=True),
    Column("memory", right=True, gives=6),
    Column("free", right=True, gives=5),
    Column("models", folds=True),
    Column("load", right=True),
    Column("tok/s", right=True, gives=3),
    Column("drained", gives=4, spare=True),
    Column("cycles", right=True, gives=1),
    Column("seen", right=True, gives=2),
)


def neurons(report: Status) -> RenderableType:
    """The devices of a fleet, those that are missing too."""
    if not report.neurons:
        return NOBODY
    return Grid(COLUMNS, [_row(neuron) for neuron in report.neurons])


def _row(neuron: NeuronStatus) -> tuple[Cell, ...]:
    if neuron.state == "absent":
        return (plain(neuron.node), NONE, word("absent"), *[NONE] * (len(COLUMNS) - 3))
    device = neuron.device
    slots = sum(model.slots for model in neuron.models if model.state in {"hot", "draining"})
    return (
        plain(neuron.node),
        device_name(device),
        neuron_state(neuron),
        memory(neuron),
        size(device.free_bytes),
        _held(neuron.models),
        f"{sum(neuron.load.values())}/{slots}",
        f"{neuron.tokens_per_s:.1f}",
        word("drained") if neuron.drained else NONE,
        str(neuron.cycles),
        seen(neuron),
    )


def _held(models: tuple[Model, ...]) -> Text:
    """What has memory here, its state where that is not simply hot; of the others those that are not simply cold."""
    parts = []
    for model in sorted(models, key=lambda model: model.state not in RESIDENT):
        if model.state == "cold":
            continue
        part = plain(model.id)
        if model.pinned:
            part.append(" pinned")
        if model.state != "hot":
            part.append(" ").append_text(word(model.state))
        parts.append(part)
    cold = sum(model.state == "cold" for model in models)
    if cold:
        parts.append(Text(f"{cold} cold", style="dim"))
    return words(parts)
