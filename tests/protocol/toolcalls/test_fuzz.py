"""No text breaks a parser: random soups of what each family writes, and replies damaged in random places.

`make test` reads 10,000 bodies, `make test-long` a million.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from toolcall_fuzz import READ, Case, check, damaged, soup, vectors_of

BODIES = 10_000 * settings.default.max_examples // 60
"""Of all families together; the usual profile has 60 examples, the long one a hundred times as many."""
AT_ONCE = 10
"""Bodies of one example: making examples takes longer than reading them."""
BYTES = 20
"""That decide on one body: on its chunks and its end, on its size, on the reply it begins with, and on all the rest."""


def fuzz(family: str, text_of: Callable[[int, bytes], str]) -> None:
    """Check a family's share of bodies, each made by `text_of` from its bytes."""
    examples = -(-BODIES // (2 * len(READ) * AT_ONCE))

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None)
    @given(st.binary(min_size=AT_ONCE * BYTES, max_size=AT_ONCE * BYTES))
    def holds(drawn: bytes) -> None:
        for start in range(0, len(drawn), BYTES):
            how, size, which, *choices = drawn[start : start + BYTES]
            text = text_of(which, bytes(choices[: size % len(choices)]))
            sizes = (1 + how % 7, 1 + how // 7 % 7)
            case = Case(family, text, sizes, reasoning_open=how % 2 > 0, cut=how // 2 % 2 > 0)
            try:
                check(case)
            except Exception:
                note(repr(case))
                raise

    holds()


@pytest.mark.parametrize("family", READ)
def test_soups_of_markers_and_fragments(family: str) -> None:
    """Whatever is put together of a family's own words is read without an exception, loss or invention."""
    fuzz(family, lambda _, choices: soup(family, choices))


@pytest.mark.parametrize("family", READ)
def test_replies_that_were_damaged(family: str) -> None:
    """The same holds of its real replies with parts deleted, inserted, doubled, swapped or cut off."""
    replies = [vector.text for vector in vectors_of(family)]
    fuzz(family, lambda which, choices: damaged(replies[which % len(replies)], family, choices))
