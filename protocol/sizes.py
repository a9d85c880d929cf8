"""Bytes as people read them: one way of rounding, so that the same thing has the same figure wherever it is told."""

from __future__ import annotations

MIB = 2**20


def mib(number: float) -> int:
    """Whole MiB, the nearest; what is there at all is one at least."""
    whole = round(number / MIB)
    return whole if whole or number <= 0 else 1


def short_by(wanted: float, there: float) -> int:
    """MiB that are missing, so that it adds up with both figures as `mib` tells them; one at least."""
    return max(1, mib(wanted) - mib(there))
