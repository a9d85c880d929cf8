"""Which names somebody may have meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.protocol.nearest import FEW, did_you_mean, nearest

NAMES = ("Qwen/Qwen3-8B", "qwen3-0.6b", "demo", "fast", "org/gpt-oss-20b")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Qwen/Qwen3-8b", "Qwen/Qwen3-8B"),
        ("qwen3-8b", "Qwen/Qwen3-8B"),
        ("qwen3-06b", "qwen3-0.6b"),
        ("openai/gpt-oss-20b", "org/gpt-oss-20b"),
        ("gpt-oss", "org/gpt-oss-20b"),
        ("demmo", "demo"),
        ("DEMO", "demo"),
    ],
)
def test_the_nearest_comes_first(written: str, meant: str) -> None:
    """Whatever its case and its maker."""
    assert nearest(written, NAMES)[0] == meant


@pytest.mark.parametrize("written", ["", "zzz", "claude-opus-4"])
def test_what_is_like_nothing_has_no_hint(written: str) -> None:
    """A wrong hint is worse than none."""
    assert nearest(written, NAMES) == ()


@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=20))
def test_a_hint_is_a_name_that_there_is(written: str, names: list[str]) -> None:
    """A few of them, each once."""
    found = nearest(written, names)
    assert set(found) <= set(names)
    assert len(found) == len(set(found)) <= FEW


def test_it_is_put_as_a_question() -> None:
    """Of one, of two, and of none."""
    assert did_you_mean(["a"]) == " Did you mean 'a'?"
    assert did_you_mean(["a", "b"]) == " Did you mean 'a' or 'b'?"
    assert did_you_mean([]) == ""
