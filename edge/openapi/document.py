"""The OpenAPI 3.1 document of the routes that an app has, made from the table of entries. Pure, and made once.

It says what is so: bodies are typed as they are read, fields that nobody knows are ignored, and values that make no
sense are a 400 that names the field, which no schema of a body could tell in full.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from cortex.edge.openapi import anthropic_replies, replies
from cortex.edge.openapi.entries import ENTRIES, Entry
from cortex.edge.openapi.schemas import Components, Schema, one_of

JSON, EVENTS = "application/json", "text/event-stream"

ABOUT = """One API in front of a fleet of hosts that serve language models.

Null means absent, and fields that are not described here are ignored. Every answer has the header `x-request-id`.
Failures that may pass have `retry-after`; those that trying again cannot help have `x-should-retry: false`."""
FAILURES = {
    400: "The request is wrong; the message names the field and says what to do.",
    401: "The API key is missing, wrong, expired or revoked.",
    403: "The API key may not use this model.",
    404: "There is nothing of this name.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not declared to be JSON, or it is compressed.",
    429: "This client has too many requests; `retry-after` says when to come back.",
    500: "The request failed here.",
    501: "This is not implemented.",
    503: "It cannot be served now; `retry-after` says when to come back.",
    507: "The model fits on no device of the fleet.",
}
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
ASKED: list[Schema] = [{"bearer": []}, {"key": []}, {}]
"""A key in either header, or none where the gateway has no keys."""
WORDS: dict[str, tuple[object, ...]] = {
    "openai": (replies.Error,),
    "anthropic": (anthropic_replies.AnthropicError,),
    "either": (replies.Error, anthropic_replies.AnthropicError),
}


@lru_cache(maxsize=4)
def document(routes: tuple[str, ...], version: str) -> bytes:
    """The document, as JSON, of routes written `METHOD /path`; those without an entry are left out."""
    components = Components()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if (entry := ENTRIES.get(route)) is not None:
            method, _, path = route.partition(" ")
            paths.setdefault(path, {})[method.lower()] = _operation(components, path, method, entry)
    content = {
        "openapi": "3.1.0",
        "info": {"title": "cortex", "version": version, "description": ABOUT},
        "servers": [{"url": "/", "description": "Wherever this document was read."}],
        "security": ASKED,
        "paths": paths,
        "components": {"schemas": components.schemas, "securitySchemes": SECURITY},
    }
    return msgspec.json.encode(content)


def _operation(components: Components, path: str, method: str, entry: Entry) -> Schema:
    operation: Schema = {
        "operationId": _id_of(method, path),
        "summary": entry.summary,
        "tags": [entry.tag],
        "responses": _responses(components, entry),
    }
    if parameters := [*_in_path(path), *_beside(entry)]:
        operation["parameters"] = parameters
    if entry.body is not None:
        content: Schema = {"schema": components.of(entry.body)}
        if entry.example is not None:
            content["example"] = entry.example
        operation["requestBody"] = {"required": True, "content": {JSON: content}}
    if entry.words == "none":
        operation["security"] = []
    return operation


def _responses(components: Components, entry: Entry) -> Schema:
    content: Schema = {JSON: {"schema": one_of(components, entry.replies)}} if entry.replies else {}
    if entry.events:
        content[EVENTS] = {"schema": _event(one_of(components, entry.events), lines=entry.event_lines)}
    responses: Schema = {"200": {"description": "The answer.", "content": content}} if content else {}
    for status, kind in entry.also:
        responses[str(status)] = {
            "description": "Not now.",
            "content": {JSON: {"schema": components.of(kind)}},
        }
    if entry.words != "none":
        schema = one_of(components, WORDS[entry.words])
        for status in sorted(entry.failures):
            responses[str(status)] = {"description": FAILURES[status], "content": {JSON: {"schema": schema}}}
        responses["default"] = {
            "description": "A failure of HTTP itself.",
            "content": {JSON: {"schema": schema}},
        }
    return responses


def _event(shape: Schema, *, lines: bool) -> Schema:
    """One event of a stream, for before OpenAPI 3.2 there is no word for all of them."""
    data: Schema = {"type": "string", "contentMediaType": JSON, "contentSchema": shape}
    told: Schema = {
        "type": "object",
        "description": "With `stream: true`, each event; there are comments in between.",
        "properties": {"data": data if lines else {"anyOf": [data, {"const": "[DONE]"}]}},
        "required": ["data"],
    }
    if lines:
        told["properties"]["event"] = {"type": "string"}
        told["required"].append("event")
    return told


def _in_path(path: str) -> list[Schema]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            "description": "The ids of models may hold slashes, encoded or not."
            if name == "id"
            else "Its id.",
        }
        for name in names
    ]


def _beside(entry: Entry) -> list[Schema]:
    found: list[Schema] = [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in entry.query
    ]
    if entry.words == "either":
        found.append(
            {
                "name": "anthropic-version",
                "in": "header",
                "schema": {"type": "string", "pattern": "^[0-9-]+$"},
                "description": "With it, whatever it says, answers and failures have Anthropic's shape.",
            }
        )
    return found


def _id_of(method: str, path: str) -> str:
    words = [part.strip("{}").replace(".", "_") for part in path.split("/") if part]
    return "_".join([method.lower(), *(words or ["root"])])
