"""Who gets which slot, and what of it is computed already: the cache's slots, those of ended sequences among them.

A slot that is kept for the next turn is free to whoever needs one. Knows tokens and slots; knows no request.
"""

from __future__ import annotations

from collections.abc import Iterable

from cortex.neuron.engine.torch.cache import SlotCache
from cortex.neuron.engine.torch.reuse import LEAST, Kept, Reuse


class Slots:
    """`budget` is how many bytes keys and values may take before what is kept for later goes."""

    def __init__(self, cache: SlotCache, budget: int) -> None:
        self._cache = cache
        self._budget = budget
        self._reuse = Reuse()

    @property
    def free(self) -> int:
        """How many slots somebody new may have."""
        return self._cache.free + len(self._reuse)

    @property
    def kept(self) -> int:
        """How many of them hold what may be of use."""
        return len(self._reuse)

    def open(self, tokens: list[int], salt: str, running: Iterable[Kept] = ()) -> tuple[int, int]:
        """A slot, and how many of these tokens have their keys and values in it: as many as anybody here has.

        What was kept is taken over if most of it is wanted, and copied otherwise: it is somebody else's beginning too.
        There must be a free slot.
        """
        source, length = self._reuse.best(tokens, salt, running)
        if source is not None and source in self._reuse and 2 * length >= len(source.tokens):
            self._reuse.take(source)
            return source.slot, length
        if not self._cache.free:
            oldest = self._reuse.oldest(spare=source)
            if oldest is None:  # the only one there is
                assert source is not None, "who opens a slot has seen that one is free"
                self._reuse.take(source)
                return source.slot, length
            self._cache.release(oldest)
        slot = self._cache.take()
        if source is None:
            return slot, 0
        self._reuse.touch(source)
        try:
            self.reserve(slot, length)
        except (MemoryError, RuntimeError):
            return slot, 0
        # Finding room may have cost the source itself.
        return slot, length if self._cache.copy(source.slot, slot, length) else 0

    def reserve(self, slot: int, length: int) -> None:
        """Room for so many positions, at the cost of what is kept. Raises what the allocator raises."""
        try:
            self._cache.reserve(slot, length)
        except (MemoryError, RuntimeError):
            if not self._reuse:
                raise
            self.forget()
            self._cache.reserve(slot, length)

    def keep(self, slot: int, tokens: list[int], salt: str) -> None:
        """A sequence has ended, and the next may begin with these tokens, whose keys and values it holds."""
        if len(tokens) < LEAST:
            self._cache.release(slot)
            return
        for useless in self._reuse.keep(Kept(slot, tokens, salt)):
            self._cache.release(useless)
        while self._cache.used > self._budget and (oldest := self._reuse.oldest()) is not None:
            self._cache.release(oldest)

    def release(self, slot: int, *, wipe: bool = False) -> None:
        """A slot whose content is of no use."""
        self._cache.release(slot, wipe=wipe)

    def forget(self) -> None:
        """Nothing is kept any longer."""
        while (oldest := self._reuse.oldest()) is not None:
            self._cache.release(oldest)
