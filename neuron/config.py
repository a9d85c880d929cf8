"""neuron.toml: which brokers to join, which models to hold, how the simulated engine behaves."""

from __future__ import annotations

import platform
from typing import Annotated, Literal

from msgspec import Meta, Struct

from cortex.protocol.values import Name

Positive = Annotated[float, Meta(gt=0)]
Seconds = Annotated[float, Meta(ge=0)]


class HostSettings(Struct, frozen=True, kw_only=True):
    """[neuron] who this host is and whom it serves."""

    name: Name = platform.node()
    brokers: tuple[str, ...] = ()
    engine: Literal["torch", "sim"] = "torch"
    threads: Annotated[int, Meta(ge=0)] = 0
    """CPU threads for arithmetic; 0 leaves it to torch."""
    load_mb_s: Seconds = 0.0
    """MiB a second that a load may read from disk; 0: as fast as it goes."""
    asleep_mb: Annotated[int, Meta(ge=0)] | None = None
    """MiB of the host's memory in which each device's evicted models sleep; 0: none does. Unset: all devices together
    have a quarter of the host's memory, and simulated ones none."""
    memory_mb: Annotated[int, Meta(ge=0)] = 0
    """MiB that models may take of each device; 0: what it has less a tenth (at least 1 GiB), of the CPU's half."""
    stall_s: Seconds = 30.0
    """Seconds without progress, four times as long for a chunk of a prompt, after which a device's process is replaced;
    0: never. Starting and loading do not count."""


class ModelSettings(Struct, frozen=True, kw_only=True):
    """[[models]] one model to hold from the start. `source` is a directory in Hugging Face layout, or "demo".

    `slots` 0 are the engine's own: 8 with torch, the script's with the simulated one. `footprint_mb` is what to reserve
    for it, in MiB; 0: what its files say. Which is `pinned` is never evicted. `tool_calls` is the family of formats in
    which it writes calls, unset as its chat template tells; with `repairs` those that are almost right are mended.
    """

    id: Name
    source: str = ""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    slots: Annotated[int, Meta(ge=0, le=1024)] = 0
    context: Annotated[int, Meta(ge=16)] | None = None
    chunk: Annotated[int, Meta(ge=1)] = 512
    """Prompt tokens per prefill step."""
    footprint_mb: Annotated[int, Meta(ge=0)] = 0
    pinned: bool = False
    tool_calls: str = ""
    repairs: bool = True


class SimScript(Struct, frozen=True, kw_only=True):
    """[sim.scripts.MODEL] what a simulated model says, in the formats of a family: by the last user turn, or `otherwise`."""

    family: str = "hermes"
    reasoning_open: bool = False
    replies: dict[str, str] = {}
    otherwise: str = ""


class SimSettings(Struct, frozen=True, kw_only=True):
    """[sim] how the scripted engine behaves. Faults of requests strike at the n-th generated token of the device.

    Of loads: those of the models `load_fails`, and every n-th with `load_fails_every`, fail at 90 %; those of
    `load_hangs` stand still half-way. `leak_bytes` do not come back from each unload; `foreign_bytes` are somebody
    else's from the start. `scripts` are of models that say something.
    """

    devices: Annotated[int, Meta(ge=1)] = 1
    tokens_per_s: Positive = 50.0
    prefill_per_s: Positive = 10_000.0
    load_s: Seconds = 0.0
    memory_bytes: Annotated[int, Meta(ge=0)] = 24 * 2**30
    footprint_bytes: Annotated[int, Meta(ge=0)] = 8 * 2**30
    context: Annotated[int, Meta(ge=1)] = 131_072
    slots: Annotated[int, Meta(ge=1)] = 32
    max_tokens: Annotated[int, Meta(ge=1)] = 256
    crash_at: Annotated[int, Meta(ge=0)] = 0
    hang_at: Annotated[int, Meta(ge=0)] = 0
    fail_at: Annotated[int, Meta(ge=0)] = 0
    load_fails: tuple[Name, ...] = ()
    load_fails_every: Annotated[int, Meta(ge=0)] = 0
    load_hangs: tuple[Name, ...] = ()
    leak_bytes: Annotated[int, Meta(ge=0)] = 0
    foreign_bytes: Annotated[int, Meta(ge=0)] = 0
    scripts: dict[Name, SimScript] = {}


class NeuronSettings(Struct, frozen=True, kw_only=True):
    """The whole of neuron.toml."""

    neuron: HostSettings = HostSettings()
    models: tuple[ModelSettings, ...] = ()
    sim: SimSettings = SimSettings()
