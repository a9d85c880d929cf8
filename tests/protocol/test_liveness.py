"""Late and gone: arithmetic over the moments at which a peer was heard."""

from __future__ import annotations

import pytest
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


def looked(silence: liveness.Silence, since: float, until: float, *, reaches: bool = True) -> float | None:
    """Look four times a second; answers when it was over long."""
    moments = [since + step / 4 for step in range(int(4 * (until - since)) + 1)]
    return next((now for now in moments if silence.is_over_long(now, reaches=reaches)), None)


def test_a_connection_over_which_nothing_is_heard_is_given_up_after_three_beats() -> None:
    """Counted from when it stood, and from what was heard last."""
    silence = liveness.Silence(0.0)
    assert looked(silence, 0.0, 10.0) == 3.0
    silence = liveness.Silence(0.0)
    assert looked(silence, 0.0, 2.0) is None
    silence.heard()
    assert looked(silence, 2.0, 10.0, reaches=False) == 5.0


def test_nobody_is_given_up_who_was_never_reached() -> None:
    """Finding somebody is the socket's own task."""
    assert looked(liveness.Silence(0.0), 0.0, 100.0, reaches=False) is None


def test_whoever_was_frozen_itself_hears_first_what_waits() -> None:
    """Between two looks a second counts at most."""
    silence = liveness.Silence(0.0)
    assert looked(silence, 0.0, 1.0) is None
    assert not silence.is_over_long(100.0, reaches=True)
    assert looked(silence, 100.0, 110.0) == 101.0


def test_each_connection_in_vain_is_given_twice_as_long_up_to_a_bound() -> None:
    """However long a broker is silent, it is not called anew all the time; one word, and all begins again."""
    silence, now, waits = liveness.Silence(0.0), 0.0, []
    for _ in range(6):
        over = looked(silence, now, now + 100.0)
        assert over is not None
        waits.append(over - now)
        silence.renewed()
        now = over
    assert waits == pytest.approx([3.0, 6.0, 12.0, 24.0, 24.0, 24.0], abs=0.5)
    silence.heard()
    assert looked(silence, now, now + 100.0) == now + 3.0
