"""The scan that measures JSON before anything decodes it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lines_run import lines_run

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


@pytest.mark.parametrize(
    "text",
    ['{"a": "' + "9" * 30 + '"}', "[1.5e10, 12E-99, -0.5]", '["1e999", true, 1234567890123456789e9]'],
)
def test_what_looks_wide_is_looked_at(text):
    """Digits in strings, and small exponents, are no wide numbers."""
    assert problem(text.encode()) is None


@pytest.mark.parametrize("text", ["12345678901234567890e5", "0.5e100", "[1, 2.0e-1000]"])
def test_wide_numbers_with_all_their_parts_are_found(text):
    """A fraction may be long; what stands before it, and an exponent, may not."""
    assert problem(text.encode())


@pytest.mark.parametrize("unit", ["[],", '{"a":[1]},', '"\\"",', '"[",', "1,", "[" * 30 + "]" * 30 + ","])
@pytest.mark.parametrize(("last", "found"), [("1", False), ("1" * 20, True), ("[" * 32 + "]" * 32, True)])
def test_no_line_of_ours_runs_for_a_token(unit, last, found):
    """However many there are, the scan is a handful of calls."""
    data = ("[" + unit * 50_000 + last + "]").encode()
    assert lines_run(lambda: problem(data)) < 40
    assert (problem(data) is not None) == found
