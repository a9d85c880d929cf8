"""Slots by their numbers, whatever each of them holds. Pure."""

from __future__ import annotations


class Numbered:
    """Slots by their numbers: who has one, and who none. What a slot holds is the business of what derives from it."""

    def __init__(self, slots: int) -> None:
        self._free = list(range(slots - 1, -1, -1))

    @property
    def free(self) -> int:
        """How many slots nobody has."""
        return len(self._free)

    def take(self) -> int:
        """A free slot, with no memory yet."""
        return self._free.pop()

    def release(self, slot: int) -> None:
        """Give a slot and its memory back."""
        assert slot not in self._free, "a slot is released once"
        self.drop(slot)
        self._free.append(slot)

    def drop(self, slot: int) -> None:
        """Give a slot's memory back, and keep the slot."""
        raise NotImplementedError
