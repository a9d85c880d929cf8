"""The scan that measures JSON before anything decodes it."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.edge.dialects.json_limits import MAX_DEPTH, problem

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, width=32)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(values)
def test_ordinary_json_passes(value):
    """Whatever json.dumps makes of ordinary values is within the limits."""
    text = json.dumps(value)
    assert problem(text.encode()) is None or "e-" in text


@pytest.mark.parametrize(
    "text",
    [
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1),
        '{"a": ' + "9" * 30 + "}",
        '{"a": -' + "9" * 20 + "}",
        '{"a": 1e999}',
        '{"a": 1E+400}',
    ],
)
def test_what_breaks_decoders_is_named(text):
    """Depth beyond the limit, integers beyond 19 digits and huge exponents are problems."""
    assert problem(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "[" * MAX_DEPTH + "]" * MAX_DEPTH,
        "[[], []]" * 100,
        '{"a": "' + "[" * 99 + "9" * 99 + '"}',
        '{"a": "\\"[[[[' + "[" * 99 + '"}',
        "1234567890123456789",
        "0.12345678901234567890123456789",
    ],
)
def test_what_is_harmless_passes(text):
    """Brackets and digits inside strings, long fractions and the limit itself are no problem."""
    assert problem(text.encode()) is None


@pytest.mark.parametrize("unit", [b'\\"', b'"', b"\\", b'"\\', b"[", b"9", b'a"b\\'])
def test_time_grows_with_length_alone(unit):
    """No input makes the scan quadratic."""
    began = time.perf_counter()
    problem(b'"' + unit * 300_000, max_depth=10**9)
    assert time.perf_counter() - began < 3
