"""Whose keys and values are kept when a sequence has ended, and which of them the next prompt may begin with.

The next turn of a conversation repeats the last one, so what was computed for it need not be computed again. Tokens are
compared, not texts: where a template leaves out what was thought, or a client writes a tool call anew, the common part
ends there. Nothing is shared between principals, for whoever finds a prompt fast learns that somebody sent it.
Pure; knows slots by their numbers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LEAST = 16
"""Common tokens that are worth it."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """`tokens` are those whose keys and values stand in `slot`, from its beginning on."""

    slot: int
    tokens: list[int]
    salt: str


class Reuse:
    """What is kept, the least recently used first."""

    def __init__(self) -> None:
        self._kept: list[Kept] = []

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._kept)

    def keep(self, one: Kept) -> list[int]:
        """Keep it as the most recent; answers the slots of those that it makes useless: it begins as they are."""
        useless = [
            other
            for other in self._kept
            if other.salt == one.salt and common(other.tokens, one.tokens) == len(other.tokens)
        ]
        self._kept = [other for other in self._kept if other not in useless]
        self._kept.append(one)
        return [other.slot for other in useless]

    def oldest(self, spare: Kept | None = None) -> int | None:
        """Forget the one that was not used for the longest time, and answer its slot; None if there is none."""
        for one in self._kept:
            if one is not spare:
                self._kept.remove(one)
                return one.slot
        return None

    def take(self, one: Kept) -> None:
        """Its slot belongs to somebody again."""
        self._kept.remove(one)

    def touch(self, one: Kept) -> None:
        """It was useful."""
        if one in self._kept:
            self._kept.remove(one)
            self._kept.append(one)

    def best(self, tokens: list[int], salt: str, others: Iterable[Kept] = ()) -> tuple[Kept | None, int]:
        """Who has the longest beginning in common with a prompt, `others` included, and how many tokens it is.

        At least one token is left to read, for somebody has to tell what follows.
        """
        found, longest = None, LEAST - 1
        for one in (*self._kept, *others):
            if one.salt == salt and one.tokens[:LEAST] == tokens[:LEAST]:
                length = min(common(one.tokens, tokens), len(tokens) - 1)
                if length > longest:
                    found, longest = one, length
        return (found, longest) if found is not None else (None, 0)

    def __contains__(self, one: object) -> bool:
        return one in self._kept


def common(one: list[int], other: list[int]) -> int:
    """The length of the common beginning: halved until it is found, for comparing slices is fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
