"""Between broker and neuron: who is there, what it holds, what it shall hold."""

from __future__ import annotations

from msgspec import Struct

from cortex.protocol.faults import Fault
from cortex.protocol.values import Device, Model, Ms, Name, Phase, Route, Use


class Register(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device process introduces itself: one per device, under its host's name.

    `counter` is the routing id of the socket on which it counts tokens; empty if it does not.
    """

    node: Name
    device: Device
    counter: Route = b""


class Registered(Struct, frozen=True, kw_only=True):
    """Known. Beat every `interval_ms`; after three missed beats you are gone.

    `answers_beats`: this comes in answer to every beat, so that a device which hears nothing knows that it is not heard.
    """

    interval_ms: Ms
    answers_beats: bool = False


class RegisterAgain(Struct, frozen=True, kw_only=True):
    """This broker does not know you (any more)."""


class Ready(Struct, frozen=True, kw_only=True):
    """What the device holds: sent after warm-up and whenever it changes. `version` counts residency changes.

    `drained`: it takes no requests and no placements. `cycles` counts the loads of this process, `evictions` the models
    that it let go on command.
    """

    version: int
    device: Device
    models: tuple[Model, ...]
    drained: bool = False
    cycles: int = 0
    evictions: int = 0


class Heartbeat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From the pulse thread, about the device thread whose routing id is `route`.

    `turn` counts turns of the device thread's loop, `busy_ms` is how long the present one lasts. `live` names the
    attempts that the receiving broker has given it, as of that turn, as (request, attempt); `use` tells of the hot
    models how much all brokers together use them.
    """

    route: Route
    turn: int
    phase: Phase
    busy_ms: Ms = 0
    stalled: bool = False
    detail: str = ""
    live: tuple[tuple[str, int], ...] = ()
    free_bytes: int = 0
    tokens: int = 0
    use: dict[str, Use] = {}


class LoadSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to load: `footprint_bytes` is what to reserve on this device; 0 leaves that to the neuron.

    An empty `source` names a model that the neuron knows from its own settings. `slots` and `context` 0 mean the
    neuron's own. `devices` lists all members of a replica over several devices of the host; empty: this one alone.
    `tool_calls` is the family of formats in which it writes calls; empty: as its chat template tells. `repairs` tells
    whether calls that are almost right are mended; None: as the neuron's settings say.
    """

    model: Name
    source: str = ""
    engine: str = ""
    quantization: str = ""
    footprint_bytes: int = 0
    deadline_ms: Ms = 0
    devices: tuple[int, ...] = ()
    slots: int = 0
    context: int = 0
    pinned: bool = False
    tool_calls: str = ""
    repairs: bool | None = None


class Place(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Evict and load as one decision, or refuse. `version` is the residency that the decision was made on.

    A victim that has requests in hand is a refusal (`busy`), unless `drain` is set: then it takes no new ones, ends
    what runs, and leaves; what is to be loaded has its reservation at once and waits for that. Idempotent by `command`.
    A replica over several devices is reserved on each of them and lapses after 5 s without a `Commit`. With `sleep`,
    victims keep their weights in the host's memory where there is room, to be back soon.
    """

    command: str
    version: int
    evict: tuple[str, ...] = ()
    load: LoadSpec | None = None
    drain: bool = False
    sleep: bool = False


class Placed(Struct, frozen=True, kw_only=True):
    """The command is carried out: all it needs is reserved. Residency is now `version`; a `Ready` tells it."""

    command: str
    version: int


class PlaceRefused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing was changed; here is the truth.

    Codes: `stale` (another version), `busy` (a victim works), `no_capacity` (it does not fit beside what stays),
    `does_not_fit` (it never will), `draining`, `unsupported`, `load_failed` (a victim or model unknown here).
    """

    command: str
    fault: Fault
    version: int
    models: tuple[Model, ...]
    device: Device | None = None


class Commit(Struct, frozen=True, kw_only=True):
    """All members of a replica over several devices have reserved: load. `command` is the one that placed it."""

    command: str


class LoadProgress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a load is, about once a second while it lasts. Its end is told by `Ready`: hot or failed."""

    command: str
    model: Name
    percent: int
    detail: str = ""


class Pin(Struct, frozen=True, kw_only=True):
    """Pins live on the neuron, so that they survive any broker. Answered by `Placed` or `PlaceRefused`."""

    command: str
    model: Name
    pinned: bool


class Drain(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Take nothing new and finish what runs (`drained`), or serve again. Answered by `Placed`.

    With `restart` the process leaves with exit code 75 once it is idle, and its supervisor starts it afresh.
    """

    command: str
    drained: bool = True
    restart: bool = False


class Goodbye(Struct, frozen=True, kw_only=True):
    """Leaving on purpose: do not wait for missed beats."""
