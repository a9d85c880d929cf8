"""The taxonomy of faults: stable words, and a verdict on trying again."""

from __future__ import annotations

import pytest

from cortex.protocol.faults import RETRYABLE, Code, Fault, FaultError, fault

LASTING = {
    "invalid_request",
    "model_not_found",
    "context_length_exceeded",
    "request_too_large",
    "unsupported",
    "does_not_fit",
    "invalid_api_key",
    "model_not_allowed",
    "response_not_found",
    "previous_response_not_found",
    "unknown_request",
    "unsupported_message",
    "load_failed",
    "engine_failed",
    "cancelled",
    "internal_error",
}
PASSING = {
    "rate_limit_exceeded",
    "busy",
    "overloaded",
    "no_capacity",
    "draining",
    "neuron_lost",
    "broker_lost",
    "stream_gap",
    "stalled",
    "stale",
    "deadline_exceeded",
    "keys_unreadable",
    "tool_call_malformed",
}


def test_codes_are_stable_words() -> None:
    """Clients and dashboards see them: a renamed one breaks somebody."""
    assert {str(code) for code in Code} == LASTING | PASSING


@pytest.mark.parametrize("code", list(Code))
def test_every_code_says_whether_trying_again_can_help(code: Code) -> None:
    """The verdict belongs to the code and not to the place that raised it."""
    assert Fault(code=code, message="x").retryable == (code in RETRYABLE) == (str(code) in PASSING)


def test_a_fault_is_raised_as_an_exception_that_carries_it() -> None:
    """`fault()` builds what is raised; the value inside is what travels."""
    error = fault(Code.BUSY, "all slots taken", param="model", retry_after=2.0)
    assert isinstance(error, FaultError)
    assert str(error) == "all slots taken"
    assert error.fault == Fault(code=Code.BUSY, message="all slots taken", param="model", retry_after=2.0)
