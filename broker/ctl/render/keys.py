"""API keys: one line each, and a new one with how it is used. The secret of one that exists is nowhere to be shown."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cortex.broker.ctl.render.grid import Cell, Column, Grid
from cortex.broker.ctl.render.words import NONE, clean, plain, word
from cortex.protocol.keys import KeyEntry, KeyFile

COLUMNS = (
    Column("id"),
    Column("name", folds=True),
    Column("models", folds=True),
    Column("priority", right=True, gives=2),
    Column("created", gives=1),
    Column("expires"),
    Column("state"),
)


def table(known: KeyFile, path: str, now: float, *, there: bool) -> RenderableType:
    """All keys of a file; without a file, what that means."""
    if known.keys:
        place = Text(f"keys in {clean(path)}", no_wrap=True, overflow="ignore")
        return Group(place, Grid(COLUMNS, [_row(entry, now) for entry in known.keys]))
    if there:
        return Text(f"no keys in {clean(path)}: nobody is let in; cortex-ctl keys new NAME makes one")
    return Text(f"no keys: {clean(path)} is not there, and nobody is asked for one")


def _row(entry: KeyEntry, now: float) -> tuple[Cell, ...]:
    return (
        entry.id,
        plain(entry.name),
        Text(", ".join(map(clean, entry.models)) or "all"),
        str(entry.priority),
        _day(entry.created),
        _day(entry.expires),
        word(entry.state(now)),
    )


def _day(moment: str) -> str:
    return clean(moment)[:16].replace("T", " ") or NONE


def made(
    entry: KeyEntry, key: str, path: str, *, address: str, namesakes: tuple[str, ...], first: bool
) -> RenderableType:
    """A new key: the one time that it is shown. `namesakes` are the ids of others of its name that open something."""
    lines = [
        key,
        "",
        f"This is the only time that it is shown; its digest was written to {clean(path)}.",
        f"It may use {', '.join(map(clean, entry.models)) or 'all models'}"
        + (f", until {entry.expires}." if entry.expires else "."),
        "",
        f"  curl -H 'Authorization: Bearer KEY' http://{address}/v1/models",
        f"  OPENAI_API_KEY=KEY OPENAI_BASE_URL=http://{address}/v1",
        f"  ANTHROPIC_AUTH_TOKEN=KEY ANTHROPIC_BASE_URL=http://{address}",
    ]
    if entry.models:
        lines += [
            "",
            "Names are not checked here: the first of these lists the models that it may use, or none.",
        ]
    if namesakes:
        ids = ", ".join(namesakes)
        lines += [
            "",
            f"{clean(entry.name)} has {ids} too; cortex-ctl keys revoke ID ends one that is not needed.",
        ]
    if first:
        lines += ["", "From now on a gateway that reads this file refuses whoever presents no key of it."]
    return Group(*(Text(line, no_wrap=True, overflow="ignore") for line in lines))
