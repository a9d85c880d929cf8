"""The life of a request inside the broker, as a table.

    waiting ──▶ assigned ──▶ running ──▶ (ended)
       ▲           │ refused,    │
       └───────────┘ lost        ▼
                   └──────▶ cancelling ──▶ (ended)

`assigned`: sent to a neuron, which has not answered. `cancelling`: nobody waits for it any more, but the neuron's
slot stays taken until the neuron says that it is free (or is gone). An unknown pair is a fault of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from cortex.protocol.transitions import follow


class State(StrEnum):
    WAITING = "waiting"
    ASSIGNED = "assigned"
    RUNNING = "running"
    CANCELLING = "cancelling"
    ENDED = "ended"


class Trigger(StrEnum):
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    """The neuron had no room, or was lost before it answered: back to the front of the queue."""
    ABANDONED = "abandoned"
    """Nobody waits for the answer any more."""
    ENDED = "ended"


TRANSITIONS: Mapping[tuple[State, Trigger], State] = MappingProxyType(
    {
        (State.WAITING, Trigger.DISPATCHED): State.ASSIGNED,
        (State.WAITING, Trigger.ENDED): State.ENDED,
        (State.ASSIGNED, Trigger.ACCEPTED): State.RUNNING,
        (State.ASSIGNED, Trigger.RETURNED): State.WAITING,
        (State.ASSIGNED, Trigger.ABANDONED): State.CANCELLING,
        (State.ASSIGNED, Trigger.ENDED): State.ENDED,
        (State.RUNNING, Trigger.ABANDONED): State.CANCELLING,
        (State.RUNNING, Trigger.ENDED): State.ENDED,
        (State.CANCELLING, Trigger.ENDED): State.ENDED,
    }
)


def after(state: State, trigger: Trigger) -> State:
    """The state that follows, or `IllegalTransitionError`."""
    return follow(TRANSITIONS, state, trigger)
