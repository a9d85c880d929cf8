"""What can be asked for: one line per model, then the other names."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cortex.broker.ctl.render.grid import Cell, Column, Grid
from cortex.broker.ctl.render.words import NONE, QUIET, clean, duration, plain, size, word, words
from cortex.protocol.messages import CatalogueEntry, Models, ModelStatus, Names

COLUMNS = (
    Column("model"),
    Column("state"),
    Column("where", folds=True),
    Column("replicas", right=True, gives=4),
    Column("run/wait", right=True, gives=6),
    Column("priority", right=True, gives=2),
    Column("pinned", gives=5, spare=True),
    Column("size", right=True, gives=3),
    Column("owner", gives=1, spare=True),
    Column("detail", folds=True, spare=True),
)


def models(report: Models) -> RenderableType:
    """The catalogue with its present state."""
    parts: list[RenderableType] = []
    if report.models:
        parts.append(Grid(COLUMNS, [_row(model) for model in report.models]))
    else:
        parts.append("no models: none is named in models.toml, and no neuron brings one")
    names = _names(report.names)
    return Group(*parts, "", *names) if names else Group(*parts)


def _row(model: ModelStatus) -> tuple[Cell, ...]:
    return (
        plain(model.entry.id),
        word(model.entry.state),
        _where(model.entry),
        str(model.replicas),
        f"{model.running}/{model.waiting}",
        str(model.priority),
        "yes" if model.pinned else NONE,
        size(model.footprint_bytes),
        plain(model.owner),
        _detail(model),
    )


def _where(entry: CatalogueEntry) -> Text:
    """The devices that hold it, or else the hosts that could."""
    held = [
        plain(place).append(" ").append_text(word(state))
        for place, state, _bytes in entry.locations
        if state != "cold"
    ]
    if held:
        return words(held)
    if entry.feasible_on:
        return Text(f"fits {', '.join(map(clean, entry.feasible_on))}", style=QUIET)
    return Text("fits no host", style=QUIET)


def _detail(model: ModelStatus) -> Text:
    parts = []
    if model.entry.state == "loading":
        parts.append(Text(f"{model.percent} %"))
    if model.detail:
        parts.append(plain(model.detail.rstrip(".")))
    if model.retry_ms:
        again = f"tried again in {duration(model.retry_ms / 1000)}, or at once by cortex-ctl load"
        parts.append(Text(f"{again} {clean(model.entry.id)}"))
    return words(parts, "; ")


def _names(names: Names) -> list[Text]:
    lines = []
    width = max((len(clean(name)) for name in names.aliases), default=0)
    for n, (name, model) in enumerate(sorted(names.aliases.items())):
        lines.append(Text(f"{'' if n else 'aliases':<9}{clean(name):<{width}} → {clean(model)}"))
    if names.small:
        lines.append(Text(f"unknown names of small models → {clean(names.small)}"))
    return lines
