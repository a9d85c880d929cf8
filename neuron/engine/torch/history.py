"""What a choice has read and said, counted for penalties."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch


class History:
    """`prompt`: its tokens. Ids must be within the vocabulary. A token costs one count until somebody asks."""

    __slots__ = ("_prompt", "_said", "_seen")

    def __init__(self, prompt: Iterable[int] = (), generated: Iterable[int] = ()) -> None:
        self._prompt = prompt
        self._said = Counter(generated)
        self._seen: set[int] | None = None

    def add(self, token: int) -> None:
        """A token was generated."""
        self._said[token] += 1
        if self._seen is not None:
            self._seen.add(token)

    @property
    def seen(self) -> torch.Tensor:
        """Ids that occur in the prompt or were generated: what the repetition penalty is about."""
        if self._seen is None:
            self._seen = set(self._prompt) | self._said.keys()
        return torch.tensor(sorted(self._seen), dtype=torch.long)

    @property
    def said(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Generated ids and how often each was: what frequency and presence penalties are about."""
        ids = torch.tensor(list(self._said), dtype=torch.long)
        return ids, torch.tensor(list(self._said.values()), dtype=torch.float64)
