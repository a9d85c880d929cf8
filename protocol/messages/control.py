"""Between an operator's tool and a broker. A command has an id and is idempotent."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from cortex.protocol.faults import Fault
from cortex.protocol.messages.serving import CatalogueEntry, Names
from cortex.protocol.values import Device, Model, Ms


class Outdated(Struct, frozen=True, kw_only=True):
    """models.toml is wrong since then: what it said before holds."""

    since_ms: int
    problem: str


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
    drained: bool = False
    cycles: int = 0
    evictions: int = 0


class BrokerStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A broker of the mesh, as the answering one last heard of it."""

    name: str
    state: Literal["here", "live", "gone"]
    running: int = 0
    waiting: int = 0
    served: int = 0
    owns: int = 0
    """Models whose queue it keeps."""


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
    brokers: tuple[BrokerStatus, ...] = ()
    outdated: Outdated | None = None


class ModelsQuery(Struct, frozen=True, kw_only=True):
    """List what can be asked for."""


class ModelStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model: its catalogue entry, who owns its queue, and how busy it is."""

    entry: CatalogueEntry
    owner: str = ""
    priority: int = 0
    pinned: bool = False
    footprint_bytes: int = 0
    replicas: int = 0
    running: int = 0
    waiting: int = 0
    percent: int = 0
    """Of a load under way."""
    detail: str = ""
    retry_ms: Ms = 0
    """How long no load is tried after a failure."""


class Models(Struct, frozen=True, kw_only=True, omit_defaults=True):
    models: tuple[ModelStatus, ...]
    names: Names = Names()
    outdated: Outdated | None = None


class Explain(Struct, frozen=True, kw_only=True):
    """What would become of a request for this model now, and why?"""

    model: str


class Option(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place that was looked at."""

    node: str
    verdict: str
    reason: str = ""
    victims: tuple[str, ...] = ()


class Explanation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The decision that `choose` takes for the model at this moment; `wait_ms` is an estimate."""

    model: str
    verdict: Literal["serve", "join", "load", "wait", "refuse"]
    reason: str
    node: str = ""
    victims: tuple[str, ...] = ()
    wait_ms: Ms = 0
    owner: str = ""
    waiting: int = 0
    options: tuple[Option, ...] = ()
    fault: Fault | None = None
    outdated: Outdated | None = None


class ConfigQuery(Struct, frozen=True, kw_only=True):
    """Show the settings and the catalogue in force."""


class ConfigReport(Struct, frozen=True, kw_only=True):
    """TOML text of each file in force, by its path (or "defaults")."""

    files: dict[str, str]


Verb = Literal["load", "unload", "pin", "unpin", "drain", "resume", "reload"]


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change that an operator asks for; idempotent by `command`.

    load, unload, pin, unpin name a model, and a node (NODE or NODE/DEVICE) where only one is meant; drain and resume
    name a node; reload reads models.toml again. Answered by `Operation`, at once.
    """

    command: str
    verb: Verb
    model: str = ""
    node: str = ""


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
    outdated: Outdated | None = None


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
