"""From shared memory to where a model computes, a piece at a time: whoever is speaking waits for no more than a piece.

Each generator yields, before it takes a piece, up to where the shared memory has to be filled for it. What has been
taken is given back at once, so that a model is never there twice. Knows no request and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from cortex.neuron.engine.torch.arena import Arena, arrange
from cortex.neuron.engine.torch.linear import PackedLinear, packing

PIECE = 2**24
"""Bytes that are copied to another device at a time."""


def settle(
    model: torch.nn.Module, arena: Arena, dtype: torch.dtype, device: torch.device, *, packs: bool = True
) -> Iterator[int]:
    """Bring a model from an arena to its device; when it ends, the model is ready and all of it is there.

    `packs`: whether a CPU's linear layers may be replaced; some models reach into theirs.
    """
    if device.type != "cpu":
        yield from _onto(model, arena, device)
    elif packs:
        yield from _onto_cpu(model, arena, dtype)
    yield arena.size


def _onto_cpu(model: torch.nn.Module, arena: Arena, dtype: torch.dtype) -> Iterator[int]:
    """Linear layers are packed; everything else computes where it lies."""
    for weight in packing(model, dtype, arena.discard):
        yield arena.end_of(weight)


def _onto(model: torch.nn.Module, arena: Arena, device: torch.device) -> Iterator[int]:
    def target(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(tensor, device=device, requires_grad=False)

    for some in _replacing(model, target, arena.discard):
        yield arena.end_of(some)


def _replacing(
    model: torch.nn.Module,
    target: Callable[[torch.Tensor], torch.Tensor],
    done: Callable[[torch.Tensor], None] = lambda _: None,
) -> Iterator[torch.Tensor]:
    """Copy each tensor of a model to its target, which takes its place; yields each piece before it is copied."""
    moved: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for name, tensor in _owned(module):
            if id(tensor) not in moved:
                place = target(tensor)
                for some, part in _pieces(tensor.detach(), place):
                    yield some
                    part.copy_(some)
                done(tensor)
                moved[id(tensor)] = _like(tensor, place)
            setattr(module, name, moved[id(tensor)])


def _owned(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """A module's own parameters and buffers, shared ones wherever they are shared."""
    return [
        *module.named_parameters(recurse=False, remove_duplicate=False),
        *module.named_buffers(recurse=False, remove_duplicate=False),
    ]


def _like(tensor: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """A parameter in place of a parameter."""
    is_weight = isinstance(tensor, torch.nn.Parameter)
    return torch.nn.Parameter(values, requires_grad=False) if is_weight else values


def _pieces(source: torch.Tensor, target: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Both in rows, about `PIECE` bytes of them at a time."""
    if not source.dim():
        yield source, target
        return
    rows = max(1, PIECE // max(1, source[:1].numel() * source.itemsize))
    yield from zip(source.split(rows), target.split(rows), strict=True)


def lay_down(model: torch.nn.Module) -> tuple[Arena, Iterator[object]]:
    """Memory of the host for a model's weights, and what brings them there, a piece with each turn. Raises OSError."""
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    places = arrange(list(tensors.values()))
    arena = Arena.create(places[-1].end if places else 0)
    where = dict(zip(tensors, places, strict=True))
    return arena, _replacing(model, lambda tensor: arena.tensor(where[id(tensor)]))


def taken(model: torch.nn.Module, arena: Arena | None) -> int:
    """Bytes that a model takes of its device, as far as they can be counted: of shared memory the pages in use."""
    packed = sum(one.packed_bytes for one in model.modules() if isinstance(one, PackedLinear))
    if arena is not None:
        return packed + arena.resident
    tensors = {tensor.data_ptr(): tensor for tensor in (*model.parameters(), *model.buffers())}
    return packed + sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())
