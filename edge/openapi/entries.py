"""The table behind the OpenAPI document: what each route takes and answers. A route without a row fails a test. Pure.

A row's example is a body that the route serves; tests send it, hold the answer to the row's types, and send it with a
key that may not use its model.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from cortex.edge.dialects import (
    anthropic_body,
    openai_chat_body,
    openai_completions,
    openai_embeddings,
    openai_responses_body,
)
from cortex.edge.openapi import anthropic_replies, replies, responses_replies

Words = Literal["openai", "anthropic", "either", "none"]


class Entry(NamedTuple):
    """One route. `body` is a type, its answer is of one of `replies`, and each event of a stream, if it may stream, of one
    of `events`. `words` tells whose shape its failures have. `failures` are the statuses that it may fail with itself.
    """

    summary: str
    tag: str
    replies: tuple[object, ...]
    body: object = None
    example: dict[str, Any] | None = None
    events: tuple[object, ...] = ()
    event_lines: bool = False
    """Whether its events have an `event:` line beside their data."""
    words: Words = "openai"
    failures: tuple[int, ...] = ()
    query: tuple[str, ...] = ()
    """Parameters of its query, all of them optional texts."""
    also: tuple[tuple[int, object], ...] = ()
    """Further statuses with bodies of their own."""


ANY: tuple[int, ...] = (401, 500)
OF_A_MODEL = (*ANY, 403, 404, 503)
OF_A_BODY = (*OF_A_MODEL, 400, 408, 413, 415, 429, 507)
OF_A_RESPONSE = (*ANY, 400, 404, 503)
HI = [{"role": "user", "content": "Say hello."}]

ENTRIES: dict[str, Entry] = {
    "GET /": Entry("Name, version and routes", "gateway", (replies.About,), words="none"),
    "GET /livez": Entry("Is the process alive?", "gateway", (replies.Condition,), words="none"),
    "GET /readyz": Entry(
        "Can it serve?", "gateway", (replies.Condition,), words="none", also=((503, replies.Condition),)
    ),
    "GET /health": Entry("The fleet in short", "gateway", (replies.Health,), words="none"),
    "GET /openapi.json": Entry("This document", "gateway", (replies.Document,), failures=ANY),
    "GET /v1/models": Entry(
        "The models that may be asked for",
        "models",
        (replies.ModelList, anthropic_replies.AnthropicModelPage),
        words="either",
        failures=(*ANY, 400),
        query=("limit", "after_id", "before_id"),
    ),
    "GET /v1/models/{id}": Entry(
        "One of them, by any of its names",
        "models",
        (replies.Model, anthropic_replies.AnthropicModel),
        words="either",
        failures=OF_A_MODEL,
    ),
    "POST /v1/chat/completions": Entry(
        "A chat, as OpenAI's clients ask for it",
        "openai",
        (replies.ChatCompletion,),
        body=openai_chat_body.Body,
        example={"model": "MODEL", "messages": HI, "max_tokens": 16},
        events=(replies.ChatChunk, replies.Error),
        failures=OF_A_BODY,
    ),
    "POST /v1/messages": Entry(
        "A chat, as Anthropic's clients ask for it",
        "anthropic",
        (anthropic_replies.Message,),
        body=anthropic_body.Body,
        example={"model": "MODEL", "messages": HI, "max_tokens": 16},
        events=(anthropic_replies.MessageEvent, anthropic_replies.AnthropicError),
        event_lines=True,
        words="anthropic",
        failures=OF_A_BODY,
    ),
    "POST /v1/messages/count_tokens": Entry(
        "How many tokens a chat has",
        "anthropic",
        (anthropic_replies.TokenCount,),
        body=anthropic_body.Body,
        example={"model": "MODEL", "messages": HI},
        words="anthropic",
        failures=OF_A_BODY,
    ),
    "POST /v1/completions": Entry(
        "A text that goes on, the old way without roles",
        "openai",
        (replies.Completion,),
        body=openai_completions.Body,
        example={"model": "MODEL", "prompt": "Once upon a time", "max_tokens": 16},
        events=(replies.Completion, replies.Error),
        failures=OF_A_BODY,
    ),
    "POST /v1/responses": Entry(
        "An answer that may be kept for an hour",
        "responses",
        (responses_replies.Response,),
        body=openai_responses_body.Body,
        example={"model": "MODEL", "input": "Say hello.", "max_output_tokens": 16},
        events=responses_replies.EVENTS,
        event_lines=True,
        failures=OF_A_BODY,
    ),
    "POST /v1/responses/input_tokens": Entry(
        "How many tokens an input has",
        "responses",
        (responses_replies.InputTokens,),
        body=openai_responses_body.CountBody,
        example={"model": "MODEL", "input": "Say hello."},
        failures=OF_A_BODY,
    ),
    "POST /v1/responses/compact": Entry("Not done here", "responses", (), failures=(*ANY, 413, 415, 501)),
    "GET /v1/responses/{response_id}": Entry(
        "A response that was kept",
        "responses",
        (responses_replies.Response,),
        failures=OF_A_RESPONSE,
        query=("stream",),
    ),
    "DELETE /v1/responses/{response_id}": Entry(
        "Keep it no longer", "responses", (responses_replies.Deleted,), failures=OF_A_RESPONSE
    ),
    "POST /v1/responses/{response_id}/cancel": Entry(
        "Refused: what is kept has ended", "responses", (), failures=(*OF_A_RESPONSE, 413)
    ),
    "GET /v1/responses/{response_id}/input_items": Entry(
        "What led to a response",
        "responses",
        (responses_replies.InputItems,),
        failures=OF_A_RESPONSE,
        query=("order", "limit", "after"),
    ),
    "POST /v1/embeddings": Entry(
        "Vectors of texts",
        "openai",
        (replies.EmbeddingList,),
        body=openai_embeddings.Body,
        example={"model": "MODEL", "input": ["hello", "world"]},
        failures=OF_A_BODY,
    ),
}
