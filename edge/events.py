"""What is said to the correlation table, and what it says is to be done. Plain values."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from cortex.protocol.deltas import Delta
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import Accepted, Counted, Finished, Loading, Queued

# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Ticket(Struct, frozen=True, kw_only=True):
    """All that is needed to submit a request, again if need be. `attachments` begin with the encoded request.

    `digest` is the same for a client's identical resend; `blocks` are hashes of the conversation's beginnings.
    """

    request: str
    model: str
    attachments: tuple[bytes, ...]
    choices: int = 1
    operation: Literal["generate", "embed", "count"] = "generate"
    principal: str = ""
    priority: int = 0
    cost: int = 0
    queue_ms: int = 30_000
    digest: bytes = b""
    blocks: tuple[tuple[bytes, int], ...] = ()


class Opened(Struct, frozen=True):
    """A client wants this."""

    ticket: Ticket


class Left(Struct, frozen=True):
    """Its client has gone, or must go for the reason given."""

    request: str
    fault: Fault = Fault(code=Code.CANCELLED, message="The client has left.")


class Closing(Struct, frozen=True):
    """The worker stops: every request ends with this fault."""

    fault: Fault


class Received(Struct, frozen=True, gc=False):
    """A message from the broker of this index; `session` is its header's."""

    broker: int
    session: bytes
    message: Struct
    payload: tuple[bytes, ...] = ()


Event = Opened | Left | Closing | Received


# ── effects ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Send(Struct, frozen=True, gc=False):
    """Put this on the wire to the broker of this index."""

    broker: int
    message: Struct
    attachments: tuple[bytes, ...] = ()


class Deliver(Struct, frozen=True, gc=False):
    """Hand this to the request's client."""

    request: str
    item: Queued | Loading | Accepted | Delta


class End(Struct, frozen=True):
    """The request's one terminal; `payload` are an embedding's vectors."""

    request: str
    outcome: Finished | Counted | Fault
    payload: tuple[bytes, ...] = ()


Effect = Send | Deliver | End
