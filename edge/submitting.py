"""From a normalized request to one that is under way, the same for every route: its bytes, its record, and its client."""

from __future__ import annotations

import falcon.asgi
from msgspec import structs

from cortex.edge.billing import without_billing
from cortex.edge.errors import status_of
from cortex.edge.events import Ticket
from cortex.edge.incoming import key_of
from cortex.edge.link import Link
from cortex.edge.metrics import Metrics, Record
from cortex.edge.stream import Stream
from cortex.protocol.codec import WireError, encode_request
from cortex.protocol.faults import Code, Fault, fault
from cortex.protocol.request import Request

LEFT = Fault(code=Code.CANCELLED, message="The client has left.")


def encoded(request: Request, advice: str) -> bytes:
    """The request as it travels, without an agent's billing line. Raises `FaultError` with this advice for one too large."""
    try:
        return encode_request(without_billing(request))
    except WireError as error:
        raise fault(Code.REQUEST_TOO_LARGE, f"The request is larger than 4 MiB; {advice}.") from error


def submit(req: falcon.asgi.Request, link: Link, metrics: Metrics, ticket: Ticket) -> tuple[Stream, Record]:
    """Send it off with the priority of its key, and have it end when its client leaves."""
    key = key_of(req)
    if key is not None and key.priority:
        ticket = structs.replace(ticket, priority=key.priority)
    stream = link.open(ticket)
    record = metrics.begin(stream.request, ticket.model, req.uri_template or "")
    req.context.record = record
    gone = req.scope["cortex.gone"]
    gone.then(stream.cancel)  # before anything else
    gone.then(lambda: record.end(status_of(LEFT), fault=LEFT))
    return stream, record
