"""What reading a model's text costs: characters a second of each family, and a megabyte of the worst. Never asserted.

`make bench` runs it. One parser on one core; chunks of one to seven characters, about those of a token.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterable, Iterator

import pytest
from figures import Figures
from toolcall_adversaries import adversaries, fed, made_of
from toolcall_fuzz import READ, Case, result, vectors_of
from toolcall_vectors import Vector, calls_of

from cortex.protocol.toolcalls.families import FAMILIES

pytestmark = pytest.mark.bench

WORDS = (
    "The parser reads what a model writes, token by token, and tells reasoning, text and calls apart. " * 8
)
CODE = ("def add(a, b):\n    return a + b  # the 'sum' of \"two\"\n\n" * 80)[:4_000]
PLAIN = (WORDS * 6)[:4_000]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def figures() -> Iterator[Figures]:
    collected = Figures("toolcalls")
    yield collected
    collected.write()


def realistic(family: str) -> tuple[str, str]:
    """Reasoning, text and a call with a string of 4 kB, as far as the family has them; and which of them it is."""
    row = FAMILIES.get(family)
    pairs = row.thinking if row else ()
    reasoning = pairs[0][0] + WORDS + pairs[0][1] if pairs else ""
    leads = [(reasoning + WORDS, "reasoning, text, call"), (reasoning, "reasoning, call"), ("", "call")]
    written = [call for vector in vectors_of(family) for call in with_long_strings(vector)]
    for (lead, what), (call, value) in itertools.product(leads, written):
        found = calls_of(result(Case(family, ""), [lead + call]).pieces)
        if any(value in arguments.values() for _, arguments in found):
            return lead + call, what
    return reasoning + WORDS, "reasoning, text; no vector shows how a call is written"


def with_long_strings(vector: Vector) -> Iterator[tuple[str, str]]:
    """The vector's reply with 4 kB in place of a string of its only call, and that string, most realistic first."""
    if len(vector.calls) != 1 or vector.reasoning or vector.reasoning_open:
        return
    for value in vector.calls[0][1].values():
        if isinstance(value, str) and len(value) > 1 and vector.text.count(value) == 1:
            for long in (CODE, PLAIN):
                for inserted in (json.dumps(long)[1:-1], long):
                    yield vector.text.replace(value, inserted), long


def seconds(family: str, chunks: Iterable[str]) -> float:
    """Of this process, for one reply."""
    case, parts = Case(family, ""), list(chunks)
    began = time.process_time()
    result(case, parts)
    return time.process_time() - began


@pytest.mark.parametrize("family", READ)
def test_streaming(figures: Figures, family: str) -> None:
    """A reply as models write it, streamed; the best of seven rounds."""
    text, what = realistic(family)
    rng, chunks, at = random.Random(7), [], 0
    while at < len(text):
        chunks.append(text[at : at + rng.randint(1, 7)])
        at += len(chunks[-1])
    rate = len(text) / min(seconds(family, chunks) for _ in range(7))
    figures.add(f"chars_per_s_{family}", rate, f"{len(text):,} characters in {len(chunks):,} chunks: {what}")


@pytest.mark.parametrize("family", READ)
def test_the_worst_megabyte(figures: Figures, family: str) -> None:
    """A megabyte of what costs most of all that a family's markers and fillers can be made to, found on less."""
    sample = MEGABYTE // 100
    for way, cut in {"chunks of 4": fed, "one chunk": lambda text: [text]}.items():
        costs = {one: seconds(family, cut(made_of(one, sample))) for one in adversaries(family)}
        worst = max(costs, key=costs.__getitem__)
        took = seconds(family, cut(made_of(worst, MEGABYTE)))
        figures.add(f"worst_mb_s_{family}_{way.replace(' ', '_')}", took, f"{way}: {worst!r}"[:120])
