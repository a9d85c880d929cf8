"""One table from fault to HTTP: status, type, headers, and the error object as a route's clients know it. Pure.

Messages come from faults only. An exception's text never reaches a client: it may hold an address or a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

import msgspec
from msgspec.structs import replace

from cortex.protocol.faults import Code, Fault

JSON_TYPE = "application/json"

STATUSES: dict[Code, tuple[int, str]] = {
    Code.INVALID_REQUEST: (400, "invalid_request_error"),
    Code.MODEL_NOT_FOUND: (404, "invalid_request_error"),
    Code.RESPONSE_NOT_FOUND: (404, "invalid_request_error"),
    Code.PREVIOUS_RESPONSE_NOT_FOUND: (404, "invalid_request_error"),
    Code.CONTEXT_LENGTH_EXCEEDED: (400, "invalid_request_error"),
    Code.REQUEST_TOO_LARGE: (413, "invalid_request_error"),
    Code.UNSUPPORTED: (400, "invalid_request_error"),
    Code.DOES_NOT_FIT: (507, "server_error"),
    Code.RATE_LIMITED: (429, "rate_limit_error"),
    Code.INVALID_API_KEY: (401, "invalid_request_error"),
    Code.MODEL_NOT_ALLOWED: (403, "invalid_request_error"),
    Code.BUSY: (503, "server_error"),
    Code.OVERLOADED: (503, "server_error"),
    Code.NO_CAPACITY: (503, "server_error"),
    Code.DRAINING: (503, "server_error"),
    Code.NEURON_LOST: (503, "server_error"),
    Code.BROKER_LOST: (503, "server_error"),
    Code.STREAM_GAP: (503, "server_error"),
    Code.STALLED: (503, "server_error"),
    Code.STALE: (503, "server_error"),
    Code.DEADLINE: (503, "server_error"),
    Code.KEYS_UNREADABLE: (503, "server_error"),
    Code.TOOL_CALL_MALFORMED: (500, "server_error"),
    Code.UNKNOWN_REQUEST: (500, "server_error"),
    Code.UNSUPPORTED_MESSAGE: (500, "server_error"),
    Code.LOAD_FAILED: (503, "server_error"),
    Code.ENGINE_FAILED: (500, "server_error"),
    Code.CANCELLED: (499, "server_error"),
    Code.INTERNAL: (500, "server_error"),
}

RETRY_AFTER: dict[Code, int] = {Code.NO_CAPACITY: 5, Code.OVERLOADED: 2, Code.RATE_LIMITED: 2}
"""Seconds to wait where the fault itself does not say; 1 for all others."""

ANTHROPIC_TYPES: dict[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Status → Anthropic's type; others are `invalid_request_error` below 500 and `api_error` from there.

What passes stays a 503 there too, with `retry-after`: clients wait as they are told. At a 529 some agents give up after
a few tries, or go over to another model.
"""

# Failures of HTTP itself, which never cross a socket of ours and so are no `Code`.
HTTP_CODES: dict[int, str] = {
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    411: "length_required",
    413: "request_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    426: "upgrade_required",
    431: "headers_too_large",
    501: "not_implemented",
}


def status_of(fault: Fault) -> int:
    """The HTTP status that a fault is reported with."""
    return STATUSES[fault.code][0]


class Shape(Protocol):
    """How some routes word a failure."""

    id_headers: tuple[bytes, ...]
    """Names of the headers that tell the request's id, in every answer."""

    def fault(self, fault: Fault, request_id: str) -> bytes:
        """The body that tells of a fault."""

    def http(self, status: int, message: str, request_id: str) -> bytes:
        """The body that tells of a failure of HTTP itself."""


class _OpenAI:
    id_headers: tuple[bytes, ...] = (b"x-request-id",)

    def fault(self, fault: Fault, request_id: str) -> bytes:  # noqa: ARG002  # the header tells it
        return envelope(fault)

    def http(self, status: int, message: str, request_id: str) -> bytes:  # noqa: ARG002
        return http_envelope(status, message)


class _Responses(_OpenAI):
    """As OpenAI's other routes; what an engine found in the messages, the client sent as its `input`."""

    def fault(self, fault: Fault, request_id: str) -> bytes:
        if fault.param == "messages":
            rest = fault.message.removeprefix("messages ")
            message = fault.message if rest == fault.message else f"input {rest}"
            fault = replace(fault, param="input", message=message)
        return super().fault(fault, request_id)


class _Anthropic:
    id_headers: tuple[bytes, ...] = (b"x-request-id", b"request-id")

    def fault(self, fault: Fault, request_id: str) -> bytes:
        message = fault.message
        if fault.code is Code.CONTEXT_LENGTH_EXCEEDED:
            message = _too_long(fault)
        return self._body(status_of(fault), message, fault.code.value, request_id)

    def http(self, status: int, message: str, request_id: str) -> bytes:
        return self._body(status, message, HTTP_CODES.get(status, "invalid_request"), request_id)

    def _body(self, status: int, message: str, code: str, request_id: str) -> bytes:
        kind = ANTHROPIC_TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
        error = {"type": kind, "message": message, "details": {"error_code": code}}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})


OPENAI: Shape = _OpenAI()
RESPONSES: Shape = _Responses()
ANTHROPIC: Shape = _Anthropic()
OPENAI_ALONE = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/embeddings"})


def shape_of(path: str, headers: Iterable[tuple[bytes, bytes]]) -> Shape:
    """Whose words a request is refused in.

    Models are asked for by clients of both, and an address where there is nothing by anybody: the version that
    Anthropic's clients name tells who asks.
    """
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return ANTHROPIC
    if path == "/v1/responses" or path.startswith("/v1/responses/"):
        return RESPONSES
    if path in OPENAI_ALONE:
        return OPENAI
    return ANTHROPIC if any(name == b"anthropic-version" for name, _ in headers) else OPENAI


def envelope(fault: Fault) -> bytes:
    """The OpenAI error object."""
    return _envelope(fault.message, STATUSES[fault.code][1], fault.code.value, fault.param)


def http_envelope(status: int, message: str) -> bytes:
    """The OpenAI error object of a failure of HTTP itself."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return _envelope(message, kind, HTTP_CODES.get(status, "invalid_request"), None)


def _envelope(message: str, kind: str, code: str, param: str | None) -> bytes:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return msgspec.json.encode({"error": error})


def _too_long(fault: Fault) -> str:
    """The words that agents read both numbers from, to know how much they have to leave out."""
    if fault.tokens is None or fault.limit is None:
        return f"prompt is too long: {fault.message}"
    # A prompt that fills the context leaves no token for the answer.
    return f"prompt is too long: {fault.tokens} tokens > {min(fault.limit, fault.tokens - 1)} maximum"


def headers_of(fault: Fault) -> dict[str, str]:
    """`Retry-After` where waiting helps, `x-should-retry: false` where trying again cannot, how to present a key."""
    headers: dict[str, str] = {}
    if status_of(fault) == 401:
        headers["www-authenticate"] = "Bearer"
    if status_of(fault) in (429, 503):
        after = fault.retry_after if fault.retry_after is not None else RETRY_AFTER.get(fault.code, 1)
        headers["retry-after"] = str(max(1, math.ceil(after)))
    if not fault.retryable:
        headers["x-should-retry"] = "false"
    return headers


def internal(request_id: str) -> Fault:
    """What a client is told about a fault in our own code."""
    return Fault(
        code=Code.INTERNAL,
        message=f"The gateway failed on this request; tell its operator request id {request_id}.",
    )
