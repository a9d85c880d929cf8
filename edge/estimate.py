"""How long a prompt is when nobody counts in time: whoever asks wants a figure now, and is told that it is no count. Pure."""

from __future__ import annotations

from cortex.edge.events import Ticket
from cortex.protocol.faults import Code
from cortex.protocol.messages import Counted

BYTES_PER_TOKEN = 4.0
"""Of a model of which no prompt has been counted yet."""
TELLING = 4096
"""Bytes of a request from which on it tells how many a token takes: of a shorter one most is not the prompt."""
NEWS = 0.25
"""How much the latest prompt counts."""
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


class Estimates:
    """What prompts that were counted tell of those that were not: the bytes of a token, by model."""

    def __init__(self) -> None:
        self._bytes_per_token: dict[str, float] = {}

    def learn(self, ticket: Ticket, tokens: int) -> None:
        """The prompt of this request has so many tokens."""
        size = len(ticket.attachments[0])
        if size < TELLING or tokens < 1:
            return
        known = self._bytes_per_token.get(ticket.model, size / tokens)
        self._bytes_per_token[ticket.model] = known + NEWS * (size / tokens - known)

    def of(self, ticket: Ticket, attempt: int = 1) -> Counted:
        """From the bytes of the request alone."""
        each = self._bytes_per_token.get(ticket.model, BYTES_PER_TOKEN)
        tokens = max(1, round(len(ticket.attachments[0]) / each))
        return Counted(request=ticket.request, attempt=attempt, tokens=tokens, estimated=True)
