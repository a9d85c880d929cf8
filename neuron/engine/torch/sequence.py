"""One choice's tokens and how far the model has read them. Pure arithmetic; knows no tensor and no text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Sequence:
    """`tokens` is the prompt and everything generated; the first `computed` of them have keys and values in `slot`.

        |------ prompt ------|---- generated ----|
        |--- computed ---|------ pending --------|

    Between two steps exactly one token of a decoding sequence is pending: the newest.
    """

    tokens: list[int]
    prompt: int
    limit: int
    """The length, prompt included, at which it ends."""
    slot: int = -1
    computed: int = 0
    promised: int = 0
    """Positions that it was admitted with room for."""
    ended: bool = False
    speaks: bool = True
    """Whether a token follows once all of it is read; of what is only embedded or rated none does."""
    rates: int = 0
    """Of so many of the first positions the logits are wanted, to rate the tokens behind them."""
    rated: int = 0
    """Of so many they have been looked at, and are not wanted again, even if the slot loses everything."""

    def __post_init__(self) -> None:
        assert 0 < self.prompt <= len(self.tokens), "a sequence begins with a prompt"
        assert self.prompt < self.limit or not self.speaks, "a sequence has room for a token"

    @property
    def pending(self) -> int:
        """Tokens that the model has not read yet."""
        return len(self.tokens) - self.computed

    @property
    def decoding(self) -> bool:
        """Whether one more token is all it takes to sample the next."""
        return self.pending == 1

    @property
    def generated(self) -> int:
        """Tokens of the choice, those of earlier attempts included: the index of the next one."""
        return len(self.tokens) - self.prompt

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return len(self.tokens) >= self.limit

    def wanted(self, count: int) -> range:
        """Those of the next `count` positions whose logits are wanted."""
        return range(max(self.computed, self.rated), min(self.computed + count, self.rates))

    def within(self, count: int, rows: int) -> int:
        """How many of the next `count` tokens can be read if the logits of at most `rows` may be wanted."""
        wanted = self.wanted(count)
        return count if len(wanted) <= rows else wanted.start + rows - self.computed

    def advance(self, count: int) -> None:
        """Note that the model has read `count` more tokens."""
        assert 0 < count <= self.pending, "only pending tokens can be read"
        self.computed += count

    def restart(self) -> None:
        """Its slot has lost everything: all of it has to be read again."""
        self.computed = 0

    def append(self, token: int) -> None:
        """Take a sampled token. Everything before it must have been read."""
        assert self.pending == 0, "a token is sampled when everything is read"
        assert not self.full, "nothing follows the limit"
        self.tokens.append(token)
