"""Plain values that several messages carry: usage, timings, devices, models.

Units are in the names: `_ms` milliseconds, `_bytes` bytes; token counts are plain integers.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Ms = Annotated[int, Meta(ge=0)]
Route = Annotated[bytes, Meta(max_length=255)]
"""A ZeroMQ routing id."""

FinishReason = Literal["stop", "length", "tool_calls"]
DeviceKind = Literal["cpu", "cuda", "sim"]
ModelState = Literal["cold", "loading", "hot", "draining", "asleep", "failed"]
Phase = Literal["starting", "loading", "idle", "prefill", "decode"]


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens of one request; `prompt` includes `cached`, `completion` includes `reasoning`."""

    prompt: Count = 0
    completion: Count = 0
    cached: Count = 0
    reasoning: Count = 0


class Timings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the neuron spent a request's time."""

    wait_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0


class Device(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One accelerator, or the whole CPU, as its own process measured it.

    `memory_bytes` is what it has, `budget_bytes` what models may take of it altogether, `free_bytes` what another
    model could be given now: neither reserved by the ledger nor taken by anybody else.
    """

    kind: DeviceKind
    index: Count = 0
    name: str = ""
    memory_bytes: Count = 0
    budget_bytes: Count = 0
    free_bytes: Count = 0


class Model(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model as one device holds it. `slots` is how many requests it runs at once; a hint, never a promise.

    `footprint_bytes` is what the ledger of this device has reserved for it, or would reserve while it is cold.
    `devices` are the indices of a replica that spans several devices of its host, of which the lowest serves; empty
    where this device holds all of it. `load_ms` is how long reading it took here the last time, `wake_ms` how long it
    took to wake if it slept before, `failures` how often in a row loading it failed.
    """

    id: Name
    state: ModelState
    slots: Count = 0
    context: Count = 0
    footprint_bytes: Count = 0
    capabilities: tuple[str, ...] = ()
    detail: str = ""
    pinned: bool = False
    devices: tuple[Count, ...] = ()
    load_ms: Ms = 0
    wake_ms: Ms = 0
    failures: Count = 0


class Use(Struct, frozen=True, array_like=True):
    """How much a model is used on one device: requests of all brokers in hand, and milliseconds since the last ended."""

    running: Count
    idle_ms: Ms
