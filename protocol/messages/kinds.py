"""The byte in the header, and the type that it stands for."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

from cortex.protocol.deltas import Deltas
from cortex.protocol.messages.control import (
    Command,
    CommandFailed,
    ConfigQuery,
    ConfigReport,
    Events,
    EventsSince,
    Explain,
    Explanation,
    Models,
    ModelsQuery,
    Operation,
    Status,
    StatusQuery,
    Wait,
)
from cortex.protocol.messages.fleet import (
    Commit,
    Drain,
    Goodbye,
    Heartbeat,
    LoadProgress,
    Pin,
    Place,
    Placed,
    PlaceRefused,
    Ready,
    Register,
    RegisterAgain,
    Registered,
)
from cortex.protocol.messages.keeping import Fetch, Forget, Held, Keep
from cortex.protocol.messages.mesh import Forward, Forwarded, PeerBeat
from cortex.protocol.messages.serving import (
    Accepted,
    Cancel,
    Counted,
    EdgeBeat,
    Failed,
    Finished,
    Generate,
    Loading,
    Query,
    Queued,
    Refused,
    Resume,
    Submit,
    Tallied,
    Tally,
    Welcome,
)


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
    KEEP = 18
    FETCH = 19
    FORGET = 20
    HELD = 21
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
    TALLY = 44
    TALLIED = 45
    STATUS_QUERY = 60
    STATUS = 61
    COMMAND = 62
    WAIT = 63
    OPERATION = 64
    EVENTS_SINCE = 65
    EVENTS = 66
    COMMAND_FAILED = 67
    EXPLAIN = 68
    EXPLANATION = 69
    MODELS_QUERY = 70
    MODELS = 71
    CONFIG_QUERY = 72
    CONFIG_REPORT = 73
    PEER_BEAT = 80
    FORWARD = 81
    FORWARDED = 82
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
    Kind.KEEP: Keep,
    Kind.FETCH: Fetch,
    Kind.FORGET: Forget,
    Kind.HELD: Held,
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
    Kind.TALLY: Tally,
    Kind.TALLIED: Tallied,
    Kind.STATUS_QUERY: StatusQuery,
    Kind.STATUS: Status,
    Kind.COMMAND: Command,
    Kind.WAIT: Wait,
    Kind.OPERATION: Operation,
    Kind.EVENTS_SINCE: EventsSince,
    Kind.EVENTS: Events,
    Kind.COMMAND_FAILED: CommandFailed,
    Kind.EXPLAIN: Explain,
    Kind.EXPLANATION: Explanation,
    Kind.MODELS_QUERY: ModelsQuery,
    Kind.MODELS: Models,
    Kind.CONFIG_QUERY: ConfigQuery,
    Kind.CONFIG_REPORT: ConfigReport,
    Kind.PEER_BEAT: PeerBeat,
    Kind.FORWARD: Forward,
    Kind.FORWARDED: Forwarded,
    Kind.UNSUPPORTED: Unsupported,
}
KINDS: dict[type[Struct], Kind] = {cls: kind for kind, cls in TYPES.items()}
