"""The residency of a model as a table: what may follow what, and nothing else."""

from itertools import product

import pytest

from cortex.neuron.lifecycle import TRANSITIONS, State, Trigger, after
from cortex.protocol.transitions import IllegalTransitionError
from cortex.protocol.values import ModelState


@pytest.mark.parametrize(
    ("triggers", "end"),
    [
        ((Trigger.PLACED, Trigger.LOADED, Trigger.EVICTED, Trigger.LEFT), State.COLD),
        ((Trigger.PLACED, Trigger.LOAD_FAILED, Trigger.PLACED, Trigger.LOADED), State.HOT),
        ((Trigger.PLACED, Trigger.LOAD_FAILED, Trigger.FORGOTTEN), State.COLD),
        ((Trigger.PLACED, Trigger.LAPSED), State.COLD),
        ((Trigger.PLACED, Trigger.EVICTED, Trigger.LEFT), State.COLD),
    ],
)
def test_a_model_goes_its_ways(triggers: tuple[Trigger, ...], end: State) -> None:
    """Loaded and evicted, failed and tried again, failed and forgotten, lapsed, given up."""
    state = State.COLD
    for trigger in triggers:
        state = after(state, trigger)
    assert state is end


@pytest.mark.parametrize(("state", "trigger"), sorted(set(product(State, Trigger)) - TRANSITIONS.keys()))
def test_any_other_step_is_an_error_that_names_both(state: State, trigger: Trigger) -> None:
    """State and event are in the message."""
    with pytest.raises(IllegalTransitionError, match=f"{trigger} while {state}"):
        after(state, trigger)


def test_its_words_are_the_protocols() -> None:
    """What brokers are told is what the table says."""
    assert {state.value for state in State} <= set(ModelState.__args__)  # type: ignore[attr-defined]


def test_from_every_state_a_model_can_become_hot() -> None:
    """Nothing is final."""
    for start in State:
        reached = {start}
        while True:
            more = {end for (state, _), end in TRANSITIONS.items() if state in reached} | reached
            if more == reached:
                break
            reached = more
        assert State.HOT in reached
