"""One model's forward over a flat batch, and the slots that it writes to. Knows sequences; knows no request."""

from __future__ import annotations

import torch

from cortex.neuron.engine.torch import scheduler
from cortex.neuron.engine.torch.attention import Batch, Segment
from cortex.neuron.engine.torch.cache import SlotCache
from cortex.neuron.engine.torch.loader import Loaded
from cortex.neuron.engine.torch.scheduler import Span


class Runner:
    """`cache`, of at most `limit` bytes, belongs to it; who may have a slot is decided elsewhere."""

    def __init__(self, loaded: Loaded, slots: int, limit: int) -> None:
        self._model = loaded.model
        self._device = loaded.device
        self.cache = SlotCache(loaded.layers, slots, loaded.context, loaded.dtype, loaded.device, limit=limit)

    def longest(self, computed: int) -> int:
        """How many positions of a prompt may be read at once when so many have been."""
        return scheduler.longest(computed)

    def forward(self, spans: list[Span]) -> torch.Tensor:
        """Read all spans at once; answers a row of logits for each that samples, then those of rated prompts.

        Room must be reserved.
        """
        tokens: list[int] = []
        positions: list[int] = []
        segments: list[Segment] = []
        sampling: list[int] = []
        rated: list[int] = []
        for span in spans:
            start = span.sequence.computed
            segments.append(Segment(span.sequence.slot, start, span.length, len(tokens)))
            tokens += span.tokens
            positions += range(start, start + span.length)
            if span.samples:
                sampling.append(len(tokens) - 1)
            if span.sequence.rates:
                first = len(tokens) - span.length - start
                rated += [first + position for position in span.wanted]
        answer = self._model(
            input_ids=self._row(tokens)[None],
            position_ids=self._row(positions)[None],
            logits_to_keep=self._row(sampling + rated),
            use_cache=False,
            cortex_batch=Batch(self.cache, segments, self._device),
        )
        logits: torch.Tensor = answer.logits[0]
        return logits

    def _row(self, values: list[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)
