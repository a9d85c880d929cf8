"""How many tokens a long text has, in bounded time: counted piece by piece, and what was not counted is guessed from it.

Tokenizing megabytes at once would hold up everybody else's next token, and whoever wants to know how long a prompt is
waits for a second only. Knows a tokenizer, and neither a model nor a request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cortex.neuron.engine.base import Length

PIECE = 65_536
"""Characters that are counted at once."""
WORTH = 2
"""How many contexts a text is counted through that does not fit into one, for its length to be told exactly."""


def beyond(text: str, tokenizer: Any, context: int) -> int:
    """About how many tokens a text has that is longer than `WORTH` times `context`; else 0, and it may be tokenized.

    One of no more characters than that is not counted: what tokenizing it takes is bounded already.
    """
    count = 0
    for start in range(0, len(text), PIECE) if len(text) > max(PIECE, WORTH * context) else ():
        count += _tokens(text[start : start + PIECE], tokenizer)
        if count > WORTH * context:
            return _whole(count, start + PIECE, text)
    return 0


def length_of(
    text: str, tokenizer: Any, seconds: float, clock: Callable[[], float] = time.monotonic
) -> Length:
    """The tokens of a text without special ones; an estimate if counting all of them would take longer than that."""
    begun = clock()
    count = read = 0
    if len(text) > PIECE:
        count, read = _tokens(text[:PIECE], tokenizer), PIECE
    if (clock() - begun) * len(text) <= seconds * max(read, 1):
        return Length(_tokens(text, tokenizer))
    while read < len(text) and clock() - begun < seconds:
        count += _tokens(text[read : read + PIECE], tokenizer)
        read += PIECE
    return Length(_whole(count, read, text), estimated=True)


def _tokens(text: str, tokenizer: Any) -> int:
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _whole(count: int, read: int, text: str) -> int:
    """What the whole text has if the rest is like what was read."""
    return round(count * max(1.0, len(text) / read))
