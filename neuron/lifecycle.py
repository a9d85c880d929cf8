"""The residency of one model on one device, as a table.

    cold ──placed──▶ loading ──loaded──▶ hot ──evicted──▶ draining ──left──▶ cold
     ▲ ▲               │  │                                  ▲
     │ └────lapsed─────┘  ├──────────────evicted─────────────┘
     │                    └─failed─▶ failed ──placed──▶ loading
     └──────────forgotten──────────────┘

    draining ──slept──▶ asleep ──placed──▶ loading;  asleep ──forgotten──▶ cold

`loading` begins with the reservation: whether it waits for its victims, for the other members of a replica over
several devices, or for the weights. `draining` ends what runs, then gives its memory back. What is `asleep` has nothing
of the device, and its weights in the host's memory. Knows no memory and no message. An unknown pair is a fault of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from cortex.protocol.transitions import follow


class State(StrEnum):
    COLD = "cold"
    LOADING = "loading"
    HOT = "hot"
    DRAINING = "draining"
    ASLEEP = "asleep"
    FAILED = "failed"


class Trigger(StrEnum):
    PLACED = "placed"
    LOADED = "loaded"
    LOAD_FAILED = "load_failed"
    LAPSED = "lapsed"
    """The reservation was given up before anything was loaded."""
    EVICTED = "evicted"
    LEFT = "left"
    """Its memory is back, or is not waited for any longer."""
    SLEPT = "slept"
    """Its memory is back, and its weights are kept; or a reservation of one that sleeps was given up."""
    FORGOTTEN = "forgotten"
    """A failure is not held against it any longer."""


TRANSITIONS: Mapping[tuple[State, Trigger], State] = MappingProxyType(
    {
        (State.COLD, Trigger.PLACED): State.LOADING,
        (State.LOADING, Trigger.LOADED): State.HOT,
        (State.LOADING, Trigger.LOAD_FAILED): State.FAILED,
        (State.LOADING, Trigger.LAPSED): State.COLD,
        (State.LOADING, Trigger.EVICTED): State.DRAINING,
        (State.HOT, Trigger.EVICTED): State.DRAINING,
        (State.LOADING, Trigger.SLEPT): State.ASLEEP,
        (State.DRAINING, Trigger.LEFT): State.COLD,
        (State.DRAINING, Trigger.SLEPT): State.ASLEEP,
        (State.ASLEEP, Trigger.PLACED): State.LOADING,
        (State.ASLEEP, Trigger.FORGOTTEN): State.COLD,
        (State.FAILED, Trigger.PLACED): State.LOADING,
        (State.FAILED, Trigger.FORGOTTEN): State.COLD,
    }
)


def after(state: State, trigger: Trigger) -> State:
    """The state that follows, or `IllegalTransitionError`."""
    return follow(TRANSITIONS, state, trigger)
