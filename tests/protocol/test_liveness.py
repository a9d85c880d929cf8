"""Late and gone: arithmetic over the moments at which a peer was heard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cortex.protocol import liveness


def test_three_missed_beats_are_gone() -> None:
    """Two missed beats are not, the third is, to the moment."""
    assert not liveness.is_gone(10.0, 10.0)
    assert not liveness.is_gone(10.0, 12.999)
    assert liveness.is_gone(10.0, 13.0)


def test_death_is_noticed_within_the_promise() -> None:
    """A dead process is gone within 3.5 s: the expiry and half a second to look."""
    assert liveness.EXPIRY + 0.5 <= 3.5


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_gone_is_what_has_expired(seen: float, now: float) -> None:
    """The predicate and the deadline never disagree."""
    assert liveness.is_gone(seen, now) == (now >= liveness.expires_at(seen))
