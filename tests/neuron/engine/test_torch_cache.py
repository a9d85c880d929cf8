"""Slots as rows of slabs: what was stored is read again, whatever grew, moved and left meanwhile. And attention over them."""

import math

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cortex.neuron.engine.torch.attention import Batch, Segment
from cortex.neuron.engine.torch.cache import FIRST, LayerShape, SlotCache

CPU = torch.device("cpu")
SLOTS, CONTEXT = 5, 5 * FIRST
LAYERS = (LayerShape(2, 4, 3), LayerShape(1, 2, 2))


def new_cache(
    slots: int = SLOTS, context: int = CONTEXT, layers: tuple[LayerShape, ...] = LAYERS
) -> SlotCache:
    return SlotCache(layers, slots, context, torch.float32, CPU)


class Slots(RuleBasedStateMachine):
    """Every slot holds its own number at each position, and is asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = new_cache()
        self.held: dict[int, tuple[int, int]] = {}
        """By slot: its number and its length."""
        self.number = 0

    @precondition(lambda self: self.cache.free)
    @rule()
    def take(self) -> None:
        self.number += 1
        self.held[self.cache.take()] = (self.number, 0)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), more=st.sampled_from([1, 3, FIRST, FIRST + 1, 4 * FIRST]))
    def grow(self, data: st.DataObject, more: int) -> None:
        slot = data.draw(st.sampled_from(sorted(self.held)))
        number, length = self.held[slot]
        more = min(more, CONTEXT - length)
        if not more:
            return
        self.cache.reserve(slot, length + more)
        for layer, shape in enumerate(LAYERS):
            keys = torch.full((shape.heads, more, shape.key_dim), float(number))
            self.cache.write(
                layer, slot, length, keys, torch.full((shape.heads, more, shape.value_dim), -float(number))
            )
        self.held[slot] = (number, length + more)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), wipe=st.booleans())
    def release(self, data: st.DataObject, wipe: bool) -> None:
        slot = data.draw(st.sampled_from(sorted(self.held)))
        del self.held[slot]
        self.cache.release(slot, wipe=wipe)

    @invariant()
    def everybody_reads_what_was_stored(self) -> None:
        for slot, (number, length) in self.held.items():
            for layer in range(len(LAYERS) if length else 0):
                keys, values = self.cache.read(layer, slot, 0, length)
                assert bool((keys == number).all()), slot
                assert bool((values == -number).all()), slot

    @invariant()
    def nothing_is_kept_for_nobody(self) -> None:
        grown = [length for _, length in self.held.values() if length]
        assert self.cache.free == SLOTS - len(self.held)
        assert bool(self.cache.bytes) == bool(grown)
        least = sum(max(length, FIRST) for length in grown)
        assert least * self.cache.position_bytes <= self.cache.bytes


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_what_is_wiped_outlives_nobody() -> None:
    """Not a number times nothing is not a number: a row that may hold one is cleared before the next has it."""
    cache = new_cache(slots=2)
    first, other = cache.take(), cache.take()
    for slot in (first, other):
        cache.reserve(slot, 10)
    cache.write(0, first, 0, torch.full((2, 10, 4), math.nan), torch.full((2, 10, 3), math.nan))
    cache.release(first, wipe=True)
    keys, values = cache.rows(0, FIRST)
    assert bool(torch.isfinite(keys).all())
    assert bool(torch.isfinite(values).all())


@pytest.mark.parametrize("window", [None, 1, 7, 300])
@pytest.mark.parametrize("lengths", [(5, 9), (1, 1, 1), (40, 3, 200, 17), (250, 300, 20, 310, 1)])
@pytest.mark.parametrize("gap", [False, True])
def test_together_is_as_one_after_the_other(lengths: tuple[int, ...], window: int | None, gap: bool) -> None:
    """Sequences of any lengths, some with another's row before theirs: each gets what it gets in a batch of its own."""
    shape = LayerShape(2, 8, 8)
    torch.manual_seed(1)
    caches = [new_cache(8, 512, (shape,)) for _ in range(2)]
    slots = [[cache.take() for _ in range(len(lengths) + gap)][gap:] for cache in caches]
    if gap:  # the first row is somebody's who is not in this step
        for cache in caches:
            cache.reserve(7, 3)
    for index, length in enumerate(lengths):
        keys, values = torch.randn(2, length, 8), torch.randn(2, length, 8)
        for cache, taken in zip(caches, slots, strict=True):
            cache.reserve(taken[index], length + 1)
            cache.write(0, taken[index], 0, keys, values)
    query, key = torch.randn(1, 4, len(lengths), 8), torch.randn(1, 2, len(lengths), 8)
    value = torch.randn(1, 2, len(lengths), 8)
    segments = [
        Segment(slot, length, 1, at) for at, (slot, length) in enumerate(zip(slots[0], lengths, strict=True))
    ]
    found = Batch(caches[0], segments, CPU).attend(0, query, key, value, window=window, scaling=None)
    for at, (slot, length) in enumerate(zip(slots[1], lengths, strict=True)):
        here = slice(at, at + 1)
        alone = Batch(caches[1], [Segment(slot, length, 1, 0)], CPU)
        wanted = alone.attend(
            0, query[:, :, here], key[:, :, here], value[:, :, here], window=window, scaling=None
        )
        torch.testing.assert_close(found[:, here], wanted, rtol=1e-5, atol=1e-5)
