"""Who gets which slot, and what of it is computed already: the cache's slots, those of ended sequences among them.

A slot that is kept for the next turn is free to whoever needs one. Knows tokens and slots; knows no request.
"""

from __future__ import annotations

from collections.abc import Iterable

from cortex.neuron.engine.torch.cache import NoRoomError, SlotCache
from cortex.neuron.engine.torch.reuse import LEAST, Kept, Reuse
from cortex.neuron.engine.torch.states import StateCache


class Slots:
    """What is kept for later stays until somebody wants its slot or its memory."""

    def __init__(self, cache: SlotCache | StateCache) -> None:
        self._cache = cache
        self._reuse = Reuse()

    @property
    def free(self) -> int:
        """How many slots somebody new may have."""
        return self._cache.free + len(self._reuse)

    @property
    def kept(self) -> int:
        """How many of them hold what may be of use."""
        return len(self._reuse)

    @property
    def limit(self) -> int:
        """How many bytes there may be altogether."""
        return self._cache.limit

    @property
    def room(self) -> int:
        """Bytes that are nobody's, or of what is only kept."""
        kept = sum(self.bytes(self._cache.held(one.slot)) for one in self._reuse)
        return self.limit - self._cache.used + kept

    def bytes(self, positions: int) -> int:
        """What so many positions of one sequence take."""
        return self._cache.fixed_bytes + positions * self._cache.position_bytes

    def positions(self, size: int) -> int:
        """How many positions of one sequence so many bytes hold."""
        return max(0, size - self._cache.fixed_bytes) // self._cache.position_bytes

    def capacity(self, length: int) -> int:
        """How many positions a slot gets that shall hold so many."""
        return self._cache.capacity(length)

    def held(self, slot: int) -> int:
        """How many positions a slot has; 0 while it has no memory."""
        return self._cache.held(slot)

    def open(
        self, tokens: list[int], salt: str, running: Iterable[Kept] = (), room: int = 0
    ) -> tuple[int, int]:
        """A slot, and how many of these tokens have their keys and values in it: as many as anybody here has.

        What was kept is taken over if most of it is wanted, and copied otherwise: it is somebody else's beginning too.
        A copy gets `room` at once. There must be a free slot.
        """
        source, length = self._reuse.best(tokens, salt, running)
        if source is not None and source in self._reuse and 2 * length >= len(source.tokens):
            return self._take_over(source, length), length
        if not self._cache.free:
            oldest = self._reuse.oldest(spare=source)
            if oldest is None:  # the only one there is
                assert source is not None, "who opens a slot has seen that one is free"
                return self._take_over(source, length), length
            self._cache.release(oldest)
        slot = self._cache.take()
        if source is None:
            return slot, 0
        self._reuse.touch(source)
        try:
            self.reserve(slot, max(length, room))
        except NoRoomError:
            return slot, 0
        # Finding room may have cost the source itself.
        return slot, length if self._cache.copy(source.slot, slot, length) else 0

    def _take_over(self, source: Kept, length: int) -> int:
        self._reuse.take(source)
        self._cache.clean(source.slot, length, len(source.tokens))
        return source.slot

    def reserve(self, slot: int, length: int) -> None:
        """Room for so many positions, at the cost of what is kept. Raises `NoRoomError`."""
        while True:
            try:
                self._cache.reserve(slot, length)
            except NoRoomError:
                oldest = self._reuse.oldest()
                if oldest is None:
                    raise
                self._cache.release(oldest)
            else:
                return

    def drop(self, slot: int) -> None:
        """A slot loses its memory, and stays whose it is."""
        self._cache.drop(slot)

    def keep(self, slot: int, tokens: list[int], salt: str) -> None:
        """A sequence has ended, and the next may begin with these tokens, whose keys and values it holds."""
        if len(tokens) < LEAST or not self._cache.can_be_cut:
            self._cache.release(slot)
            return
        for useless in self._reuse.keep(Kept(slot, tokens, salt)):
            self._cache.release(useless)

    def release(self, slot: int) -> None:
        """A slot whose content is of no use."""
        self._cache.release(slot)

    def forget(self) -> None:
        """Nothing is kept any longer."""
        while (oldest := self._reuse.oldest()) is not None:
            self._cache.release(oldest)
