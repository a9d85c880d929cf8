"""Between an operator's tool and a broker. A command has an id and is idempotent."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from cortex.protocol.faults import Fault
from cortex.protocol.values import Device, Model, Ms


class StatusQuery(Struct, frozen=True, kw_only=True):
    """Describe the fleet."""


class NeuronStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    node: str
    device: Device
    state: Literal["registered", "ready", "stalled", "absent", "gone"]
    phase: str = ""
    detail: str = ""
    seen_ms: Ms = 0
    load: dict[str, int] = {}
    """Requests in hand, by model."""
    models: tuple[Model, ...] = ()
    tokens_per_s: float = 0.0


class Status(Struct, frozen=True, kw_only=True, omit_defaults=True):
    broker: str
    version: str
    uptime_s: int
    neurons: tuple[NeuronStatus, ...]
    edges: int
    running: int
    waiting: int
    served: int
    dropped: dict[str, int] = {}


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change that an operator asks for; idempotent by `command`."""

    command: str
    verb: str
    model: str = ""
    node: str = ""
    options: dict[str, str] = {}


class Wait(Struct, frozen=True, kw_only=True):
    """Answer when the operation moves, at the latest after `patience_ms` (10 s at most)."""

    command: str
    patience_ms: Annotated[int, Meta(ge=0, le=10_000)] = 10_000


class Operation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    command: str
    state: Literal["running", "done", "failed"]
    percent: int = 0
    detail: str = ""
    fault: Fault | None = None


class EventsSince(Struct, frozen=True, kw_only=True):
    """Decisions after event number `since`, held up to `patience_ms` while there are none."""

    since: int
    patience_ms: Annotated[int, Meta(ge=0, le=10_000)] = 10_000


class Decision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    number: int
    at_ms: int
    what: str
    subject: str = ""
    reason: str = ""


class Events(Struct, frozen=True, kw_only=True):
    events: tuple[Decision, ...]
    next: int


class CommandFailed(Struct, frozen=True, kw_only=True):
    fault: Fault
