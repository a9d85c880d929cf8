"""What happens to the broker (events, past tense) and what it wants done (effects).

Routes are ZeroMQ routing ids; payloads are attachments that the broker carries without looking inside.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from cortex.protocol.frames import Frame
from cortex.protocol.messages import Command


@dataclass(frozen=True, slots=True)
class FromEdge:
    """A message came from an edge worker."""

    route: bytes
    session: bytes
    message: Struct
    payload: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class FromNeuron:
    """A message came from a neuron's device thread or its pulse."""

    route: bytes
    session: bytes
    message: Struct
    payload: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class EdgeUnreachable:
    """The transport knows no such edge, or it stopped reading."""

    route: bytes


@dataclass(frozen=True, slots=True)
class NeuronUnreachable:
    """The transport knows no such neuron, or it stopped reading."""

    route: bytes


@dataclass(frozen=True, slots=True)
class FromPeer:
    """A message came from another broker."""

    message: Struct


@dataclass(frozen=True, slots=True)
class FromCtl:
    """An operator wants a change."""

    message: Command


Event = FromEdge | FromNeuron | EdgeUnreachable | NeuronUnreachable | FromPeer | FromCtl


@dataclass(frozen=True, slots=True)
class ToEdge:
    """Send to an edge. `session` is the neuron's that this is relayed from; None means the broker's own."""

    route: bytes
    message: Struct
    payload: tuple[Frame, ...] = ()
    session: bytes | None = None


@dataclass(frozen=True, slots=True)
class ToNeuron:
    """Send to a neuron's device thread."""

    route: bytes
    message: Struct
    payload: tuple[Frame, ...] = ()


Effect = ToEdge | ToNeuron
