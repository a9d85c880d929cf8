"""Keys and values of running sequences: a slot per sequence, grown by doubling up to the model's context.

Slots of one capacity lie as rows of a slab, per layer [row, kv_head, position, dim], so that sequences of like length
are attended to at once. A model with a long context costs what its conversations use and not what they might. `bytes`
is exact. It knows nothing of requests or of the order of computation.
"""

from __future__ import annotations

import heapq
from contextlib import suppress
from dataclasses import dataclass

import torch

FIRST = 256
"""Positions of a new slot."""


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one layer stores per position."""

    heads: int
    key_dim: int
    value_dim: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slot is: a row of the slab of its capacity."""

    capacity: int
    row: int


@dataclass(slots=True)
class _Slab:
    """The rows of one capacity, per layer; `free` is a heap, so that rows in use lie close together."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    rows: int
    free: list[int]


class SlotCache:
    """`slots` slots of at most `context` positions each."""

    def __init__(
        self,
        layers: tuple[LayerShape, ...],
        slots: int,
        context: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._layers = layers
        self._slot_count = slots
        self._context = context
        self._dtype = dtype
        self._device = device
        self._free = list(range(slots - 1, -1, -1))
        self._places: dict[int, Place] = {}
        self._slabs: dict[int, _Slab] = {}
        self.position_bytes = (
            sum(one.heads * (one.key_dim + one.value_dim) for one in layers) * dtype.itemsize
        )

    @property
    def free(self) -> int:
        """How many slots nobody has."""
        return len(self._free)

    @property
    def bytes(self) -> int:
        """What is allocated now."""
        return sum(capacity * slab.rows for capacity, slab in self._slabs.items()) * self.position_bytes

    @property
    def used(self) -> int:
        """Bytes of the rows that somebody has."""
        return sum(place.capacity for place in self._places.values()) * self.position_bytes

    def take(self) -> int:
        """A free slot, with no memory yet."""
        return self._free.pop()

    def release(self, slot: int, *, wipe: bool = False) -> None:
        """Give a slot and its memory back. `wipe`: what it holds may be no numbers, which would outlive any mask."""
        assert slot not in self._free, "a slot is released once"
        place = self._places.pop(slot, None)
        if place is not None:
            slab = self._slabs[place.capacity]
            for stored in (*slab.keys, *slab.values) if wipe else ():
                stored[place.row].zero_()
            self._vacate(place)
        self._free.append(slot)

    def reserve(self, slot: int, length: int) -> None:
        """Make room for `length` positions. Raises what the allocator raises, and then nothing has changed."""
        assert length <= self._context, "admission keeps sequences within the context"
        old = self._places.get(slot)
        if old is not None and old.capacity >= length:
            return
        capacity = old.capacity if old else min(FIRST, self._context)
        while capacity < length:
            capacity = min(2 * capacity, self._context)
        new = self._places[slot] = Place(capacity, self._occupy(capacity))
        if old is not None:
            before, after = self._slabs[old.capacity], self._slabs[capacity]
            for source, target in zip(before.keys + before.values, after.keys + after.values, strict=True):
                target[new.row, :, : old.capacity] = source[old.row]
            self._vacate(old)

    def copy(self, source: int, target: int, length: int) -> bool:
        """Store the first `length` positions of one slot in another, whose room is reserved; False if the first is gone."""
        if source not in self._places:
            return False
        for layer in range(len(self._layers)):
            self.write(layer, target, 0, *self.read(layer, source, 0, length))
        return True

    def place(self, slot: int) -> Place:
        """Where a slot is whose room was reserved; until it is reserved again."""
        return self._places[slot]

    def write(self, layer: int, slot: int, start: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Store [kv_head, n, dim] from position `start` on."""
        place = self._places[slot]
        slab = self._slabs[place.capacity]
        end = start + keys.shape[1]
        slab.keys[layer][place.row, :, start:end] = keys
        slab.values[layer][place.row, :, start:end] = values

    def read(self, layer: int, slot: int, start: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Views of the positions from `start` up to `end`."""
        place = self._places[slot]
        slab = self._slabs[place.capacity]
        return slab.keys[layer][place.row, :, start:end], slab.values[layer][place.row, :, start:end]

    def rows(self, layer: int, capacity: int) -> tuple[torch.Tensor, torch.Tensor]:
        """All rows of a capacity: what lies beyond a sequence's length is some number, and never NaN."""
        slab = self._slabs[capacity]
        return slab.keys[layer], slab.values[layer]

    def _occupy(self, capacity: int) -> int:
        slab = self._slabs.get(capacity)
        if slab is None:
            slab = self._slabs[capacity] = self._resized(None, capacity, 1)
        elif not slab.free:
            slab = self._slabs[capacity] = self._resized(slab, capacity, min(2 * slab.rows, self._slot_count))
        return heapq.heappop(slab.free)

    def _vacate(self, place: Place) -> None:
        slab = self._slabs[place.capacity]
        heapq.heappush(slab.free, place.row)
        if len(slab.free) == slab.rows:
            del self._slabs[place.capacity]
        elif (rows := 2 * (max(set(range(slab.rows)) - set(slab.free)) + 1)) <= slab.rows // 2:
            with suppress(MemoryError, RuntimeError):  # there is room for a smaller one as a rule
                self._slabs[place.capacity] = self._resized(slab, place.capacity, rows)

    def _resized(self, old: _Slab | None, capacity: int, rows: int) -> _Slab:
        """A slab of so many rows with what the old one holds, or an error and the old one as it was."""
        keys = [self._zeros(rows, one.heads, capacity, one.key_dim) for one in self._layers]
        values = [self._zeros(rows, one.heads, capacity, one.value_dim) for one in self._layers]
        if old is None:
            return _Slab(keys, values, rows, list(range(rows)))
        both = min(old.rows, rows)
        for source, target in zip(old.keys + old.values, keys + values, strict=True):
            target[:both] = source[:both]
        free = sorted([row for row in old.free if row < rows] + list(range(old.rows, rows)))
        return _Slab(keys, values, rows, free)

    def _zeros(self, rows: int, heads: int, capacity: int, dim: int) -> torch.Tensor:
        return torch.zeros(rows, heads, capacity, dim, dtype=self._dtype, device=self._device)
