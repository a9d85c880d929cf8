"""One taxonomy of what can go wrong, whose fault it is, and whether trying again can help.

A `Fault` is a value that travels; `FaultError` is the exception that carries one inside a process. HTTP statuses
are the edge's business: each dialect has its own table from code to status.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Code(StrEnum):
    """What went wrong. The values are stable: clients and dashboards see them."""

    # the client's
    INVALID_REQUEST = "invalid_request"
    MODEL_NOT_FOUND = "model_not_found"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    RESPONSE_NOT_FOUND = "response_not_found"
    PREVIOUS_RESPONSE_NOT_FOUND = "previous_response_not_found"
    REQUEST_TOO_LARGE = "request_too_large"
    UNSUPPORTED = "unsupported"
    DOES_NOT_FIT = "does_not_fit"
    RATE_LIMITED = "rate_limit_exceeded"
    INVALID_API_KEY = "invalid_api_key"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    # ours, passing
    BUSY = "busy"
    OVERLOADED = "overloaded"
    NO_CAPACITY = "no_capacity"
    DRAINING = "draining"
    NEURON_LOST = "neuron_lost"
    BROKER_LOST = "broker_lost"
    STREAM_GAP = "stream_gap"
    STALLED = "stalled"
    STALE = "stale"
    DEADLINE = "deadline_exceeded"
    KEYS_UNREADABLE = "keys_unreadable"
    TOOL_CALL_MALFORMED = "tool_call_malformed"
    # ours, lasting
    UNKNOWN_REQUEST = "unknown_request"
    UNSUPPORTED_MESSAGE = "unsupported_message"
    LOAD_FAILED = "load_failed"
    ENGINE_FAILED = "engine_failed"
    CANCELLED = "cancelled"
    INTERNAL = "internal_error"


RETRYABLE = frozenset(
    {
        Code.RATE_LIMITED,
        Code.BUSY,
        Code.OVERLOADED,
        Code.NO_CAPACITY,
        Code.DRAINING,
        Code.NEURON_LOST,
        Code.BROKER_LOST,
        Code.STREAM_GAP,
        Code.STALLED,
        Code.STALE,
        Code.DEADLINE,
        Code.KEYS_UNREADABLE,
        Code.TOOL_CALL_MALFORMED,
    }
)


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One failure: `param` names the field at fault, `retry_after` is in seconds.

    Of a prompt that is too long, `tokens` is its length, or as far as it was counted, and `limit` the model's context.
    """

    code: Code
    message: str
    param: str | None = None
    retry_after: float | None = None
    tokens: int | None = None
    limit: int | None = None

    @property
    def retryable(self) -> bool:
        return self.code in RETRYABLE


class FaultError(Exception):
    """Raised where a fault must cross several frames of our own code; the seam turns it back into a value."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def fault(
    code: Code,
    message: str,
    *,
    param: str | None = None,
    retry_after: float | None = None,
    tokens: int | None = None,
    limit: int | None = None,
) -> FaultError:
    """Build the exception that carries a new fault, ready to be raised."""
    return FaultError(
        Fault(code=code, message=message, param=param, retry_after=retry_after, tokens=tokens, limit=limit)
    )
