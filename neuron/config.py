"""neuron.toml: which brokers to join, which models to hold, how the simulated engine behaves."""

from __future__ import annotations

import socket
from typing import Annotated, Literal

from msgspec import Meta, Struct

from cortex.protocol.values import Name

Positive = Annotated[float, Meta(gt=0)]
Seconds = Annotated[float, Meta(ge=0)]


class HostSettings(Struct, frozen=True, kw_only=True):
    """[neuron] who this host is and whom it serves."""

    name: Name = socket.gethostname()
    brokers: tuple[str, ...] = ()
    engine: Literal["torch", "sim"] = "torch"
    threads: Annotated[int, Meta(ge=0)] = 0
    """CPU threads for arithmetic; 0 leaves it to torch."""


class ModelSettings(Struct, frozen=True, kw_only=True):
    """[[models]] one model to hold from the start. `source` is a directory in Hugging Face layout, or "demo"."""

    id: Name
    source: str = ""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    slots: Annotated[int, Meta(ge=1, le=1024)] = 8
    context: Annotated[int, Meta(ge=16)] | None = None
    chunk: Annotated[int, Meta(ge=1)] = 512
    """Prompt tokens per prefill step."""


class SimSettings(Struct, frozen=True, kw_only=True):
    """[sim] how the scripted engine behaves. Faults strike at the n-th generated token of the device."""

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


class NeuronSettings(Struct, frozen=True, kw_only=True):
    """The whole of neuron.toml."""

    neuron: HostSettings = HostSettings()
    models: tuple[ModelSettings, ...] = (ModelSettings(id="cortex-demo", source="demo"),)
    sim: SimSettings = SimSettings()
