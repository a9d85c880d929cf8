"""What a dialect costs: one text delta on its way to a client, and one vector. Measured, never asserted.

`make bench` runs it. Dialects are looked up by their names: one that is not there is skipped, with a note.
"""

from __future__ import annotations

import importlib
import json
import random
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from figures import Figures

from cortex.edge.dialects import openai_embeddings
from cortex.edge.dialects.dialect import Answered, Asked
from cortex.edge.keys import Keys
from cortex.protocol.deltas import Delta, TextPiece
from cortex.protocol.keys import KeyEntry, KeyFile, digest_of, key_of
from cortex.protocol.values import Usage

pytestmark = pytest.mark.bench

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
DIALECTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "openai_chat": ("openai_chat_reply", "OpenAIChat", CHAT),
    "anthropic": ("anthropic", "AnthropicMessages", {**CHAT, "max_tokens": 100}),
    "responses": ("openai_responses_reply", "OpenAIResponses", {"model": "m", "input": "hi", "stream": True}),
    "completions": (
        "openai_completions_reply",
        "OpenAICompletions",
        {"model": "m", "prompt": "hi", "stream": True},
    ),
}
ANSWERED = Answered("0123456789abcdef01234567", "some/model-32b", 1_790_000_000)
DELTAS, VECTORS, WIDTH, LOOKS = 20_000, 256, 1024, 20_000
KEYS = 1000


@pytest.fixture(scope="module")
def figures() -> Iterator[Figures]:
    collected = Figures("dialects", ("msgspec",))
    yield collected
    collected.write()


def best_us(work: Callable[[], object], count: int) -> float:
    """Microseconds for one of `count`, in the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return 1e6 * best / count


@pytest.mark.parametrize("name", DIALECTS)
def test_a_text_delta(figures: Figures, name: str) -> None:
    """Words of a few letters, one to a delta, in the middle of an answer."""
    module, of, body = DIALECTS[name]
    try:
        dialect = getattr(importlib.import_module(f"cortex.edge.dialects.{module}"), of)()
    except (ImportError, AttributeError):
        pytest.skip(f"no dialect {name} is here: {module}.{of}")
    parsed = dialect.parse(json.dumps(body).encode(), Asked(seed=1))
    source = random.Random(1)
    words = ["".join(source.choices("abcdefghij", k=source.randint(1, 9))) + " " for _ in range(DELTAS)]
    deltas = [Delta("r", 1, 0, n, [n], [TextPiece(word)]) for n, word in enumerate(words)]

    def encode() -> None:
        encoder = dialect.encoder(parsed, ANSWERED)
        encoder.start(Usage(prompt=7))
        for delta in deltas:
            encoder.push(delta)

    figures.add(f"encode_us_{name}", best_us(encode, DELTAS), f"one text delta of {DELTAS:,}, streamed")


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_a_vector(figures: Figures, encoding: str) -> None:
    """Of 1,024 numbers, as text and as bytes."""
    source = random.Random(1)
    body = {"model": "m", "input": ["x"] * VECTORS, "encoding_format": encoding}
    parsed = openai_embeddings.parse(json.dumps(body).encode())
    numbers = [source.gauss(0, 0.03) for _ in range(WIDTH)]
    vectors = struct.pack(f"<{WIDTH}f", *numbers) * VECTORS

    def encode() -> None:
        for _ in openai_embeddings.reply(parsed, vectors, Usage(prompt=VECTORS)):
            pass

    note = f"one vector of {WIDTH:,} numbers, {VECTORS} in a reply"
    figures.add(f"encode_us_embedding_{encoding}", best_us(encode, VECTORS), note)


def test_a_look_at_a_key(figures: Figures) -> None:
    """The right key among a thousand, and one that nobody has."""
    secret = "s" * 52
    entries = [KeyEntry(id=f"key{n:06}", name="n", digest=digest_of(secret)) for n in range(KEYS)]
    keys = Keys(KeyFile(keys=tuple(entries)))

    def look(credential: str) -> Callable[[], None]:
        def work() -> None:
            for _ in range(LOOKS):
                keys.holder((credential,), 0.0)

        return work

    note = f"{KEYS:,} keys"
    figures.add("key_us", best_us(look(key_of("key000999", secret)), LOOKS), note)
    figures.add("wrong_key_us", best_us(look(key_of("nobody", secret)), LOOKS), note)
