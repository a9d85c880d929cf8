"""The interface between a device thread and what computes on it.

An engine belongs to one thread and is driven by it: nothing here blocks for longer than one step, starts a thread
or touches a socket. It speaks the protocol's own words: jobs in, deltas and terminals out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cortex.protocol.deltas import Delta
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Request
from cortex.protocol.values import Device, Model, Phase

Key = tuple[str, int]
"""(request, attempt)"""

Output = Delta | Finished | Failed


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at one request. `prefix` holds, per choice, tokens that earlier attempts delivered already."""

    key: Key
    request: Request
    prefix: tuple[tuple[int, ...], ...] = ()
    attachments: tuple[bytes, ...] = ()


class Engine(Protocol):
    """A device's engine. Whatever a request does wrong stays within the request."""

    @property
    def device(self) -> Device:
        """The device, with the memory that is free now."""

    @property
    def models(self) -> tuple[Model, ...]:
        """What is held, with the slots of each."""

    @property
    def version(self) -> int:
        """Grows by one with each change of `models` other than load."""

    @property
    def phase(self) -> Phase:
        """What the next step will be doing."""

    def start(self) -> None:
        """Load the configured models and warm up. Raises what makes the device unusable."""

    def admit(self, job: Job, now: float) -> int:
        """Take a job; answers its prompt's length in tokens.

        Raises `FaultError`: code `busy` when there is no slot, others when it can never run.
        """

    def cancel(self, key: Key) -> None:
        """End a job at the next step, which reports it finished with `cancelled`. Unknown keys are ignored."""

    def step(self, now: float) -> list[Output]:
        """Advance every job by at most one token or one chunk of its prompt; per job in order, terminal last."""

    def due(self, now: float) -> float | None:
        """Seconds until `step` has something to do: 0 at once, None while there is no job."""

    def close(self) -> None:
        """Release the device."""
