"""How many tokens has this chat? For every dialect that has a route for it. It waits in no queue, and for a second at most."""

from __future__ import annotations

import falcon.asgi

from cortex.edge import images
from cortex.edge.estimate import Estimates
from cortex.edge.events import Ticket
from cortex.edge.link import Link
from cortex.edge.submitting import encoded
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Counted
from cortex.protocol.request import Chat, Count

ESTIMATED = "x-cortex-estimated"


def tell(resp: falcon.asgi.Response, counted: Counted) -> None:
    """Say where a figure is an estimate: bodies of the dialects have no place for it."""
    if counted.estimated:
        resp.set_header(ESTIMATED, "true")


async def count(link: Link, request: str, chat: Chat) -> Counted:
    """The tokens of `chat`, whose model is an id; `estimated` tells that nobody counted. Raises `FaultError`."""
    chat = images.for_model(chat, sees=False, refuses=False)  # what they take is not counted yet
    blob = encoded(Count(chat=chat), "shorten its messages or tools")
    ticket = Ticket(
        request=request, model=chat.model, attachments=(blob,), choices=0, operation="count", queue_ms=0
    )
    try:
        stream = link.open(ticket)
    except FaultError as error:
        if error.fault.code is Code.BROKER_LOST:
            return Estimates().of(ticket)
        raise
    try:
        outcome = await stream.outcome()
    finally:
        stream.cancel()
    assert isinstance(outcome, Counted), "a count ends with a figure"
    return outcome
