"""How long a text is, told in bounded time: exactly where that is quick, else from a part of it."""

import checkpoints
import pytest

from cortex.neuron.engine.base import Length
from cortex.neuron.engine.torch import lengths
from cortex.neuron.engine.torch.lengths import beyond, length_of

TOKENIZER = checkpoints.tokenizer()


class Slow:
    """A tokenizer of one token per word that takes a second for each piece of text, by its own clock."""

    def __init__(self, takes: float = 1.0) -> None:
        self.now = 0.0
        self.read: list[int] = []
        self._takes = takes

    def __call__(self, text: str, **_how: object) -> dict[str, list[int]]:
        self.now += self._takes
        self.read.append(len(text))
        return {"input_ids": [0] * len(text.split())}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of fifty characters."""
    monkeypatch.setattr(lengths, "PIECE", 50)


def test_what_is_quick_is_counted() -> None:
    """Short or long: the whole text at once, as admission does."""
    for text in ("the quick brown fox", "the quick brown fox " * 100):
        exact = len(TOKENIZER(text, add_special_tokens=False)["input_ids"])
        assert length_of(text, TOKENIZER, 60.0) == Length(exact)


def test_what_takes_too_long_is_estimated_from_a_part() -> None:
    """It is read until the time is over, and the rest is taken to be like it."""
    slow = Slow()
    found = length_of("word " * 1000, slow, 4.0, lambda: slow.now)
    assert slow.read == [50, 50, 50, 50]
    assert found == Length(1000, estimated=True)


def test_a_text_that_fits_twice_is_tokenized() -> None:
    """Then its length is known exactly, also where it is too long; one far longer is not read to its end."""
    slow = Slow()
    assert beyond("word " * 100, slow, 50) == 0
    assert beyond("word " * 20, slow, 5) == 20
    slow = Slow()
    assert beyond("word " * 100_000, slow, 5) == 100_000
    assert slow.read == [50, 50]
    assert beyond("short", slow, 1) == 0
