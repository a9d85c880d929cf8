"""Whose every byte of the device is: an account that is never overdrawn. Pure arithmetic; measures nothing itself.

    reserve ──▶ waiting ──begin──▶ held ──leave──▶ leaving ──gone──▶ (no entry)
                   │ cancel          │ gone           └─lose─▶ lost ──gone──▶
                   ▼                 ▼
               (no entry)        (no entry)

Two sums stay within the budget. *Promised* is what there shall be: waiting, held and lost. *Present* is what there may
be at this moment: held, leaving and lost. So a model has its room from the moment it is placed, while its victims
still have theirs, and its load begins when both are true. `lost` is memory that did not come back in time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from cortex.protocol.sizes import MIB, mib
from cortex.protocol.values import Device

GIB = 2**30


class Stage(StrEnum):
    WAITING = "waiting"
    HELD = "held"
    LEAVING = "leaving"
    LOST = "lost"


PROMISED = frozenset({Stage.WAITING, Stage.HELD, Stage.LOST})
PRESENT = frozenset({Stage.HELD, Stage.LEAVING, Stage.LOST})


@dataclass(slots=True)
class Entry:
    """`bytes` are reserved for a model, of which `used` are taken already, as the engine measured."""

    bytes: int
    used: int = 0
    stage: Stage = Stage.WAITING

    @property
    def unused(self) -> int:
        """What it will still take of the memory that is free now."""
        return self.bytes - self.used if self.stage in {Stage.WAITING, Stage.HELD} else 0

    @property
    def returning(self) -> int:
        """What it will give back."""
        return self.used if self.stage is Stage.LEAVING else 0


class LedgerError(RuntimeError):
    """A bug of ours: an entry that is not in the right stage, or a budget that would be overdrawn."""


class Ledger:
    """`budget` in bytes; one entry per model."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.entries: dict[str, Entry] = {}

    def __repr__(self) -> str:
        held = ", ".join(f"{name} {entry.stage} {entry.bytes}" for name, entry in self.entries.items())
        return f"<Ledger {self.promised} of {self.budget}: {held}>"

    @property
    def promised(self) -> int:
        return sum(entry.bytes for entry in self.entries.values() if entry.stage in PROMISED)

    @property
    def present(self) -> int:
        return sum(entry.bytes for entry in self.entries.values() if entry.stage in PRESENT)

    @property
    def lost(self) -> int:
        return sum(entry.bytes for entry in self.entries.values() if entry.stage is Stage.LOST)

    @property
    def degraded(self) -> str:
        """What was lost, for people; empty if nothing was."""
        names = sorted(name for name, entry in self.entries.items() if entry.stage is Stage.LOST)
        if not names:
            return ""
        return f"degraded: {mib(self.lost)} MiB of {', '.join(names)} did not come back"

    def in_budget(self, victims: Collection[str] = ()) -> int:
        """Bytes of the budget that are nobody's once the victims are gone."""
        spared = sum(self.entries[name].bytes for name in victims if self._promises(name))
        return self.budget - self.promised + spared

    def in_memory(self, measured: int, victims: Collection[str] = ()) -> int:
        """Bytes that will really be free, of `measured` that are free now, once everybody has taken and given back."""
        coming = measured
        for name, entry in self.entries.items():
            if name in victims and entry.stage is Stage.HELD:
                coming += entry.used
            elif name not in victims or entry.stage is not Stage.WAITING:
                coming += entry.returning - entry.unused
        return coming

    def free(self, measured: int) -> int:
        """What another model could be given now, without evicting anything."""
        return max(0, min(self.in_budget(), self.in_memory(measured)))

    def _promises(self, name: str) -> bool:
        entry = self.entries.get(name)
        return entry is not None and entry.stage in {Stage.WAITING, Stage.HELD}

    def reserve(self, model: str, size: int) -> None:
        """Promise `size` bytes to a model that has no entry."""
        if model in self.entries:
            raise LedgerError(f"{model} has an entry already: {self!r}")
        if size > self.in_budget():
            raise LedgerError(f"{size} bytes for {model} would overdraw {self!r}")
        self.entries[model] = Entry(size)

    def is_clear(self, model: str, measured: int) -> bool:
        """Whether the room that a waiting model was promised is there now."""
        entry = self._at(model, Stage.WAITING)
        others = sum(one.unused for one in self.entries.values() if one.stage is Stage.HELD)
        return self.present + entry.bytes <= self.budget and measured - others >= entry.bytes

    def is_short(self, model: str, measured: int) -> bool:
        """Whether all that a waiting model lacks is memory that somebody else has, or that was kept beyond the budget."""
        entry = self._at(model, Stage.WAITING)
        return self.present + entry.bytes <= self.budget and not self.is_clear(model, measured)

    def begin(self, model: str) -> None:
        """The model begins to take its memory."""
        entry = self._at(model, Stage.WAITING)
        if self.present + entry.bytes > self.budget:
            raise LedgerError(f"there is no room yet for {model} in {self!r}")
        entry.stage = Stage.HELD

    def use(self, model: str, size: int) -> bool:
        """It takes `size` bytes by now. More than was reserved is only granted while the budget has it."""
        entry = self._at(model, Stage.HELD)
        if size > entry.bytes:
            more = size - entry.bytes
            if more > min(self.in_budget(), self.budget - self.present):
                return False
            entry.bytes = size
        entry.used = size
        return True

    def weigh(self, model: str, size: int) -> None:
        """So much of what it was promised is taken by now."""
        entry = self._at(model, Stage.HELD, Stage.LEAVING)
        entry.used = min(size, entry.bytes)

    def cancel(self, model: str) -> None:
        """A promise is withdrawn before anything was taken."""
        self._at(model, Stage.WAITING)
        del self.entries[model]

    def leave(self, model: str) -> None:
        """It is going to give its memory back."""
        self._at(model, Stage.HELD).stage = Stage.LEAVING

    def lose(self, model: str) -> None:
        """It should have given its memory back by now. Promises that this breaks must be cancelled before."""
        entry = self._at(model, Stage.LEAVING)
        if entry.bytes > self.in_budget():
            raise LedgerError(f"losing {model} breaks promises: {self!r}")
        entry.stage = Stage.LOST

    def gone(self, model: str) -> None:
        """Its memory is back."""
        self._at(model, Stage.HELD, Stage.LEAVING, Stage.LOST)
        del self.entries[model]

    def _at(self, model: str, *stages: Stage) -> Entry:
        entry = self.entries.get(model)
        if entry is None or entry.stage not in stages:
            raise LedgerError(f"{model} is not {' or '.join(stages)} in {self!r}")
        return entry

    def check(self) -> None:
        """Assert what must always hold."""
        assert 0 <= self.promised <= self.budget, f"overdrawn: {self!r}"
        assert 0 <= self.present <= self.budget, f"more than there is: {self!r}"
        assert all(0 <= entry.used <= entry.bytes for entry in self.entries.values()), f"used: {self!r}"


def asleep_budget_of(memory_bytes: int, devices: int, asleep_mb: int | None) -> int:
    """Bytes of the host's memory in which one device's models may sleep: of a quarter, each device has its share."""
    return memory_bytes // 4 // max(1, devices) if asleep_mb is None else asleep_mb * MIB


def budget_of(device: Device, memory_mb: int) -> int:
    """Bytes that models may take of a device altogether; `memory_mb` 0 leaves it to us.

    The CPU's memory is everybody's: half of it. A GPU keeps a tenth, at least 1 GiB, for what is not accounted for:
    the context, kernels, activations. A simulated device is used up to its last byte.
    """
    memory = device.memory_bytes
    if memory_mb:
        return min(memory_mb * MIB, memory) if memory else memory_mb * MIB
    if device.kind == "cpu":
        return memory // 2
    if device.kind == "cuda":
        return max(0, memory - max(memory // 10, GIB))
    return memory
