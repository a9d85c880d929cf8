"""Which tokens of which sequences make up the next flat batch. Pure; the order of `sequences` is their priority."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cortex.neuron.engine.torch.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Span:
    """The next `length` pending tokens of a sequence."""

    sequence: Sequence
    length: int

    @property
    def samples(self) -> bool:
        """Whether the last of these tokens predicts a new one."""
        return self.sequence.speaks and self.length == self.sequence.pending

    @property
    def wanted(self) -> range:
        """The positions of a prompt that is rated whose logits are wanted."""
        return self.sequence.wanted(self.length)

    @property
    def tokens(self) -> list[int]:
        start = self.sequence.computed
        return self.sequence.tokens[start : start + self.length]


PAIRS = 512 * 8192
"""Pairs of a new position and one that it sees, in a chunk of a prompt: what attending costs grows with both, and a
chunk late in a long prompt shall not keep running streams waiting any longer than one of a short prompt."""
LEAST = 32
"""Positions that are read of a prompt at a time, however long it is already."""


def longest(computed: int) -> int:
    """How many positions of a prompt may be read at once when so many have been."""
    return max(LEAST, PAIRS // max(1, computed))


def plan(
    sequences: Iterable[Sequence],
    chunk: int,
    longest: Callable[[int], int] = longest,
    rows: int = 2**31,
) -> list[Span]:
    """One token for each sequence that decodes, then at most `chunk` tokens of prompts, the logits of at most `rows` of
    which are wanted.

    Decoding never waits for a prompt. Of the chunk, the oldest prompt has half; the rest goes to the shortest first, for
    prompts that are read one after the other are answered sooner, on the average, than such as are read side by side. So
    a short one never waits for the whole of a long one, and each is the oldest in the end.
    """
    live = [sequence for sequence in sequences if not sequence.ended and sequence.pending]
    spans = [Span(sequence, 1) for sequence in live if sequence.decoding]
    reading = [sequence for sequence in live if not sequence.decoding]
    lengths = [0] * len(reading)
    room, left = chunk, rows
    shortest = sorted(range(len(reading)), key=lambda index: reading[index].pending)
    for index, share in ((0, 2), *((index, 1) for index in shortest)) if reading else ():
        one = reading[index]
        before = lengths[index]
        more = min(-(-chunk // share), room, min(one.pending, longest(one.computed)) - before)
        if one.rated < one.rates:
            used = len(one.wanted(before))
            more = one.within(before + more, used + min(-(-rows // share), left)) - before
            left -= len(one.wanted(before + more)) - used
        lengths[index] += more
        room -= more
    spans += [Span(one, length) for one, length in zip(reading, lengths, strict=True) if length]
    return spans
