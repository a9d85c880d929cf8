"""Units, state words and their colours, and text from the wire made fit for a terminal."""

from __future__ import annotations

from rich.text import Text

from cortex.protocol.sizes import MIB, mib
from cortex.protocol.values import Device, Model

GIB = 2**30
NONE = "-"

GOOD, PASSING, BAD, QUIET = "green", "yellow", "red", "dim"
COLOURS = {
    "hot": GOOD,
    "ready": GOOD,
    "here": GOOD,
    "live": GOOD,
    "serve": GOOD,
    "done": GOOD,
    "active": GOOD,
    "join": PASSING,
    "load": PASSING,
    "wait": PASSING,
    "loading": PASSING,
    "draining": PASSING,
    "drained": PASSING,
    "registered": PASSING,
    "asleep": QUIET,
    "cold": QUIET,
    "expired": QUIET,
    "revoked": QUIET,
    "stalled": BAD,
    "gone": BAD,
    "absent": BAD,
    "failed": BAD,
    "refuse": BAD,
}

RESIDENT = frozenset({"loading", "hot", "draining"})
"""States in which a model's memory is reserved."""


def clean(text: str, *, keep: str = "") -> str:
    """One line without anything that moves a cursor, changes a colour or reorders letters."""
    return "".join(
        sign if sign.isprintable() or sign in keep else " " if sign.isspace() else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )


def plain(text: str) -> Text:
    """Text from the wire as it is, or a dash for nothing."""
    return Text(clean(text) or NONE)


def word(state: str) -> Text:
    """A state, coloured."""
    return Text(clean(state) or NONE, style=COLOURS.get(state, ""))


def words(parts: list[Text], separator: str = ", ") -> Text:
    """Parts side by side, or a dash for none."""
    return Text(separator).join(parts) if parts else Text(NONE)


def size(number: int) -> str:
    """Bytes, in GiB with one decimal; less than 0.1 GiB in MiB."""
    if not number:
        return NONE
    return f"{number / GIB:.1f} GiB" if number >= GIB / 10 else f"{mib(number)} MiB"


def share(used: int, whole: int) -> str:
    """Bytes of bytes, in one unit."""
    if not whole:
        return size(used)
    unit, digits, name = (GIB, 1, "GiB") if whole >= GIB else (MIB, 0, "MiB")
    return f"{used / unit:.{digits}f}/{whole / unit:.{digits}f} {name}"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Two units at most; tenths below ten seconds."""
    if seconds < 9.95:  # what rounds to ten has no tenths
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def device_name(device: Device) -> str:
    return f"{device.kind}-{device.index}"


def budget(device: Device) -> int:
    """Bytes that models may take of a device, as far as is known."""
    return device.budget_bytes or device.memory_bytes


def reserved(models: tuple[Model, ...]) -> int:
    """Bytes that models hold, or are about to, on their device."""
    return sum(model.footprint_bytes for model in models if model.state in RESIDENT)
