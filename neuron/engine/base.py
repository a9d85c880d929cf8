"""The interface between a device thread and what computes on it.

An engine belongs to one thread and is driven by it: nothing here blocks for longer than one step or touches a socket.
It speaks the protocol's own words: jobs in, deltas and terminals out. What is slow (loading, giving memory back) is
begun here and told by a later step. Which models there shall be, and whether they fit, is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cortex.neuron.config import ModelSettings
from cortex.protocol.deltas import Delta
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Request
from cortex.protocol.values import Device, Phase, Usage

Key = tuple[str, int]
"""(request, attempt)"""


class Length(NamedTuple):
    """The tokens of a prompt, counted or `estimated`."""

    tokens: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at one request. `prefix` holds, per choice, tokens that earlier attempts delivered already."""

    key: Key
    request: Request
    prefix: tuple[tuple[int, ...], ...] = ()
    attachments: tuple[bytes, ...] = ()
    principal: str = ""
    """Whose it is: what was computed for one principal is used again for that one alone."""


@dataclass(frozen=True, slots=True)
class Order:
    """One model to load. `devices` lists all members of a replica over several devices; empty: this one alone."""

    settings: ModelSettings
    quantization: str = ""
    devices: tuple[int, ...] = ()

    @property
    def model(self) -> str:
        return self.settings.id


@dataclass(frozen=True, slots=True)
class LoadAdvanced:
    """A load under way: `bytes` of its memory are taken so far, as far as the engine knows."""

    model: str
    percent: int
    bytes: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LoadDone:
    """The model takes jobs from now on. `bytes` is what it takes by itself, measured, before any job.

    `context` is what one sequence may have of it, within what was reserved.
    """

    model: str
    bytes: int
    load_ms: int
    slots: int
    context: int
    capabilities: tuple[str, ...] = ()
    woke: bool = False
    """Whether it had slept: then nothing was read, and `load_ms` is how long it took to wake."""
    detail: str = ""
    """What there is to say of how it is served, for people."""


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The load ended without a model, and nothing of it is left in memory."""

    model: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unloaded:
    """What the model took, or the load that was given up, is back: measured, not hoped for."""

    model: str


@dataclass(frozen=True, slots=True)
class Slept:
    """The device's memory is back, and the model's weights take `bytes` of the host's: a load of it wakes it."""

    model: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """The end of an embedding: its terminal, and its vectors one after another, float32 in little-endian order."""

    finished: Finished
    vectors: bytes


Change = LoadAdvanced | LoadDone | LoadFailed | Unloaded | Slept
Output = Delta | Finished | Failed | Embedded | Change


class Engine(Protocol):
    """A device's engine. Whatever a request does wrong stays within the request.

    A load ends with one of `LoadDone` and `LoadFailed`, or with `Unloaded` if it was given up before.
    """

    @property
    def name(self) -> str:
        """What `engine` says in settings: "torch" or "sim"."""

    @property
    def device(self) -> Device:
        """The device as it was found; what is free of it now is `free_bytes`."""

    @property
    def free_bytes(self) -> int:
        """Memory that is free now, measured, whoever has the rest."""

    @property
    def phase(self) -> Phase:
        """What the next step will be doing."""

    def taken(self, model: str) -> int:
        """Bytes that a model takes now, its jobs included; it must be held."""

    def start(self) -> None:
        """Open the device, without any model. Raises what makes it unusable."""

    def footprint(self, order: Order) -> int:
        """Bytes that a load is going to take, jobs included; cheap, and nothing is loaded.

        Raises `FaultError`: `unsupported` or `load_failed` when it is clear already that it cannot be loaded.
        """

    def load(self, order: Order, reserved: int, now: float) -> None:
        """Begin to load a model that is not held, within `reserved` bytes, jobs included.

        A model that takes more by itself says so when it is loaded; what its jobs take is never more than the rest.
        """

    def unload(self, model: str, now: float) -> None:
        """Give up a model without jobs, or its load; `Unloaded` tells when the memory is back."""

    def sleep(self, model: str, now: float) -> None:
        """Let a model without jobs sleep: `Slept` tells when, or `Unloaded` if the host has no room for it.

        Who sleeps wakes by being loaded again, and is gone by `forget`.
        """

    def forget(self, model: str) -> None:
        """Give up what a sleeping model keeps of the host's memory, at once."""

    def admit(self, job: Job, now: float) -> Usage:
        """Take a job; answers its prompt's length in tokens, of an embedding as far as it is known, and what is cached.

        Raises `FaultError`: code `busy` when there is no slot or no memory now, others when it can never run.
        """

    def cancel(self, key: Key) -> None:
        """End a job at the next step, which reports it finished with `cancelled`. Unknown keys are ignored."""

    def step(self, now: float) -> list[Output]:
        """Advance every job by at most one token or one chunk of its prompt; per job in order, terminal last."""

    def due(self, now: float) -> float | None:
        """Seconds until `step` has something to do: 0 at once, None while there is no job, load or unload."""

    def close(self) -> None:
        """Release the device."""
