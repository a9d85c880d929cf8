"""From shared memory to where a model computes, a piece at a time: whoever is speaking waits for no more than a piece.

Each generator yields, before it takes a piece, up to where the shared memory has to be filled for it. What has been
taken is given back at once, so that a model is never there twice. Knows no request and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from cortex.neuron.engine.torch.arena import Arena
from cortex.neuron.engine.torch.linear import PackedLinear, packing

PIECE = 2**24
"""Bytes that are copied to another device at a time."""


def settle(model: torch.nn.Module, arena: Arena, dtype: torch.dtype, device: torch.device) -> Iterator[int]:
    """Bring a model from an arena to its device; when it ends, the model is ready and all of it is there."""
    yield from _onto_cpu(model, arena, dtype) if device.type == "cpu" else _onto(model, arena, device)
    yield arena.size


def _onto_cpu(model: torch.nn.Module, arena: Arena, dtype: torch.dtype) -> Iterator[int]:
    """Linear layers are packed; everything else computes where it lies."""
    for weight in packing(model, dtype, arena.discard):
        yield arena.end_of(weight)


def _onto(model: torch.nn.Module, arena: Arena, device: torch.device) -> Iterator[int]:
    moved: dict[int, torch.Tensor] = {}
    for module in model.modules():
        own = [
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        ]
        for name, tensor in own:
            if id(tensor) not in moved:
                target = torch.empty_like(tensor, device=device, requires_grad=False)
                yield from _copied(tensor.detach(), target, arena)
                arena.discard(tensor)
                is_weight = isinstance(tensor, torch.nn.Parameter)
                moved[id(tensor)] = torch.nn.Parameter(target, requires_grad=False) if is_weight else target
            setattr(module, name, moved[id(tensor)])


def _copied(source: torch.Tensor, target: torch.Tensor, arena: Arena) -> Iterator[int]:
    rows = max(1, PIECE // max(1, source[:1].numel() * source.itemsize)) if source.dim() else 1
    pieces = zip(source.split(rows), target.split(rows), strict=True) if source.dim() else ((source, target),)
    for some, place in pieces:
        yield arena.end_of(some)
        place.copy_(some)


def taken(model: torch.nn.Module, arena: Arena | None) -> int:
    """Bytes that a model takes of its device, as far as they can be counted: of shared memory the pages in use."""
    packed = sum(one.packed_bytes for one in model.modules() if isinstance(one, PackedLinear))
    if arena is not None:
        return packed + arena.resident
    tensors = {tensor.data_ptr(): tensor for tensor in (*model.parameters(), *model.buffers())}
    return packed + sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())
