"""The table of a request's life."""

from __future__ import annotations

import itertools

import pytest
from broker_bench import Bench

from cortex.broker.lifecycle import TRANSITIONS, State, Trigger, after
from cortex.protocol.transitions import IllegalTransitionError


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(State, Trigger)))
def test_a_pair_is_in_the_table_or_illegal(state: State, trigger: Trigger) -> None:
    """Every pair has one answer, and an illegal one names both."""
    if (state, trigger) in TRANSITIONS:
        assert after(state, trigger) is TRANSITIONS[state, trigger]
    else:
        with pytest.raises(IllegalTransitionError, match=f"{trigger} while {state}"):
            after(state, trigger)


def test_an_illegal_trigger_changes_nothing() -> None:
    """A request keeps its state when it is asked for the impossible."""
    bench = Bench()
    bench.join(m=1)
    bench.submit("r")
    request = bench.broker.requests.live["r", 1]
    with pytest.raises(IllegalTransitionError):
        request.on(Trigger.DISPATCHED)
    assert request.state is State.ASSIGNED
    bench.broker.check()


def test_every_state_can_end_and_nothing_follows_the_end() -> None:
    """From each state there is a way out, and none from the end."""
    assert {state for state, trigger in TRANSITIONS if trigger is Trigger.ENDED} == set(State) - {State.ENDED}
    assert not any(state is State.ENDED for state, _ in TRANSITIONS)
