"""Memory for sequences in the order of their arrival: who may come, who gives way, and who goes on when.

Whoever is admitted has room for its prompt and the beginning of its answer; only what everybody has or was promised
counts, and never what is merely kept. Answers that grow beyond it may want more than there is. Then whoever came last
loses its memory, waits, and reads all of its tokens again as soon as they fit: nothing that was said changes, for what
is drawn depends on the seed and the position alone. The oldest never gives way, and nobody overtakes who waits, so
that everybody comes to an end. Pure but for the slots that it asks; knows no request.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from cortex.neuron.engine.torch.cache import NoRoomError
from cortex.neuron.engine.torch.sequence import Sequence
from cortex.neuron.engine.torch.slots import Slots
from cortex.protocol.faults import Code, fault

log = logging.getLogger("cortex.engine")

AHEAD = 256
"""Tokens of an answer that there is room for from the start: few clients say how many they really expect."""


class Room:
    """`waiting` are those who gave way; `preemptions` counts how often somebody did."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._live: dict[Sequence, None] = {}
        self._freed = False
        """Whether somebody has left since those who wait were last thought of."""
        self.waiting: set[Sequence] = set()
        self.preemptions = 0

    @property
    def promised(self) -> int:
        """Bytes that sequences have or were promised."""
        return self._bytes(max(one.promised, self._slots.held(one.slot)) for one in self._live)

    def _bytes(self, each: Iterable[int]) -> int:
        """What sequences take that have so many positions each."""
        return sum(map(self._slots.bytes, each))

    def capacity(self, tokens: int, limit: int) -> int:
        """What is promised to a sequence of so many tokens that ends at `limit`."""
        return self._slots.capacity(min(limit, tokens + AHEAD))

    def require(self, wanted: list[int]) -> None:
        """Whether sequences may come that are promised so many positions each. Raises `FaultError`."""
        size, whole = self._bytes(wanted), self._slots.limit
        if size > whole:
            fits = self._slots.positions(whole)
            raise fault(
                Code.UNSUPPORTED,
                f"n must be smaller or the prompt shorter: {len(wanted)} choices of it need memory for {sum(wanted)} "
                f"tokens, and this model has room for {fits}.",
                param="n",
            )
        if self.waiting:
            raise fault(Code.BUSY, f"{len(self.waiting)} answers wait for memory here.")
        if (room := whole - self.promised) < size:
            left = self._slots.positions(room)
            raise fault(
                Code.BUSY, f"There is room for {left} more tokens here now, and {sum(wanted)} are needed."
            )

    def enter(self, sequence: Sequence, promised: int) -> None:
        """It has a slot from now on."""
        sequence.promised = promised
        self._live[sequence] = None

    def leave(self, sequence: Sequence) -> None:
        """It has ended, or its slot is about to be somebody else's."""
        del self._live[sequence]
        self.waiting.discard(sequence)
        self._freed = True

    def reserve(self, sequence: Sequence, length: int) -> bool:
        """Room for so many positions; False if it has to wait for it. Raises `NoRoomError` if there will never be any."""
        while True:
            try:
                self._slots.reserve(sequence.slot, max(length, sequence.promised))
            except NoRoomError:
                if not self._slots.held(sequence.slot):
                    sequence.restart()
                holders = [one for one in self._live if one is sequence or self._slots.held(one.slot)]
                if holders == [sequence]:
                    raise
                self._preempt(holders[-1])
                if holders[-1] is sequence:
                    return False
            else:
                return True

    def resume(self) -> Sequence | None:
        """Let those go on for whom there is room, the oldest first.

        Answers one who never can: nobody but it wants memory, and there is none.
        """
        if not self.waiting:
            return None
        alone = not any(self._slots.held(one.slot) for one in self._live)
        if not self._freed and not alone:
            return None
        self._freed = False
        for one in [one for one in self._live if one in self.waiting]:
            wanted = self.capacity(len(one.tokens), one.limit)
            if self._slots.bytes(wanted) > self._slots.room:
                return None
            try:
                self._slots.reserve(one.slot, wanted)
            except NoRoomError:
                return one if alone else None
            one.promised = wanted
            self.waiting.remove(one)
            alone = False
        return None

    def _preempt(self, sequence: Sequence) -> None:
        self.preemptions += 1
        log.info("memory for %d tokens is taken back for a while", sequence.computed)
        self._slots.drop(sequence.slot)
        sequence.restart()
        self.waiting.add(sequence)
