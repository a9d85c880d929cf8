"""Every message that crosses a socket, grouped by conversation, and the table from kind to type.

A message is the body of an envelope (`cortex.protocol.frames`); its kind, the protocol's version and the sender's
session travel in the header. Deadlines travel as milliseconds that remain, because clocks differ. A request is
named by (`request`, `attempt`): the edge alone mints both.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from cortex.protocol.deltas import Deltas
from cortex.protocol.faults import Fault
from cortex.protocol.values import Device, Model, Name, Phase, Timings, Usage

RequestId = Annotated[str, Meta(min_length=1, max_length=64)]
Attempt = Annotated[int, Meta(ge=1)]
Ms = Annotated[int, Meta(ge=0)]
Route = Annotated[bytes, Meta(max_length=255)]


# ── edge ↔ broker ────────────────────────────────────────────────────────────────────────────────────────────────


class EdgeBeat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An edge worker is alive and knows catalogue `catalogue`; the first one makes it known."""

    name: str
    catalogue: int = -1


class CatalogueEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name that clients may use, and what stands behind it now."""

    id: Name
    loaded: bool = False
    context: int = 0
    capabilities: tuple[str, ...] = ()
    locations: tuple[tuple[str, str], ...] = ()
    """(node/device, state) pairs."""


class Welcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The broker's answer to a beat. `models` is present when the edge's catalogue is an older one."""

    broker: str
    catalogue: int
    neurons: int = 0
    models: tuple[CatalogueEntry, ...] | None = None


class Submit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Serve this: the encoded normalized request is the first attachment, images follow.

    `prefix` holds, per output choice, the tokens that earlier attempts already delivered.
    """

    request: RequestId
    attempt: Attempt
    model: Name
    operation: Literal["generate", "embed", "count"] = "generate"
    principal: str = ""
    cost: int = 0
    queue_ms: Ms = 30_000
    waited_ms: Ms = 0
    prefix: tuple[tuple[int, ...], ...] = ()


class Query(Struct, frozen=True, kw_only=True):
    """What has become of this request? Answered by `Queued`, `Accepted` or a terminal."""

    request: RequestId
    attempt: Attempt


class Queued(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """It waits; `position` counts from 0 within its model's queue."""

    request: RequestId
    attempt: Attempt
    position: int = 0
    reason: str = ""


class Loading(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """It waits for its model to load."""

    request: RequestId
    attempt: Attempt
    percent: int = 0
    node: str = ""


# ── edge ↔ broker ↔ neuron ───────────────────────────────────────────────────────────────────────────────────────


class Cancel(Struct, frozen=True, kw_only=True):
    """Stop it. Idempotent at every hop; answered by the request's one terminal."""

    request: RequestId
    attempt: Attempt


class Accepted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The neuron whose session is in the header runs it; only that session's deltas count."""

    request: RequestId
    attempt: Attempt
    prompt_tokens: int = 0


class Refused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Not run, and no attempt was spent. From a neuron, `models` carries the truth about its capacity."""

    request: RequestId
    attempt: Attempt
    fault: Fault
    models: tuple[Model, ...] = ()


class Finished(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Terminal: every choice ended. `totals` is the number of tokens of each; vectors are attachments."""

    request: RequestId
    attempt: Attempt
    totals: tuple[int, ...] = ()
    usage: Usage = Usage()
    timings: Timings = Timings()
    cancelled: bool = False


class Failed(Struct, frozen=True, kw_only=True):
    """Terminal: it was accepted and could not be completed."""

    request: RequestId
    attempt: Attempt
    fault: Fault


class Counted(Struct, frozen=True, kw_only=True):
    """Terminal of a count: the prompt's length in tokens."""

    request: RequestId
    attempt: Attempt
    tokens: int


class Resume(Struct, frozen=True, kw_only=True):
    """Rebind this running attempt to the broker that relays this, and resend from each choice's next token."""

    request: RequestId
    attempt: Attempt
    session: bytes
    next_seq: tuple[int, ...]


# ── broker ↔ neuron ──────────────────────────────────────────────────────────────────────────────────────────────


class Register(Struct, frozen=True, kw_only=True):
    """A device process introduces itself: one per device, under its host's name."""

    node: Name
    device: Device


class Registered(Struct, frozen=True, kw_only=True):
    """Known. Beat every `interval_ms`; after three missed beats you are gone."""

    interval_ms: Ms


class RegisterAgain(Struct, frozen=True, kw_only=True):
    """This broker does not know you (any more)."""


class Ready(Struct, frozen=True, kw_only=True):
    """What the device holds: sent after warm-up and whenever it changes. `version` counts residency changes."""

    version: int
    device: Device
    models: tuple[Model, ...]


class Heartbeat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From the pulse thread, about the device thread whose routing id is `route`.

    `turn` counts turns of the device thread's loop, `busy_ms` is how long the present one lasts. `live` names the
    attempts it has in hand as of that turn, as (request, attempt).
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


class Generate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Run it and address its deltas to `edge`. Attachments as in `Submit`. Idempotent by (request, attempt)."""

    request: RequestId
    attempt: Attempt
    edge: Route
    model: Name
    wait_ms: Ms = 0
    prefix: tuple[tuple[int, ...], ...] = ()


class LoadSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to load: `footprint_bytes` is what to reserve on this device."""

    model: Name
    source: str
    engine: str = "torch"
    quantization: str = ""
    footprint_bytes: int = 0
    deadline_ms: Ms = 0
    devices: tuple[int, ...] = ()


class Place(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Evict and load as one decision, or refuse. `version` is the residency that the decision was made on."""

    command: str
    version: int
    evict: tuple[str, ...] = ()
    load: LoadSpec | None = None
    sleep: bool = False


class Placed(Struct, frozen=True, kw_only=True):
    """Everything the command needs is reserved; residency is now `version`."""

    command: str
    version: int


class PlaceRefused(Struct, frozen=True, kw_only=True):
    """Nothing was changed; here is the truth."""

    command: str
    fault: Fault
    version: int
    models: tuple[Model, ...]


class Commit(Struct, frozen=True, kw_only=True):
    """All members of a replica over several devices have reserved: load."""

    command: str


class LoadProgress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    command: str
    model: Name
    percent: int
    detail: str = ""


class Pin(Struct, frozen=True, kw_only=True):
    """Pins live on the neuron, so that they survive any broker."""

    command: str
    model: Name
    pinned: bool


class Drain(Struct, frozen=True, kw_only=True):
    """Take nothing new; finish what runs."""

    command: str
    drained: bool = True


class Goodbye(Struct, frozen=True, kw_only=True):
    """Leaving on purpose: do not wait for missed beats."""


# ── ctl ↔ broker ─────────────────────────────────────────────────────────────────────────────────────────────────


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


class Unsupported(Struct, frozen=True, kw_only=True):
    """The receiver does not know this kind of message."""

    kind: int


class Kind(IntEnum):
    """The byte in the header. Numbers are never reused."""

    EDGE_BEAT = 1
    WELCOME = 2
    SUBMIT = 3
    QUERY = 4
    QUEUED = 5
    LOADING = 6
    CANCEL = 10
    ACCEPTED = 11
    REFUSED = 12
    DELTAS = 13
    FINISHED = 14
    FAILED = 15
    COUNTED = 16
    RESUME = 17
    REGISTER = 30
    REGISTERED = 31
    REGISTER_AGAIN = 32
    READY = 33
    HEARTBEAT = 34
    GENERATE = 35
    PLACE = 36
    PLACED = 37
    PLACE_REFUSED = 38
    COMMIT = 39
    LOAD_PROGRESS = 40
    PIN = 41
    DRAIN = 42
    GOODBYE = 43
    STATUS_QUERY = 60
    STATUS = 61
    COMMAND = 62
    WAIT = 63
    OPERATION = 64
    EVENTS_SINCE = 65
    EVENTS = 66
    COMMAND_FAILED = 67
    UNSUPPORTED = 99


TYPES: dict[Kind, type[Struct]] = {
    Kind.EDGE_BEAT: EdgeBeat,
    Kind.WELCOME: Welcome,
    Kind.SUBMIT: Submit,
    Kind.QUERY: Query,
    Kind.QUEUED: Queued,
    Kind.LOADING: Loading,
    Kind.CANCEL: Cancel,
    Kind.ACCEPTED: Accepted,
    Kind.REFUSED: Refused,
    Kind.DELTAS: Deltas,
    Kind.FINISHED: Finished,
    Kind.FAILED: Failed,
    Kind.COUNTED: Counted,
    Kind.RESUME: Resume,
    Kind.REGISTER: Register,
    Kind.REGISTERED: Registered,
    Kind.REGISTER_AGAIN: RegisterAgain,
    Kind.READY: Ready,
    Kind.HEARTBEAT: Heartbeat,
    Kind.GENERATE: Generate,
    Kind.PLACE: Place,
    Kind.PLACED: Placed,
    Kind.PLACE_REFUSED: PlaceRefused,
    Kind.COMMIT: Commit,
    Kind.LOAD_PROGRESS: LoadProgress,
    Kind.PIN: Pin,
    Kind.DRAIN: Drain,
    Kind.GOODBYE: Goodbye,
    Kind.STATUS_QUERY: StatusQuery,
    Kind.STATUS: Status,
    Kind.COMMAND: Command,
    Kind.WAIT: Wait,
    Kind.OPERATION: Operation,
    Kind.EVENTS_SINCE: EventsSince,
    Kind.EVENTS: Events,
    Kind.COMMAND_FAILED: CommandFailed,
    Kind.UNSUPPORTED: Unsupported,
}
KINDS: dict[type[Struct], Kind] = {cls: kind for kind, cls in TYPES.items()}
