"""The broker's sections of cortex.toml."""

from __future__ import annotations

import socket
from typing import Annotated, Literal

from msgspec import Meta, Struct

from cortex.protocol.values import Name


class BrokerSettings(Struct, frozen=True, kw_only=True):
    """[broker] its name and where its planes are bound; empty means ipc sockets in the runtime directory."""

    name: Name = socket.gethostname()
    edge: str = ""
    neuron: str = ""
    ctl: str = ""


class EvictionSettings(Struct, frozen=True, kw_only=True):
    """[eviction] who leaves when memory is wanted."""

    strategy: Literal["lru", "priority", "cost"] = "lru"
    defrag_after_cycles: Annotated[int, Meta(ge=0)] = 50


class ExpectedNeuron(Struct, frozen=True, kw_only=True):
    """[[neurons]] a host that should be there. Neurons join by themselves, so `endpoint` is noted as unused."""

    name: Name
    endpoint: str = ""
