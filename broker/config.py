"""The broker's sections of cortex.toml."""

from __future__ import annotations

import socket
from typing import Annotated, Literal

from msgspec import Meta, Struct

from cortex.protocol.values import Name


class BrokerSettings(Struct, frozen=True, kw_only=True):
    """[broker] its name and where its planes are bound; empty means ipc sockets in the runtime directory.

    `peer` is bound for the other brokers of a mesh, whose `peer` endpoints `peers` lists. `responses_mb` is the memory
    for responses that clients may go on from (`previous_response_id`); the one unused for longest leaves first.
    """

    name: Name = socket.gethostname()
    edge: str = ""
    neuron: str = ""
    ctl: str = ""
    peer: str = ""
    peers: tuple[str, ...] = ()
    responses_mb: Annotated[int, Meta(ge=0)] = 64


class QueueSettings(Struct, frozen=True, kw_only=True):
    """[queue] how many may wait, and in what order they are served."""

    max_waiting: Annotated[int, Meta(ge=1)] = 4096
    per_principal: Annotated[int, Meta(ge=1)] = 1024
    """Requests that one principal may have in hand, waiting and running."""
    turn_s: Annotated[float, Meta(ge=0)] = 15.0
    """How long a model's requests may keep others waiting for the memory that it holds."""


class EvictionSettings(Struct, frozen=True, kw_only=True):
    """[eviction] who leaves when memory is wanted."""

    strategy: Literal["lru", "priority", "cost"] = "lru"
    defrag_after_cycles: Annotated[int, Meta(ge=0)] = 50


class ExpectedNeuron(Struct, frozen=True, kw_only=True):
    """[[neurons]] a host that should be there. Neurons join by themselves, so `endpoint` is noted as unused."""

    name: Name
    endpoint: str = ""
