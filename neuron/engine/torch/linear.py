"""Linear layers whose weights lie as the CPU's kernels want them, in place of those of the model.

oneDNN multiplies by a weight in its own blocked order 1.3 to 4 times as fast as by one in rows while few tokens come at
a time, which is what decoding is (figures in docs/benchmarks.md). Its ops are private to torch: `pack` tries them on a
small weight first, and leaves the model as it is where they are missing. A GPU needs none of this.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache

import torch
from torch.nn.functional import linear

log = logging.getLogger("cortex.engine")
mkldnn = torch.ops.mkldnn
"""Looked up by name when used, so that a torch without one of them is found out by `can_pack`."""

TINY = 2**17
"""Items of a weight below which calling oneDNN costs more than it saves."""
SMALL = 2**19
"""Items below which that is so for a single token, so that the rows are kept as well."""
FEW = 4
"""Tokens below which a bfloat16 weight is multiplied as it is on a CPU that cannot do so; more pay for the detour."""


class PackedLinear(torch.nn.Module):
    """[..., inputs] to [..., outputs]. `weight` is [outputs, inputs] and not kept, unless it is small."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self._packed = mkldnn._reorder_linear_weight(weight, None)
        self._bias = bias
        self._rows = weight if is_kept(weight.numel()) else None

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        if self._rows is not None and given.numel() == given.shape[-1]:
            return linear(given, self._rows, self._bias)
        made: torch.Tensor = mkldnn._linear_pointwise(given, self._packed, self._bias, "none", [], "")
        return made


class WideningLinear(torch.nn.Module):
    """bfloat16 weights on a CPU without instructions for them: several tokens are multiplied in float32.

    Turning the weight into float32 costs one pass over it; multiplying bfloat16 by bfloat16 there costs one per token.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weight, requires_grad=False)
        self._bias = bias

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        if given.numel() < FEW * given.shape[-1]:
            return linear(given, self.weight, self._bias)
        bias = None if self._bias is None else self._bias.float()
        return linear(given.float(), self.weight.float(), bias).to(given.dtype)


def is_kept(items: int) -> bool:
    """Whether a weight of so many items is there twice once it is packed."""
    return TINY <= items < SMALL


@cache
def is_fast(dtype: torch.dtype) -> bool:
    """Whether this CPU has instructions for a number format, as far as oneDNN can use them."""
    if dtype == torch.float32:
        return True
    try:
        if dtype == torch.bfloat16:
            return bool(mkldnn._is_mkldnn_bf16_supported())
        return bool(mkldnn._is_mkldnn_fp16_supported())
    except (AttributeError, RuntimeError):
        return False


@cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether torch has the ops, and they give here what a linear layer gives."""
    if not is_fast(dtype):
        return False
    weight = torch.linspace(-1, 1, 48 * 32).reshape(48, 32).to(dtype)
    bias = torch.linspace(-1, 1, 48).to(dtype)
    given = torch.linspace(-1, 1, 3 * 32).reshape(1, 3, 32).to(dtype)
    try:
        with torch.inference_mode():
            found = PackedLinear(weight, bias)(given)
        return torch.allclose(found.float(), linear(given, weight, bias).float(), atol=0.1)
    except (AttributeError, RuntimeError, TypeError) as error:
        log.warning("linear layers are not packed: %s", error)
        return False


def pack(model: torch.nn.Module, dtype: torch.dtype) -> int:
    """Put faster layers in place of a CPU model's linear ones; answers the bytes that it takes more than before.

    A layer's own weight is let go of as soon as it is packed, so that a model is never there twice. One that is shared
    with the embedding has to stay where it is.
    """
    packs, widens = can_pack(dtype), dtype == torch.bfloat16 and not is_fast(dtype)
    if not packs and not widens:
        return 0
    shared = {id(one.weight) for one in model.modules() if isinstance(one, torch.nn.Embedding)}
    return sum(_replace(parent, name, shared, packs=packs) for parent, name in list(_linears(model)))


def _replace(parent: torch.nn.Module, name: str, shared: set[int], *, packs: bool) -> int:
    layer = getattr(parent, name)
    weight = layer.weight.detach()
    bias = None if layer.bias is None else layer.bias.detach()
    setattr(parent, name, PackedLinear(weight, bias) if packs else WideningLinear(weight, bias))
    stays = packs and (is_kept(weight.numel()) or id(layer.weight) in shared)
    return weight.numel() * weight.itemsize if stays else 0


def _linears(model: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str]]:
    """Where plain linear layers hang that are worth it; what is derived from them may compute something else."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if type(child) is torch.nn.Linear and child.weight.dim() == 2 and child.weight.numel() >= TINY:
                yield parent, name
