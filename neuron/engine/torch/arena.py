"""Memory that two processes share, and tensors that lie in it: how a model gets from the one that reads to the other.

A model travels as a pickle of its modules in which every tensor is a number, and a table of where the tensors lie. The
receiver's tensors are views of the shared memory, which lives as long as any of them; what is no longer needed of it
is given back page by page. Knows no file of a model and no device.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle  # noqa: TID251  (between this process and its own fork, through a pair of sockets that nobody else has)
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

PAGE = mmap.PAGESIZE
LINE = 64
"""What small tensors are aligned to, in bytes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor of so many items lies, contiguous."""

    start: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    is_parameter: bool

    @property
    def end(self) -> int:
        return self.start + prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Parcel:
    """A packed model: its modules without tensors, where these lie, and how large the memory has to be."""

    modules: bytes
    places: tuple[Place, ...]
    bytes: int


class Arena:
    """`size` bytes of shared memory behind a file descriptor, which it takes over and closes in the end."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, max(size, 1))
        self._base = torch.frombuffer(self._map, dtype=torch.uint8).data_ptr()
        self.size = size

    def __del__(self) -> None:
        os.close(self.descriptor)

    @classmethod
    def create(cls, size: int) -> Arena:
        """New memory, which takes none until it is written to. Raises OSError."""
        descriptor = os.memfd_create("cortex-weights")
        os.ftruncate(descriptor, max(size, 1))
        return cls(descriptor, size)

    @property
    def resident(self) -> int:
        """Bytes that are really taken, as the kernel counts them."""
        return 512 * os.fstat(self.descriptor).st_blocks

    def tensor(self, place: Place) -> torch.Tensor:
        """The tensor at a place: a view."""
        if not prod(place.shape):
            return torch.empty(place.shape, dtype=place.dtype)
        flat = torch.frombuffer(self._map, dtype=place.dtype, count=prod(place.shape), offset=place.start)
        return flat.view(place.shape)

    def end_of(self, tensor: torch.Tensor) -> int:
        """Up to where a view reaches; 0 for a tensor that lies elsewhere."""
        start = tensor.data_ptr() - self._base
        return start + tensor.numel() * tensor.itemsize if 0 <= start < self.size else 0

    def discard(self, tensor: torch.Tensor) -> None:
        """Give back the pages that a view has to itself. Nobody may read it any more."""
        end = self.end_of(tensor)
        start = end - tensor.numel() * tensor.itemsize
        first, last = -(-start // PAGE) * PAGE, end // PAGE * PAGE
        if end and last > first:
            self._map.madvise(mmap.MADV_REMOVE, first, last - first)


class _Packer(pickle.Pickler):
    """Writes a number in place of each tensor."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.tensors: list[torch.Tensor] = []
        self._numbers: dict[int, int] = {}

    def persistent_id(self, obj: Any) -> int | None:
        if not isinstance(obj, torch.Tensor):
            return None
        if id(obj) not in self._numbers:
            self._numbers[id(obj)] = len(self.tensors)
            self.tensors.append(obj)
        return self._numbers[id(obj)]


class _Unpacker(pickle.Unpickler):
    """Finds each tensor in an arena; who shared one shares it again."""

    def __init__(self, parcel: Parcel, arena: Arena) -> None:
        super().__init__(io.BytesIO(parcel.modules))
        self._parcel = parcel
        self._arena = arena
        self._found: dict[int, torch.Tensor] = {}

    def persistent_load(self, number: int) -> torch.Tensor:
        found = self._found.get(number)
        if found is None:
            place = self._parcel.places[number]
            found = self._arena.tensor(place)
            if place.is_parameter:
                found = torch.nn.Parameter(found, requires_grad=False)
            self._found[number] = found
        return found


def pack(model: torch.nn.Module) -> tuple[Parcel, list[torch.Tensor]]:
    """A model as it travels, and the tensors in the order of their places. Raises what pickling raises."""
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(model)
    places = arrange(packer.tensors)
    return Parcel(file.getvalue(), places, places[-1].end if places else 0), packer.tensors


def arrange(tensors: list[torch.Tensor]) -> tuple[Place, ...]:
    """A place for each, one after the other; large ones have their pages to themselves."""
    places: list[Place] = []
    end = 0
    for tensor in tensors:
        size = tensor.numel() * tensor.itemsize
        unit = PAGE if size >= PAGE else LINE
        start = -(-end // unit) * unit
        is_parameter = isinstance(tensor, torch.nn.Parameter)
        places.append(Place(start, tensor.dtype, tuple(tensor.shape), is_parameter))
        end = start + size
    return tuple(places)


def fill(arena: Arena, parcel: Parcel, tensors: list[torch.Tensor], tell: Callable[[int], None]) -> None:
    """Copy the tensors to their places and let go of each; `tell` hears up to where everything is there."""
    for number, place in enumerate(parcel.places):
        source = tensors[number].detach()
        arena.tensor(place).copy_(source)
        tensors[number].data = source.new_empty(0)
        tell(place.end)


def unpack(parcel: Parcel, arena: Arena) -> Any:
    """The model again. What has not been filled in yet appears in its tensors by itself."""
    return _Unpacker(parcel, arena).load()
