"""Keys and values of running sequences: a slot per sequence, per layer [kv_head, position, dim].

A slot grows by doubling up to the model's context, so that a model with a long context costs what its conversations
use and not what they might. `bytes` is exact. It knows nothing of requests or of the order of computation.
"""

from __future__ import annotations

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
class _Slot:
    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
    capacity: int


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
        self._context = context
        self._dtype = dtype
        self._device = device
        self._free = list(range(slots - 1, -1, -1))
        self._slots: dict[int, _Slot] = {}
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
        return sum(slot.capacity for slot in self._slots.values()) * self.position_bytes

    def take(self) -> int:
        """A free slot, with no memory yet."""
        return self._free.pop()

    def release(self, slot: int) -> None:
        """Give a slot and its memory back."""
        assert slot not in self._free, "a slot is released once"
        self._slots.pop(slot, None)
        self._free.append(slot)

    def reserve(self, slot: int, length: int) -> None:
        """Make room for `length` positions. Raises what the allocator raises, and then nothing has changed."""
        assert length <= self._context, "admission keeps sequences within the context"
        held = self._slots.get(slot)
        if held is not None and held.capacity >= length:
            return
        capacity = held.capacity if held else min(FIRST, self._context)
        while capacity < length:
            capacity = min(2 * capacity, self._context)
        keys = tuple(self._grown(one.heads, capacity, one.key_dim) for one in self._layers)
        values = tuple(self._grown(one.heads, capacity, one.value_dim) for one in self._layers)
        if held:
            for old, new in zip(held.keys + held.values, keys + values, strict=True):
                new[:, : held.capacity] = old
        self._slots[slot] = _Slot(keys, values, capacity)

    def write(self, layer: int, slot: int, start: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Store [kv_head, n, dim] from position `start` on."""
        held = self._slots[slot]
        end = start + keys.shape[1]
        held.keys[layer][:, start:end] = keys
        held.values[layer][:, start:end] = values

    def read(self, layer: int, slot: int, start: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Views of the positions from `start` up to `end`."""
        held = self._slots[slot]
        return held.keys[layer][:, start:end], held.values[layer][:, start:end]

    def _grown(self, heads: int, capacity: int, dim: int) -> torch.Tensor:
        return torch.empty(heads, capacity, dim, dtype=self._dtype, device=self._device)
