"""Keys and values of running sequences: a slot per sequence, grown in steps up to the model's context, within a limit.

Slots of one capacity lie as rows of a slab, per layer [row, kv_head, position, dim], so that sequences of like length
are attended to at once. A model with a long context costs what its conversations use and not what they might.

    slab 256:  [a][b][ ][d]      a row is handed out as zeros; `free` is a heap, so that rows in use lie close together
    slab 1024: [c][ ]            bytes: all rows, in use or not; used: a, b, c and d

`bytes` is exact and never above the limit: where doubling a slab would exceed it, rows are moved together, slabs cut to
what is in use, and one row is added. Tensors are replaced one by one, so that no more than one is there twice. It knows
nothing of requests or of the order of computation.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field

import torch

from cortex.neuron.engine.torch.numbered import Numbered

FIRST = 256
"""Positions of a new slot."""
COARSE = 2048
"""Up to here capacities double; then half-way steps come between, for so much is not left empty lightly."""


class NoRoomError(Exception):
    """There is no memory for another row: within the limit, or of the device itself."""


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
    """The rows of one capacity, per layer. A tensor may have more rows than `rows` after the device had no memory."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    rows: int = 0
    free: list[int] = field(default_factory=list)
    stale: set[int] = field(default_factory=set)
    """Free rows that somebody had."""

    @property
    def bytes(self) -> int:
        return sum(one.nbytes for one in (*self.keys, *self.values))

    def set_rows(self, rows: int) -> None:
        """Its first so many rows count."""
        self.free = sorted([row for row in self.free if row < rows] + list(range(self.rows, rows)))
        self.stale = {row for row in self.stale if row < rows}
        self.rows = rows

    def move(self, source: int, target: int) -> None:
        for stored in (*self.keys, *self.values):
            stored[target] = stored[source]


def position_bytes(layers: tuple[LayerShape, ...], dtype: torch.dtype) -> int:
    """What a position takes in all layers together."""
    return sum(one.heads * (one.key_dim + one.value_dim) for one in layers) * dtype.itemsize


def capacities(context: int) -> tuple[int, ...]:
    """How many positions a slot may have: 256, 512, 1024, 2048, 3072, 4096, 6144, ... and the context."""
    found = []
    size = FIRST
    while size < context:
        found.append(size)
        whole = size & (size - 1) == 0
        size = 2 * size if size < COARSE else size * 3 // 2 if whole else size * 4 // 3
    return (*found, context)


class SlotCache(Numbered):
    """`slots` slots of at most `context` positions each, which never take more than `limit` bytes together."""

    can_be_cut = True
    """Whether the beginning of what was read is of use without the rest."""
    fixed_bytes = 0
    """What a sequence takes however long it is."""

    def __init__(
        self,
        layers: tuple[LayerShape, ...],
        slots: int,
        context: int,
        dtype: torch.dtype,
        device: torch.device,
        *,
        limit: int,
    ) -> None:
        super().__init__(slots)
        self._layers = layers
        self._slot_count = slots
        self._capacities = capacities(context)
        self._dtype = dtype
        self._device = device
        self._places: dict[int, Place] = {}
        self._slabs: dict[int, _Slab] = {}
        self.position_bytes = position_bytes(layers, dtype)
        self.limit = limit
        assert context * self.position_bytes <= limit, "one slot can always have the whole context"

    @property
    def bytes(self) -> int:
        """What is allocated now."""
        return sum(slab.bytes for slab in self._slabs.values())

    @property
    def used(self) -> int:
        """Bytes of the rows that somebody has."""
        return sum(place.capacity for place in self._places.values()) * self.position_bytes

    def capacity(self, length: int) -> int:
        """The least capacity that holds so many positions."""
        return self._capacities[bisect_left(self._capacities, length)]

    def held(self, slot: int) -> int:
        """How many positions a slot has; 0 while it has no memory."""
        place = self._places.get(slot)
        return 0 if place is None else place.capacity

    def drop(self, slot: int) -> None:
        """Give a slot's memory back, and keep the slot."""
        if (place := self._places.pop(slot, None)) is not None:
            self._vacate(place)

    def clean(self, slot: int, start: int, end: int) -> None:
        """Nothing is left from `start` up to `end`: what stands there may be no numbers, which outlive any mask."""
        place = self._places[slot]
        slab = self._slabs[place.capacity]
        for stored in (*slab.keys, *slab.values):
            stored[place.row, :, start:end].zero_()

    def reserve(self, slot: int, length: int) -> None:
        """Make room for `length` positions. Raises `NoRoomError`, and then nothing has changed.

        With one exception, which `held` tells: if the device's memory ends before its limit while a slot grows that
        cannot be there twice, the slot has lost its memory.
        """
        if self.held(slot) >= length:
            return
        capacity = self.capacity(length)
        if self._make_row(capacity):
            # Only now, for making a row may have moved others.
            old = self._places.get(slot)
            new = self._places[slot] = Place(capacity, self._occupy(capacity))
            if old is not None:
                before, after = self._slabs[old.capacity], self._slabs[capacity]
                for source, target in zip(
                    before.keys + before.values, after.keys + after.values, strict=True
                ):
                    target[new.row, :, : old.capacity] = source[old.row]
                self._vacate(old)
        elif slot in self._places:
            self._swap(slot, capacity)
        else:
            raise NoRoomError(self._words(capacity))

    def copy(self, source: int, target: int, length: int) -> bool:
        """Store the first `length` positions of one slot in another, whose room is reserved; False if the first is gone."""
        if source not in self._places:
            return False
        for layer in range(len(self._layers)):
            self.write(layer, target, 0, *self.read(layer, source, 0, length))
        return True

    def place(self, slot: int) -> Place:
        """Where a slot is whose room was reserved; until anything is reserved again."""
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

    # ── rows and slabs ───────────────────────────────────────────────────────────────────────────────────────────

    def _words(self, capacity: int) -> str:
        room = (self.limit - self.used) // max(1, self.position_bytes)
        return f"there is room for {room} positions, and {capacity} are needed"

    def _make_row(self, capacity: int) -> bool:
        """See to a free row of this capacity; False if there cannot be one beside all that somebody has."""
        slab = self._slabs.get(capacity)
        if slab is not None and slab.free:
            return True
        size = capacity * self.position_bytes
        if self.used + size > self.limit:
            return False
        if slab is None:
            slab = self._slabs[capacity] = self._new_slab(capacity)
        double = min(slab.rows, self._slot_count - slab.rows)
        try:
            if double > 1 and self.bytes + double * size <= self.limit:
                with suppress(NoRoomError):
                    self._resize(slab, slab.rows + double)
                    return True
            self._compact(size)
            with suppress(NoRoomError):
                self._add_row(slab, capacity)
                return True
            self._compact(self.limit)
            self._add_row(slab, capacity)
        finally:
            if not slab.rows:
                del self._slabs[capacity]
        return True

    def _add_row(self, slab: _Slab, capacity: int) -> None:
        if self.bytes + capacity * self.position_bytes > self.limit:
            raise NoRoomError("the device has no memory left to move rows together")
        self._resize(slab, slab.rows + 1)

    def _occupy(self, capacity: int) -> int:
        slab = self._slabs[capacity]
        row = heapq.heappop(slab.free)
        if row in slab.stale:
            slab.stale.remove(row)
            for stored in (*slab.keys, *slab.values):
                stored[row].zero_()
        return row

    def _vacate(self, place: Place) -> None:
        slab = self._slabs[place.capacity]
        heapq.heappush(slab.free, place.row)
        slab.stale.add(place.row)
        if len(slab.free) == slab.rows:
            del self._slabs[place.capacity]
        elif (rows := 2 * (max(set(range(slab.rows)) - set(slab.free)) + 1)) <= slab.rows // 2:
            with suppress(NoRoomError):  # there is room for a smaller one as a rule
                self._resize(slab, rows)

    def _compact(self, size: int) -> None:
        """Cut slabs to what is in use, the most wasteful first, until there is room for `size` bytes."""
        waste = {capacity: self._waste(capacity) for capacity in self._slabs}
        for capacity in sorted(waste, key=waste.__getitem__, reverse=True):
            if self.bytes + size <= self.limit or not waste[capacity]:
                return
            if self._slabs[capacity].rows:
                self._tighten(capacity)

    def _waste(self, capacity: int) -> int:
        slab = self._slabs[capacity]
        return slab.bytes - (slab.rows - len(slab.free)) * capacity * self.position_bytes

    def _tighten(self, capacity: int) -> None:
        slab = self._slabs[capacity]
        owners = {place.row: slot for slot, place in self._places.items() if place.capacity == capacity}
        holes = (row for row in sorted(slab.free) if row < len(owners))
        for row in sorted(owners)[::-1]:
            if row < len(owners):
                break
            hole = next(holes)
            slab.move(row, hole)
            self._places[owners[row]] = Place(capacity, hole)
        slab.free = list(range(len(owners), slab.rows))
        slab.stale.clear()
        with suppress(NoRoomError):
            self._resize(slab, len(owners))

    def _swap(self, slot: int, capacity: int) -> None:
        """A slot grows that has no room beside itself: tensor by tensor, each old one gone before the next is made.

        If there is no memory for one of them, what has been moved cannot be moved back: the slot loses its memory.
        """
        self._compact(self.limit)
        old = self._places[slot]
        if self.bytes + (capacity - old.capacity) * self.position_bytes > self.limit:
            raise NoRoomError(self._words(capacity))
        source = self._slabs[old.capacity]
        target = self._slabs.setdefault(capacity, self._new_slab(capacity))
        last, row = source.rows - 1, target.rows
        lost: NoRoomError | None = None
        for before, after in ((source.keys, target.keys), (source.values, target.values)):
            for layer, was in enumerate(before):
                moved = was[old.row]
                try:
                    grown = self._resized(after[layer], row, row + (lost is None))
                    grown[row:, :, : old.capacity] = moved
                    moved.copy_(was[last])
                    before[layer] = self._resized(was, last, last)
                    after[layer] = grown
                except NoRoomError as error:
                    lost = error
                    moved.copy_(was[last])
        del self._places[slot]
        for other, place in self._places.items():
            if place == Place(old.capacity, last):
                self._places[other] = old
        source.set_rows(last)
        if lost is None:
            target.set_rows(row + 1)
            self._places[slot] = Place(capacity, self._occupy(capacity))
        for one in (old.capacity, capacity):
            if not self._slabs[one].rows:
                del self._slabs[one]
        if lost is not None:
            self._compact(self.limit)
            raise lost

    # ── tensors ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _new_slab(self, capacity: int) -> _Slab:
        def none(heads: int, dim: int) -> torch.Tensor:
            return torch.empty(0, heads, capacity, dim, dtype=self._dtype, device=self._device)

        keys = [none(one.heads, one.key_dim) for one in self._layers]
        return _Slab(keys, [none(one.heads, one.value_dim) for one in self._layers])

    def _resize(self, slab: _Slab, rows: int) -> None:
        """Its first rows stay. Raises `NoRoomError`, and then it is used as before, though tensors may be too large."""
        both = min(slab.rows, rows)
        slab.set_rows(both)
        try:
            self._resize_tensors(slab, rows)
        except NoRoomError:
            with suppress(NoRoomError):
                self._resize_tensors(slab, both)
            raise
        slab.set_rows(rows)

    def _resize_tensors(self, slab: _Slab, rows: int) -> None:
        for tensors in (slab.keys, slab.values):
            for layer, old in enumerate(tensors):
                if len(old) == rows:
                    old[slab.rows :].zero_()
                else:
                    tensors[layer] = self._resized(old, min(slab.rows, rows), rows)

    def _resized(self, old: torch.Tensor, both: int, rows: int) -> torch.Tensor:
        """So many rows, the first `both` of which are the old ones. Raises `NoRoomError`."""
        if not rows:
            return old.new_empty(0, *old.shape[1:])
        try:
            new = self._zeros(rows, *old.shape[1:])
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, torch.AcceleratorError):  # the device itself is broken
                raise
            raise NoRoomError("the device has no memory left") from error
        new[:both] = old[:both]
        return new

    def _zeros(self, *shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=self._dtype, device=self._device)
