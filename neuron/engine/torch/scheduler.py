"""Which tokens of which sequences make up the next flat batch. Pure; the order of `sequences` is their priority."""

from __future__ import annotations

from collections.abc import Iterable
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
        return self.length == self.sequence.pending

    @property
    def tokens(self) -> list[int]:
        start = self.sequence.computed
        return self.sequence.tokens[start : start + self.length]


def plan(sequences: Iterable[Sequence], chunk: int) -> list[Span]:
    """One token for each sequence that decodes, then at most `chunk` tokens of prompts, in equal shares.

    Decoding never waits for a prompt, and a short prompt never for the whole of a long one: what a short one leaves of
    its share goes to the others, who come first served first with a token that cannot be shared.
    """
    live = [sequence for sequence in sequences if not sequence.ended and sequence.pending]
    spans = [Span(sequence, 1) for sequence in live if sequence.decoding]
    reading = [sequence for sequence in live if not sequence.decoding]
    lengths: dict[int, int] = {}
    room = chunk
    for left, index in enumerate(sorted(range(len(reading)), key=lambda one: reading[one].pending)):
        share = -(-room // (len(reading) - left))
        lengths[index] = min(share, reading[index].pending, room)
        room -= lengths[index]
    spans += [Span(sequence, lengths[index]) for index, sequence in enumerate(reading) if lengths[index]]
    return spans
