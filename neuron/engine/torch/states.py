"""The runner of models that read one sequence at a time, and what these have read.

It stands where `Runner` and `SlotCache` stand for others. A state cannot be cut or shared: what ended is given back at
once, and nothing of it is of use to the next prompt. Knows sequences; knows no request.
"""

from __future__ import annotations

from typing import Any

import torch

from cortex.neuron.engine.torch import scheduler
from cortex.neuron.engine.torch.cache import NoRoomError
from cortex.neuron.engine.torch.loader import Loaded
from cortex.neuron.engine.torch.numbered import Numbered
from cortex.neuron.engine.torch.plain import Plain, state_bytes
from cortex.neuron.engine.torch.scheduler import Span

SINGLES = 16
"""Tokens that are read at a time of a prompt that can be continued by one token only: each is a step of its own."""


class StateCache(Numbered):
    """`slots` places for states, which shall not take more than `limit` bytes together.

    A state grows by itself. What is reserved for it is only counted, as it was measured when the model was loaded.
    """

    can_be_cut = False
    """Whether the beginning of what was read is of use without the rest."""

    def __init__(self, plain: Plain, slots: int, *, limit: int) -> None:
        super().__init__(slots)
        self._held: dict[int, int] = {}
        self._states: dict[int, Any] = {}
        self.fixed_bytes = plain.fixed
        self.position_bytes = max(1, plain.each)
        self.limit = limit

    @property
    def bytes(self) -> int:
        """What is allocated now."""
        return state_bytes(list(self._states.values()))

    @property
    def used(self) -> int:
        """What is reserved."""
        return len(self._held) * self.fixed_bytes + sum(self._held.values()) * self.position_bytes

    def capacity(self, length: int) -> int:
        """The same: no more is ever reserved than is asked for."""
        return length

    def held(self, slot: int) -> int:
        """How many positions a slot has; 0 while it has no memory."""
        return self._held.get(slot, 0)

    def drop(self, slot: int) -> None:
        """Give a slot's state back, and keep the slot."""
        self._held.pop(slot, None)
        self._states.pop(slot, None)

    def reserve(self, slot: int, length: int) -> None:
        """Make room for `length` positions. Raises `NoRoomError`, and then nothing has changed."""
        held = self.held(slot)
        if held >= length:
            return
        more = (length - held) * self.position_bytes + (0 if held else self.fixed_bytes)
        if self.used + more > self.limit:
            room = max(0, self.limit - self.used)
            raise NoRoomError(f"there is room for {room} bytes, and {more} are needed")
        self._held[slot] = length

    def copy(self, source: int, target: int, length: int) -> bool:  # noqa: ARG002  (as `SlotCache` has it)
        """Nothing can be copied."""
        return False

    def clean(self, slot: int, start: int, end: int) -> None:  # noqa: ARG002  (as `SlotCache` has it)
        """Never asked for: nothing is kept whose end might have to be cut off."""
        raise AssertionError

    def state(self, slot: int) -> Any:
        """What was read of the sequence in a slot; None before its first token."""
        return self._states.get(slot)

    def store(self, slot: int, state: Any) -> None:
        """Keep what has been read of it now."""
        self._states[slot] = state


class PlainRunner:
    """`cache`, of at most `limit` bytes, belongs to it; who may have a slot is decided elsewhere."""

    def __init__(self, loaded: Loaded, plain: Plain, slots: int, limit: int) -> None:
        self._model = loaded.model
        self._device = loaded.device
        self._plain = plain
        self.cache = StateCache(plain, slots, limit=limit)

    def longest(self, computed: int) -> int:
        """How many positions of a prompt may be read at once when so many have been."""
        return SINGLES if self._plain.is_single and computed else scheduler.longest(computed)

    def forward(self, spans: list[Span]) -> torch.Tensor:
        """Read one span after the other; answers a row of logits for each that samples, then those of rated prompts."""
        rows: list[torch.Tensor] = []
        rated: list[torch.Tensor] = []
        for span in spans:
            slot, start = span.sequence.slot, span.sequence.computed
            tokens = torch.tensor(span.tokens, dtype=torch.long, device=self._device)
            state = self.cache.state(slot)
            wanted = span.wanted
            keep = max(1, start + span.length - wanted.start) if wanted else 1
            logits, state = self._plain.read(self._model, tokens, start, state, keep)
            self.cache.store(slot, state)
            if span.samples:
                rows.append(logits[-1:])
            if wanted:
                rated.append(logits[: len(wanted)])
        return torch.cat(rows + rated) if rows or rated else torch.empty(0)
