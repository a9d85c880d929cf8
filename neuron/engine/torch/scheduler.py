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
    """One token for each sequence that decodes, then at most `chunk` tokens of prompts, first come first served.

    Decoding never waits for a prompt: a long one costs the others a longer step, never a missed one.
    """
    live = [sequence for sequence in sequences if not sequence.ended and sequence.pending]
    spans = [Span(sequence, 1) for sequence in live if sequence.decoding]
    room = chunk
    for sequence in live:
        if room and not sequence.decoding:
            length = min(room, sequence.pending)
            spans.append(Span(sequence, length))
            room -= length
    return spans
