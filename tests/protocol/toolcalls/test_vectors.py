"""Replies of all families: what each means, however it is cut into chunks."""

from __future__ import annotations

import importlib
import pkgutil
import random

import pytest
import toolcall_replies
from toolcall_vectors import Vector, calls_of, content_of, meaning, reasoning_of

from cortex.protocol.deltas import ToolStart
from cortex.protocol.toolcalls.families import FAMILIES, MESSAGES

VECTORS: list[Vector] = [
    vector
    for module in pkgutil.iter_modules(toolcall_replies.__path__)
    for vector in importlib.import_module(f"toolcall_replies.{module.name}").VECTORS
]


def test_every_vector_has_a_name_of_its_own() -> None:
    """Failures name the vector."""
    names = [f"{vector.family}/{vector.id}" for vector in VECTORS]
    assert sorted(set(names)) == sorted(names)


def test_every_family_has_vectors() -> None:
    """No family is left out."""
    assert {vector.family for vector in VECTORS} >= {*FAMILIES, *MESSAGES}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector.family}/{vector.id}")
def test_a_reply_means_what_it_says(vector: Vector) -> None:
    """Text, reasoning, calls with their arguments, and what had to be done for it."""
    whole = meaning(vector, [vector.text])
    assert content_of(whole.pieces) == vector.content
    assert reasoning_of(whole.pieces) == vector.reasoning
    assert calls_of(whole.pieces) == vector.calls
    assert whole.notes == vector.notes
    assert whole.broken is vector.broken
    if not vector.broken and not vector.cut:
        started = [piece for piece in whole.pieces if isinstance(piece, ToolStart)]
        assert len(started) == len(vector.calls), "every call that began has ended"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector.family}/{vector.id}")
def test_chunks_never_matter(vector: Vector) -> None:
    """One character at a time, cut in two anywhere, or in random pieces: always the same."""
    text = vector.text
    whole = meaning(vector, [text])
    assert meaning(vector, text) == whole
    for at in range(1, len(text)):
        assert meaning(vector, [text[:at], text[at:]]) == whole, at
    rng = random.Random(len(text))
    for _ in range(5):
        cuts = sorted(rng.choices(range(len(text) + 1), k=8))
        assert (
            meaning(vector, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]) == whole
        )
