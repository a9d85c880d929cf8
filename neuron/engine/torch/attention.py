"""The attention function that unmodified transformers models call in place of their own.

A step's tokens arrive as one row: segments of several sequences one after another. Each segment's keys and values go
into its slot, and each attends to its own slot alone. Which segments there are reaches the function as the keyword
argument `cortex_batch`, which models hand down to their layers; there is no module state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from cortex.neuron.engine.torch.cache import LayerShape, SlotCache

NAME = "cortex_slots"

UNSUPPORTED = ("softcap", "s_aux", "position_bias", "sinks")
"""Arguments that change the result, which a model may pass and this function does not know."""


class AttentionUnsupportedError(Exception):
    """The model asks for an attention that this function does not compute."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`length` tokens at `offset` of the row: positions from `start` on of the sequence in `slot`."""

    slot: int
    start: int
    length: int
    offset: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward works on."""

    cache: SlotCache
    segments: tuple[Segment, ...]

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        window: int | None,
        scaling: float | None,
    ) -> torch.Tensor:
        """[1, head, T, dim] to [1, T, head, dim], through the slots."""
        parts = []
        for segment in self.segments:
            here = slice(segment.offset, segment.offset + segment.length)
            end = segment.start + segment.length
            self.cache.write(layer, segment.slot, segment.start, key[0, :, here], value[0, :, here])
            # Nothing before the first query's window is seen by any query of the segment.
            first = 0 if window is None else max(0, segment.start + 1 - window)
            keys, values = self.cache.read(layer, segment.slot, first, end)
            mask = _mask(segment.length, segment.start - first, window, query.device)
            parts.append(_attend(query[:, :, here], keys[None], values[None], mask, scaling))
        return torch.cat(parts, dim=2).transpose(1, 2)


@dataclass(slots=True)
class Probe:
    """Stands in for a batch in the forward at load: a plain causal answer, and a note of what each layer stores."""

    layers: dict[int, LayerShape] = field(default_factory=dict)
    windowed: set[int] = field(default_factory=set)
    """Layers that see a limited number of positions back."""

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        window: int | None,
        scaling: float | None,
    ) -> torch.Tensor:
        if layer in self.layers:
            raise AttentionUnsupportedError(f"layer {layer} attends more than once")
        self.layers[layer] = LayerShape(key.shape[1], key.shape[3], value.shape[3])
        if window is not None:
            self.windowed.add(layer)
        mask = _mask(query.shape[2], 0, window, query.device)
        return _attend(query, key, value, mask, scaling).transpose(1, 2)


def slot_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001  (the interface's place for it; the mask is ours)
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    cortex_batch: Batch | Probe | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers' `AttentionInterface` calls it."""
    layer = getattr(module, "layer_idx", None)
    if cortex_batch is None or layer is None:
        raise AttentionUnsupportedError("the model does not hand its keyword arguments down to attention")
    wanted = [name for name in UNSUPPORTED if options.get(name) is not None]
    if wanted or not getattr(module, "is_causal", True) or options.get("is_causal") is False:
        raise AttentionUnsupportedError(f"the model wants {', '.join(wanted) or 'attention to later tokens'}")
    return cortex_batch.attend(layer, query, key, value, window=sliding_window, scaling=scaling), None


def _mask(queries: int, before: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Which of `before + queries` keys the last `queries` positions see; None if each sees all."""
    if queries == 1:
        return None
    ones = torch.ones(queries, before + queries, dtype=torch.bool, device=device)
    seen = ones.tril(before)
    return seen if window is None else seen.triu(before + 1 - window)


def _attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    heads, length = query.shape[1], query.shape[2]
    groups = heads // keys.shape[1]
    if length > 1:
        return scaled_dot_product_attention(
            query, keys, values, attn_mask=mask, scale=scaling, enable_gqa=groups > 1
        )
    # One token: the query heads that share a key head become its queries, and keys need no repeating.
    folded = query.reshape(1, keys.shape[1], groups, query.shape[3])
    answer = scaled_dot_product_attention(folded, keys, values, scale=scaling)
    return answer.reshape(1, heads, 1, values.shape[3])


def register() -> None:
    """Make the function known to transformers under `NAME`; the mask that it would build is never needed."""
    AttentionInterface.register(NAME, slot_attention)
    AttentionMaskInterface.register(NAME, _no_mask)


def _no_mask(*_: Any, **__: Any) -> None:
    return None
