"""Linear layers whose weights lie as the CPU's kernels want them, in place of those of the model.

oneDNN multiplies by a weight in its own blocked order 1.3 to 4 times as fast as by one in rows while few tokens come at
a time, which is what decoding is (figures in docs/benchmarks.md). Its ops are private to torch: `can_pack` tries them on a
small weight first, and leaves the model as it is where they are missing. A GPU needs none of this.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
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
BLOCK = 2**24
"""Items that are packed at a time: larger weights lie in several blocks, which costs a few percent of a step, so that
whoever speaks while a model loads waits for milliseconds."""
FEW = 4
"""Tokens below which a bfloat16 weight is multiplied as it is on a CPU that cannot do so; more pay for the detour."""


class PackedLinear(torch.nn.Module):
    """[..., inputs] to [..., outputs], by blocks of outputs. `rows` is the weight as it was, where it is kept."""

    def __init__(
        self, blocks: list[torch.Tensor], bias: torch.Tensor | None, rows: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        biases = [None] * len(blocks) if bias is None else bias.split([len(block) for block in blocks])
        self._blocks = list(zip(blocks, biases, strict=True))
        self._bias = bias
        self._rows = rows

    @property
    def packed_bytes(self) -> int:
        """What the packed form takes."""
        return sum(block.numel() * block.itemsize for block, _ in self._blocks)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        if self._rows is not None and given.numel() == given.shape[-1]:
            return linear(given, self._rows, self._bias)
        made: list[torch.Tensor] = [
            mkldnn._linear_pointwise(given, block, bias, "none", [], "") for block, bias in self._blocks
        ]
        return made[0] if len(made) == 1 else torch.cat(made, -1)


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
            found = PackedLinear([mkldnn._reorder_linear_weight(weight, None)], bias)(given)
        return torch.allclose(found.float(), linear(given, weight, bias).float(), atol=0.1)
    except (AttributeError, RuntimeError, TypeError) as error:
        log.warning("linear layers are not packed: %s", error)
        return False


def packing(
    model: torch.nn.Module, dtype: torch.dtype, discard: Callable[[torch.Tensor], None]
) -> Iterator[torch.Tensor]:
    """Put faster layers in place of a CPU model's linear ones; yields each piece of a weight before it is read.

    `discard` is told of each weight that nobody will read again, so that a model is never there twice. One that is
    shared with the embedding is kept, and so is a small one.
    """
    packs, widens = can_pack(dtype), dtype == torch.bfloat16 and not is_fast(dtype)
    if not packs and not widens:
        return
    shared = {id(one.weight) for one in model.modules() if isinstance(one, torch.nn.Embedding)}
    for parent, name in list(_linears(model)):
        layer = getattr(parent, name)
        weight = layer.weight.detach()
        bias = None if layer.bias is None else layer.bias.detach()
        if widens and not packs:
            setattr(parent, name, WideningLinear(weight, bias))
            continue
        blocks = []
        for some in weight.split(max(1, BLOCK // weight.shape[1])):
            yield some
            blocks.append(mkldnn._reorder_linear_weight(some, None))
        setattr(parent, name, PackedLinear(blocks, bias, weight if is_kept(weight.numel()) else None))
        if not is_kept(weight.numel()) and id(layer.weight) not in shared:
            discard(weight)


def _linears(model: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str]]:
    """Where plain linear layers hang that are worth it; what is derived from them may compute something else."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if type(child) is torch.nn.Linear and child.weight.dim() == 2 and child.weight.numel() >= TINY:
                yield parent, name
