"""What a model may say, as hypothesis draws it, and how the official client hears it: no socket, bytes cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import httpx
from hypothesis import strategies as st
from openai import OpenAI

from cortex.edge.dialects.dialect import Encoder
from cortex.protocol.deltas import (
    Delta,
    Finish,
    Piece,
    ReasoningPiece,
    Score,
    Scores,
    TextPiece,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from cortex.protocol.values import Usage

USAGE = Usage(prompt=10, completion=4, cached=6, reasoning=1)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


def score_of(text: str) -> Scores:
    return Scores([Score(text.encode(), -0.5, [(text.encode(), -0.5), (b"\xc3", -1.0)])])


@st.composite
def replies(
    draw: st.DrawFn, *, calls: bool = True, reasoning: bool = True, scores: bool = True
) -> list[Piece]:
    """Stretches of reasoning, text and calls in any order, then a finish; a cut may leave a call without its end."""
    kinds = ["text", *(["calls"] if calls else []), *(["reasoning"] if reasoning else [])]
    pieces: list[Piece] = []
    made = 0
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=5)):
        texts = draw(st.lists(TEXTS, min_size=1, max_size=3))
        if kind == "text":
            rated = scores and draw(st.booleans())
            for text in texts:
                pieces += [score_of(text), TextPiece(text)] if rated else [TextPiece(text)]
        elif kind == "reasoning":
            pieces += [ReasoningPiece(text) for text in texts]
        else:
            pieces.append(ToolStart(made, f"call_{made}", "look"))
            pieces += [ToolArguments(made, text) for text in texts]
            pieces.append(ToolEnd(made))
            made += 1
    reason = draw(st.sampled_from(["stop", "length"]))
    if reason == "length" and pieces and isinstance(pieces[-1], ToolEnd):
        pieces.pop()
    return [*pieces, Finish(reason)]


@st.composite
def deltas(draw: st.DrawFn, pieces: Sequence[Piece], choice: int = 0) -> list[Delta]:
    """The pieces, cut into deltas anywhere."""
    found, rest = [], list(pieces)
    while rest:
        size = draw(st.integers(1, len(rest)))
        found.append(Delta("r", 1, choice, 0, [1], rest[:size]))
        rest = rest[size:]
    return found


def stream_of(encoder: Encoder, said: Sequence[Delta]) -> bytes:
    """A whole stream, with a sign of life in it."""
    body = encoder.start(Usage()) + encoder.quiet(b": ping\n\n", 0.0)
    return body + b"".join(encoder.push(delta) for delta in said) + encoder.end(USAGE)


def client_for(body: bytes, *, size: int = 0) -> OpenAI:
    """The official client, to whom every request is answered with this body; streamed, in chunks of `size` bytes."""

    class Chunks(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from (body[start : start + size] for start in range(0, len(body), size))

    def answer(_request: httpx.Request) -> httpx.Response:
        if size:
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Chunks())
        return httpx.Response(200, headers={"content-type": "application/json"}, content=body)

    http: Any = httpx.Client(transport=httpx.MockTransport(answer))
    return OpenAI(base_url="http://test/v1", api_key="none", http_client=http, max_retries=0)
