"""What is whole of JSON that was cut, as the official SDKs' own reader sees it."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given
from jiter import from_json

from cortex.edge.dialects.partial_json import whole_part

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def as_sdks_read(text: str) -> object:
    return from_json(text.encode() or b"{}", partial_mode=True)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.data(), st.sampled_from([None, 2]))
def test_any_cut_is_read_as_the_sdks_read_it(value, data, indent):
    """After every character, pretty or not."""
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()), indent=indent)
    cut = text[: data.draw(st.integers(0, len(text)))]
    assert json.loads(whole_part(cut)) == as_sdks_read(cut)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", "{}"),
        ('{"path": "a.py", "content": "half a fi', '{"path": "a.py"}'),
        ('{"a": {"b": [1, {"c": "x', '{"a": {"b": [1, {}]}}'),
        ('{"a": 1.', "{}"),
        ('{"a": tr', "{}"),
        ('{"a": 12', '{"a": 12}'),
        ('{"a": "x\\', "{}"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": [1}', '{"a": [1]}'),
        ("]", "{}"),
    ],
)
def test_what_is_whole(text, whole):
    """Nothing of half a value."""
    assert whole_part(text) == whole


@given(st.text(alphabet='{}[]",:\\ 1truefalsn.-e', max_size=40))
def test_anything_has_a_part(text):
    """Also what no model was to write: it ends, and nothing is raised."""
    whole_part(text)


def test_what_is_deep_costs_its_length_alone():
    """A model that opens lists without end holds up nobody: closing them at each step took half a minute."""
    assert whole_part('{"a":' + "[" * 20_000) == '{"a":' + "[" * 20_000 + "]" * 20_000 + "}"
