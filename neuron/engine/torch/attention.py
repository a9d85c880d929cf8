"""The attention function that unmodified transformers models call in place of their own.

A step's tokens arrive as one row: segments of several sequences one after another. Each segment's keys and values go
into its slot, and each attends to its own slot alone. Which segments there are reaches the function as the keyword
argument `cortex_batch`, which models hand down to their layers; there is no module state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from cortex.neuron.engine.torch.cache import LayerShape, SlotCache

NAME = "cortex_slots"

UNSUPPORTED = MappingProxyType(
    {"softcap": "a softcap", "s_aux": "sinks", "sinks": "sinks", "position_bias": "a bias of positions"}
)
"""Arguments that change the result, which a model may pass and this function does not know; and what they are."""


class AttentionUnsupportedError(Exception):
    """The model asks for an attention that this function does not compute."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`length` tokens at `offset` of the row: positions from `start` on of the sequence in `slot`."""

    slot: int
    start: int
    length: int
    offset: int


class Together:
    """Segments of one token whose slots have one capacity: one attention over their rows serves them all.

    Tensors that every layer needs are made once: indices [n], and per window a mask [n, 1, 1, longest] to be added.
    """

    def __init__(
        self, cache: SlotCache, capacity: int, segments: list[Segment], device: torch.device
    ) -> None:
        segments = sorted(segments, key=lambda one: cache.place(one.slot).row)
        rows = [cache.place(one.slot).row for one in segments]
        self._capacity = capacity
        self._cache = cache
        self._device = device
        self._lengths = [one.start + 1 for one in segments]
        self._longest = max(self._lengths)
        self._all = len(rows) if rows == list(range(len(rows))) else 0
        """The first so many rows are just these, so that they need no gathering."""
        self._rows = torch.tensor(rows, device=device)
        self._positions = torch.tensor([one.start for one in segments], device=device)
        self.offsets = torch.tensor([one.offset for one in segments], device=device)
        self._masks: dict[tuple[int | None, torch.dtype], torch.Tensor] = {}

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
        """[n, head, dim] each to [n, head, dim]."""
        keys, values = self._cache.rows(layer, self._capacity)
        keys[self._rows, :, self._positions] = key
        values[self._rows, :, self._positions] = value
        if self._all:
            keys, values = keys[: self._all, :, : self._longest], values[: self._all, :, : self._longest]
        else:
            keys, values = keys[self._rows, :, : self._longest], values[self._rows, :, : self._longest]
        mask = self._mask(window, query.dtype)
        return _attend(query[:, :, None], keys, values, mask, scaling)[:, :, 0]

    def _mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        mask = self._masks.get((window, dtype))
        if mask is None:
            lengths = torch.tensor(self._lengths, device=self._device)[:, None]
            at = torch.arange(self._longest, device=self._device)[None]
            unseen = at >= lengths if window is None else (at >= lengths) | (at < lengths - window)
            mask = torch.zeros(unseen.shape, dtype=dtype, device=self._device)
            mask = mask.masked_fill_(unseen, -torch.inf)[:, None, None]
            self._masks[window, dtype] = mask
        return mask


class Batch:
    """What one forward works on. Room for all segments must have been reserved."""

    def __init__(self, cache: SlotCache, segments: Sequence[Segment], device: torch.device) -> None:
        self.cache = cache
        single: dict[int, list[Segment]] = {}
        for segment in segments:
            if segment.length == 1:
                single.setdefault(cache.place(segment.slot).capacity, []).append(segment)
        self._together: list[Together] = []
        self._alone = [one for one in segments if one.length > 1]
        for capacity, found in single.items():
            if len(found) > 1:
                self._together.append(Together(cache, capacity, found, device))
            else:
                self._alone += found

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
        answer = value.new_empty(query.shape[2], query.shape[1], value.shape[3])
        for some in self._together:
            here = some.offsets
            each = (
                query[0, :, here].transpose(0, 1),
                key[0, :, here].transpose(0, 1),
                value[0, :, here].transpose(0, 1),
            )
            answer[here] = some.attend(layer, *each, window=window, scaling=scaling)
        for segment in self._alone:
            span = slice(segment.offset, segment.offset + segment.length)
            end = segment.start + segment.length
            self.cache.write(layer, segment.slot, segment.start, key[0, :, span], value[0, :, span])
            # Nothing before the first query's window is seen by any query of the segment.
            first = 0 if window is None else max(0, segment.start + 1 - window)
            keys, values = self.cache.read(layer, segment.slot, first, end)
            mask = _mask(segment.length, segment.start - first, window, query.device)
            found = _attend(query[:, :, span], keys[None], values[None], mask, scaling)
            answer[span] = found[0].transpose(0, 1)
        return answer[None]


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
            raise AttentionUnsupportedError(f"its layer {layer} attends more than once")
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
        raise AttentionUnsupportedError("it does not hand its keyword arguments down to attention")
    wanted = [words for name, words in UNSUPPORTED.items() if options.get(name) is not None]
    if wanted or not getattr(module, "is_causal", True) or options.get("is_causal") is False:
        raise AttentionUnsupportedError(f"its attention wants {', '.join(wanted) or 'to see later tokens'}")
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
    """[n, head, T, dim] to the same; of a single token each, `mask` is to be added."""
    count, heads, length, dim = query.shape
    groups = heads // keys.shape[1]
    if length > 1:
        return scaled_dot_product_attention(
            query, keys, values, attn_mask=mask, scale=scaling, enable_gqa=groups > 1
        )
    # One token: the query heads that share a key head become its queries, and keys need no repeating.
    folded = query.reshape(count, keys.shape[1], groups, dim)
    answer = scaled_dot_product_attention(folded, keys, values, attn_mask=mask, scale=scaling)
    return answer.reshape(count, heads, 1, values.shape[3])


def register() -> None:
    """Make the function known to transformers under `NAME`; the mask that it would build is never needed."""
    AttentionInterface.register(NAME, slot_attention)
    AttentionMaskInterface.register(NAME, _no_mask)


def _no_mask(*_: Any, **__: Any) -> None:
    return None
