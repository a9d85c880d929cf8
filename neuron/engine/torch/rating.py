"""A prompt that is said again before its answer, and how likely the model found each of its tokens.

Its rows of logits come a chunk at a time. Everything is told at once, when the first token of the answer is there: an
attempt that is given its tokens has told the prompt. Knows tokens and logits; knows no slot and no order of computation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import NamedTuple, Protocol

import torch

from cortex.neuron.engine.torch.scheduler import Span
from cortex.neuron.engine.torch.sequence import Sequence
from cortex.protocol.deltas import Piece, Score, Scores, TextPiece

VALUES = 2**24
"""Logits of rated prompts that one step makes, of all of them together: 64 MB."""
PIECE = 64
"""Rows that are made probabilities at once."""
TOLD = 512
"""Tokens that are told of in one delta."""
SAID = 65_536
"""Characters that are said in one."""


class Echo:
    """Of one choice. `ids` are the whole prompt, of which the first `lead` are the tokenizer's own and not told.

    `likeliest` is how many others are told of beside each token, None to rate nothing.
    """

    def __init__(
        self,
        prompt: str | tuple[int, ...],
        ids: list[int],
        lead: int,
        likeliest: int | None,
        bytes_of: Callable[[int], bytes],
    ) -> None:
        self._ids = ids
        self._lead = lead
        self._likeliest = likeliest
        self._bytes_of = bytes_of
        self._scores: list[Score] = []
        if isinstance(prompt, str):
            self._text = prompt
        else:
            self._text = b"".join(map(bytes_of, prompt)).decode("utf-8", "replace")
        if likeliest is not None and not lead and ids:
            self._scores.append(Score(self._name(0), None))

    @property
    def rates(self) -> range:
        """The positions whose logits are wanted."""
        return range(0) if self._likeliest is None else range(max(0, self._lead - 1), len(self._ids) - 1)

    def take(self, first: int, rows: torch.Tensor) -> bool:
        """The logits of the positions from `first` on; False if they are not finite."""
        for start in range(0, len(rows), PIECE):
            piece = rows[start : start + PIECE]
            if not bool(torch.isfinite(piece.amax(dim=-1)).all()):
                return False
            self._rate(first + start + 1, torch.log_softmax(piece.float(), dim=-1))
        return True

    def _rate(self, index: int, scores: torch.Tensor) -> None:
        """Log probabilities [n, vocabulary] of the token at `index` and those behind it."""
        ids = self._ids[index : index + len(scores)]
        taken = scores.gather(1, torch.tensor(ids, device=scores.device)[:, None])[:, 0].tolist()
        values, others = scores.topk(min(self._likeliest or 0, scores.shape[-1]))
        bytes_of = self._bytes_of
        for at, (token, logprob, ranked, beside) in enumerate(
            zip(ids, taken, values.tolist(), others.tolist(), strict=True), start=index
        ):
            likeliest = [
                (self._name(at) if other == token else bytes_of(other), value)
                for other, value in zip(beside, ranked, strict=True)
            ]
            self._scores.append(Score(self._name(at), logprob, likeliest))

    def _name(self, at: int) -> bytes:
        """The bytes of a token. The first one of a text has no space that the tokenizer put in front of it."""
        name = self._bytes_of(self._ids[at])
        if at == self._lead and name.startswith(b" ") and not self._text.startswith(" "):
            return name[1:]
        return name

    def tell(self) -> Iterator[list[Piece]]:
        """The pieces of each delta."""
        texts = [self._text[start : start + SAID] for start in range(0, len(self._text), SAID)]
        parts = [self._scores[start : start + TOLD] for start in range(0, len(self._scores), TOLD)]
        for scores, text in zip_longest(parts, texts):
            yield [
                *([Scores(scores)] if scores else []),
                *([TextPiece(text)] if text else []),
            ]


class Part(Protocol):
    """What a step reads, with or without a prompt that is to be said."""

    @property
    def echo(self) -> Echo | None: ...


class Rated(NamedTuple):
    """A prompt of which a step made rows of logits, those of the positions `wanted`."""

    sequence: Sequence
    echo: Echo
    wanted: range


def rated_in(spans: Iterable[tuple[Span, Part]]) -> list[Rated]:
    """Whose rows a step will make, in their order. It must not have been noted yet that the spans are read."""
    found = []
    for span, part in spans:
        if span.sequence.rates and part.echo is not None and span.wanted:
            found.append(Rated(span.sequence, part.echo, span.wanted))
    return found


def rate(rated: list[Rated], rows: torch.Tensor) -> list[Sequence]:
    """Hand out the rows of a step; answers who failed, for theirs are not finite."""
    failed = []
    for one, mine in zip(rated, rows.split([len(one.wanted) for one in rated]), strict=True):
        one.sequence.rated = one.wanted.stop
        if not one.echo.take(one.wanted.start, mine):
            failed.append(one.sequence)
    return failed
