"""A request's way: between edge and broker, and on to the neuron. Named by (`request`, `attempt`)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from cortex.protocol.faults import Fault
from cortex.protocol.request import Sampling
from cortex.protocol.values import Model, ModelState, Ms, Name, Route, Timings, Usage

RequestId = Annotated[str, Meta(min_length=1, max_length=64)]
Attempt = Annotated[int, Meta(ge=1)]
Price = Annotated[float, Meta(ge=0)]


class EdgeBeat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An edge worker is alive and knows catalogue `catalogue`; the first one makes it known."""

    name: str
    catalogue: int = -1


class Cost(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """US dollars per million tokens. None: unpriced; 0: free."""

    input: Price | None = None
    output: Price | None = None
    cache_read: Price | None = None
    cache_write: Price | None = None


class CatalogueEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model that clients may ask for, and what stands behind it now."""

    id: Name
    loaded: bool = False
    state: ModelState = "cold"
    context: int = 0
    max_output: int = 0
    capabilities: tuple[str, ...] = ()
    locations: tuple[tuple[str, str, int], ...] = ()
    """(node/device, state, footprint in bytes)."""
    feasible_on: tuple[str, ...] = ()
    """Hosts that could hold it, sorted."""
    servable: bool = False
    """Whether some device can serve it now, or once it was loaded on demand."""
    cost: Cost | None = None
    sampling: Sampling | None = None
    """What holds where a request is silent."""


class Names(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Other names for models: exact ones or with `*`, and the model for names that mean "some small one"."""

    aliases: dict[str, str] = {}
    small: str = ""


class Welcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The broker's answer to a beat. `models` and `names` are present when the edge's catalogue is an older one."""

    broker: str
    catalogue: int
    neurons: int = 0
    settled: bool = True
    """Whether it has run long enough for every neuron to have announced itself: until then there may be more models."""
    models: tuple[CatalogueEntry, ...] | None = None
    names: Names | None = None


class Submit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Serve this: the encoded normalized request is the first attachment, images follow.

    `prefix` holds, per output choice, the tokens that earlier attempts already delivered. `digest` names the client's
    request, so that the same one sent again after a time-out can take its waiting place. `blocks` are hashes of the
    conversation's beginnings, shortest first, each with the bytes that it covers: where they were seen, keys and
    values may be cached. `cost` is what fairness charges, in tokens; a higher `priority` is served first.
    """

    request: RequestId
    attempt: Attempt
    model: Name
    operation: Literal["generate", "embed", "count"] = "generate"
    principal: str = ""
    priority: int = 0
    cost: int = 0
    queue_ms: Ms = 30_000
    waited_ms: Ms = 0
    prefix: tuple[tuple[int, ...], ...] = ()
    digest: bytes = b""
    blocks: tuple[tuple[bytes, int], ...] = ()


class Query(Struct, frozen=True, kw_only=True):
    """What has become of this request? Answered by `Queued`, `Accepted` or a terminal."""

    request: RequestId
    attempt: Attempt


class Queued(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """It waits; `position` counts from 0 within its model's queue.

    `discreet` is the reason without the names of other models, for clients that may not know of them; empty: as it is.
    """

    request: RequestId
    attempt: Attempt
    position: int = 0
    reason: str = ""
    discreet: str = ""


class Loading(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """It waits for its model to load on `node`; `percent` tells how far that is."""

    request: RequestId
    attempt: Attempt
    percent: int = 0
    node: str = ""


class Cancel(Struct, frozen=True, kw_only=True):
    """Stop it. Idempotent at every hop; answered by the request's one terminal."""

    request: RequestId
    attempt: Attempt


class Accepted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The neuron whose session is in the header runs it; only that session's deltas count."""

    request: RequestId
    attempt: Attempt
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of the prompt that were computed for an earlier request."""


class Refused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Not run, and no attempt was spent. From a neuron, `models` carries the truth about its capacity."""

    request: RequestId
    attempt: Attempt
    fault: Fault
    models: tuple[Model, ...] = ()


class Finished(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Terminal: every choice ended. `totals` is the number of tokens of each; vectors are attachments.

    `calls` counts what became of tool calls: "made", "malformed" for those that went out as text, and the repairs, by
    step.
    """

    request: RequestId
    attempt: Attempt
    totals: tuple[int, ...] = ()
    usage: Usage = Usage()
    timings: Timings = Timings()
    cancelled: bool = False
    calls: dict[str, int] = {}


class Failed(Struct, frozen=True, kw_only=True):
    """Terminal: it was accepted and could not be completed."""

    request: RequestId
    attempt: Attempt
    fault: Fault


class Counted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Terminal of a count: the prompt's length in tokens, or what it is `estimated` to be because nobody counted in time."""

    request: RequestId
    attempt: Attempt
    tokens: int
    estimated: bool = False


class Tally(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Count this, a neuron's counter is told: the encoded `Count` is the attachment. `edge` is who asked its broker.

    `source` is where the model's files lie, where the broker knows it. Nothing of a count is remembered on the way.
    """

    request: RequestId
    attempt: Attempt
    edge: Route
    model: Name
    source: str = ""


class Tallied(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a counter has counted for `edge`, or why it cannot."""

    request: RequestId
    attempt: Attempt
    edge: Route
    tokens: int = 0
    estimated: bool = False
    """Whether only a part of the prompt was counted, for it is very long."""
    fault: Fault | None = None


class Resume(Struct, frozen=True, kw_only=True):
    """Rebind this running attempt to the broker that relays this, and resend from each choice's next token."""

    request: RequestId
    attempt: Attempt
    session: bytes
    next_seq: tuple[int, ...]


class Generate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Run it and address its deltas to `edge`. Attachments as in `Submit`. Idempotent by (request, attempt)."""

    request: RequestId
    attempt: Attempt
    edge: Route
    model: Name
    wait_ms: Ms = 0
    prefix: tuple[tuple[int, ...], ...] = ()
    principal: str = ""
