"""Slots as rows of slabs: what was stored is read again, whatever grew, moved and left meanwhile. And attention over them."""

import math

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cortex.neuron.engine.torch.attention import Batch, Segment
from cortex.neuron.engine.torch.cache import (
    FIRST,
    LayerShape,
    NoRoomError,
    SlotCache,
    capacities,
    position_bytes,
)

CPU = torch.device("cpu")
SLOTS, CONTEXT = 5, 5 * FIRST
LAYERS = (LayerShape(2, 4, 3), LayerShape(1, 2, 2))


def new_cache(
    slots: int = SLOTS,
    context: int = CONTEXT,
    layers: tuple[LayerShape, ...] = LAYERS,
    limit: int = 2**30,
) -> SlotCache:
    return SlotCache(layers, slots, context, torch.float32, CPU, limit=limit)


class Scarce(SlotCache):
    """A cache on a device that has memory for `lasts` more tensors only; None: for any number."""

    lasts: int | None = None

    def _zeros(self, *shape: int) -> torch.Tensor:
        if self.lasts is not None:
            if not self.lasts:
                raise MemoryError
            self.lasts -= 1
        return super()._zeros(*shape)


class Slots(RuleBasedStateMachine):
    """Every slot holds its own number at each position, and is asked for it."""

    positions = CONTEXT + 3 * FIRST
    """How many there may be altogether."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = self.positions * position_bytes(LAYERS, torch.float32)
        self.cache = Scarce(LAYERS, SLOTS, CONTEXT, torch.float32, CPU, limit=self.limit)
        self.held: dict[int, tuple[int, int]] = {}
        """By slot: its number and its length."""
        self.number = 0

    @precondition(lambda self: self.cache.free)
    @rule()
    def take(self) -> None:
        self.number += 1
        self.held[self.cache.take()] = (self.number, 0)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        more=st.sampled_from([1, 3, FIRST, FIRST + 1, 4 * FIRST]),
        lasts=st.none() | st.integers(0, 12),
    )
    def grow(self, data: st.DataObject, more: int, lasts: int | None) -> None:
        slot = data.draw(st.sampled_from(sorted(self.held)))
        number, length = self.held[slot]
        more = min(more, CONTEXT - length)
        if not more:
            return
        self.cache.lasts = lasts
        capacity, had = self.cache.capacity(length + more), self.cache.held(slot)
        others = self.cache.used - had * self.cache.position_bytes
        fits = had >= capacity or others + capacity * self.cache.position_bytes <= self.limit
        try:
            self.cache.reserve(slot, length + more)
        except NoRoomError:
            assert not fits or lasts is not None, "there was room"
            assert self.cache.held(slot) in ((had,) if lasts is None else (0, had))
            if not self.cache.held(slot):
                self.held[slot] = (number, 0)
            return
        finally:
            self.cache.lasts = None
        assert fits
        for layer, shape in enumerate(LAYERS):
            keys, values = self.cache.read(layer, slot, length, length + more)
            assert bool(torch.isfinite(keys).all() and torch.isfinite(values).all())
            keys = torch.full((shape.heads, more, shape.key_dim), float(number))
            self.cache.write(
                layer, slot, length, keys, torch.full((shape.heads, more, shape.value_dim), -float(number))
            )
        self.held[slot] = (number, length + more)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), keeps_slot=st.booleans(), spoiled=st.booleans())
    def leave(self, data: st.DataObject, keeps_slot: bool, spoiled: bool) -> None:
        slot = data.draw(st.sampled_from(sorted(self.held)))
        number, length = self.held.pop(slot)
        if spoiled and length:
            keys, values = self.cache.read(0, slot, 0, length)
            keys.fill_(math.nan)
            values.fill_(math.nan)
        if keeps_slot:
            self.cache.drop(slot)
            self.held[slot] = (number, 0)
        else:
            self.cache.release(slot)

    @invariant()
    def everybody_reads_what_was_stored(self) -> None:
        for slot, (number, length) in self.held.items():
            for layer in range(len(LAYERS) if length else 0):
                keys, values = self.cache.read(layer, slot, 0, length)
                assert bool((keys == number).all()), slot
                assert bool((values == -number).all()), slot

    @invariant()
    def whoever_has_a_row_has_it_alone(self) -> None:
        places = [self.cache.place(slot) for slot in self.held if self.cache.held(slot)]
        assert len(set(places)) == len(places)
        for place in places:
            for layer in range(len(LAYERS)):
                keys, values = self.cache.rows(layer, place.capacity)
                assert bool(torch.isfinite(keys[place.row]).all()), "what lies beyond is no number"
                assert bool(torch.isfinite(values[place.row]).all())

    @invariant()
    def nothing_is_kept_for_nobody(self) -> None:
        grown = [length for _, length in self.held.values() if length]
        assert self.cache.free == SLOTS - len(self.held)
        assert bool(self.cache.bytes) == bool(grown)
        least = sum(max(length, FIRST) for length in grown)
        assert least * self.cache.position_bytes <= self.cache.used <= self.cache.bytes <= self.limit


class RoomySlots(Slots):
    """The same with room for everybody."""

    positions = SLOTS * CONTEXT


class TightSlots(Slots):
    """The same with room for no more than one of the longest."""

    positions = CONTEXT


LONG = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestSlots, TestRoomySlots, TestTightSlots = Slots.TestCase, RoomySlots.TestCase, TightSlots.TestCase
TestSlots.settings = TestRoomySlots.settings = TestTightSlots.settings = LONG


def test_capacities_double_and_then_go_by_halves() -> None:
    """The last one is the context, whatever it is."""
    steps = (256, 512, 1024, 2048, 3072, 4096, 6144, 8192, 12288)
    assert capacities(16000) == (*steps, 16000)
    assert capacities(12288) == steps
    assert capacities(100) == (100,)


def test_one_slot_grows_to_the_limit_though_it_is_never_there_twice() -> None:
    """What it holds comes along; no more than one tensor is there twice."""
    cache = new_cache(slots=2, context=8192, limit=8192 * position_bytes(LAYERS, torch.float32))
    slot, most, own = cache.take(), 0, cache._zeros

    def watched(*shape: int) -> torch.Tensor:
        nonlocal most
        most = max(most, cache.bytes + 4 * math.prod(shape))
        return own(*shape)

    cache._zeros = watched
    for length in (100, 3000, 4096, 6144, 8192):
        cache.reserve(slot, length)
        cache.write(0, slot, length - 1, torch.full((2, 1, 4), float(length)), torch.zeros(2, 1, 3))
    assert cache.read(0, slot, 0, 8192)[0][0, [99, 2999, 4095, 6143, 8191], 0].tolist() == [
        100,
        3000,
        4096,
        6144,
        8192,
    ]
    assert cache.bytes == cache.limit
    assert most - cache.limit <= 8192 * 2 * 4 * 4, "the largest tensor"


def test_what_is_no_number_outlives_nobody() -> None:
    """Not a number times nothing is not a number: a row is handed out as zeros."""
    cache = new_cache(slots=2)
    first, other = cache.take(), cache.take()
    for slot in (first, other):
        cache.reserve(slot, 10)
    cache.write(0, first, 0, torch.full((2, 10, 4), math.nan), torch.full((2, 10, 3), math.nan))
    cache.release(first)
    cache.reserve(cache.take(), 10)
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
