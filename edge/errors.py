"""One table from fault to HTTP: status, OpenAI type, headers, envelope. Pure.

Messages come from faults only. An exception's text never reaches a client: it may hold an address or a prompt.
"""

from __future__ import annotations

import math

import msgspec

from cortex.protocol.faults import Code, Fault

JSON_TYPE = "application/json"

STATUSES: dict[Code, tuple[int, str]] = {
    Code.INVALID_REQUEST: (400, "invalid_request_error"),
    Code.MODEL_NOT_FOUND: (404, "invalid_request_error"),
    Code.CONTEXT_LENGTH_EXCEEDED: (400, "invalid_request_error"),
    Code.REQUEST_TOO_LARGE: (413, "invalid_request_error"),
    Code.UNSUPPORTED: (400, "invalid_request_error"),
    Code.DOES_NOT_FIT: (507, "server_error"),
    Code.RATE_LIMITED: (429, "rate_limit_error"),
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


def headers_of(fault: Fault) -> dict[str, str]:
    """`Retry-After` where waiting helps, `x-should-retry: false` where trying again cannot."""
    headers: dict[str, str] = {}
    if status_of(fault) in (429, 503):
        after = fault.retry_after if fault.retry_after is not None else RETRY_AFTER.get(fault.code, 1)
        headers["retry-after"] = str(max(1, math.ceil(after)))
    if not fault.retryable and status_of(fault) != 503:
        headers["x-should-retry"] = "false"
    return headers


def internal(request_id: str) -> Fault:
    """What a client is told about a fault in our own code."""
    return Fault(
        code=Code.INTERNAL,
        message=f"The gateway failed on this request; tell its operator request id {request_id}.",
    )
