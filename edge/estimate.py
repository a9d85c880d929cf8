"""How long a prompt is when nobody counts in time: whoever asks wants a figure now, and is told that it is no count. Pure."""

from __future__ import annotations

from cortex.edge.events import Ticket
from cortex.protocol.faults import Code
from cortex.protocol.messages import Counted

BYTES_PER_TOKEN = 4
CLIENTS_OWN = frozenset(
    {
        Code.INVALID_REQUEST,
        Code.MODEL_NOT_FOUND,
        Code.CONTEXT_LENGTH_EXCEEDED,
        Code.REQUEST_TOO_LARGE,
        Code.UNSUPPORTED,
    }
)
"""Refusals of a count that its client has to hear of: an estimate would hide them."""


def estimate(ticket: Ticket, attempt: int = 1) -> Counted:
    """From the bytes of the request alone."""
    tokens = max(1, len(ticket.attachments[0]) // BYTES_PER_TOKEN)
    return Counted(request=ticket.request, attempt=attempt, tokens=tokens, estimated=True)
