"""One request in the correlation table: where it is, and when time alone must move it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cortex.edge.events import Ticket
from cortex.protocol.messages import Submit

QUERY_AFTER = 5.0
"""Seconds without a frame about a request before its broker is asked."""
GRACE = 5.0
"""How much longer than the queue deadline the edge waits for the broker to say so itself."""
HOLD = 10.0
"""How long a request outlives the last broker at least, waiting for the next."""
COUNT = 1.0
"""Seconds for which somebody is waited for who counts."""
NEVER = float("inf")
NOWHERE = -1

State = Literal["held", "submitted", "accepted"]


@dataclass(slots=True)
class Entry:
    """A row of the table."""

    ticket: Ticket
    state: State
    queued_at: float
    """When it would have joined the queue, had it waited in one go."""
    since: float
    """When it came into this state."""
    heard_at: float
    asked_at: float
    attempt: int = 1
    failures: int = 0
    """Attempts that came to nothing. One that moved on because its broker was lost while it waited is none."""
    broker: int = NOWHERE
    """The only one that was ever given this attempt."""
    known: bool = False
    """Whether that broker may still know of it."""
    session: bytes = b""
    token_at: float = 0.0
    waited: float = 0.0
    loading: bool = False
    resubmitted: bool = False
    started: bool = False
    tokens: list[list[int]] = field(default_factory=list)
    finished: list[bool] = field(default_factory=list)

    def begin_attempt(self) -> None:
        """Forget what belonged to the last one."""
        self.session = b""
        self.broker = NOWHERE
        self.known = self.resubmitted = self.started = self.loading = False
        self.tokens = [[] for _ in range(self.ticket.choices)]
        self.finished = [False] * self.ticket.choices

    def next_attempt(self) -> None:
        """A number that nobody has been given yet."""
        self.attempt += 1
        self.begin_attempt()

    def submit(self, broker: int, now: float) -> Submit:
        """It goes to this broker."""
        self.state = "submitted"
        self.broker = broker
        self.known = True
        self.since = self.heard_at = self.asked_at = now
        ticket = self.ticket
        return Submit(
            request=ticket.request,
            attempt=self.attempt,
            model=ticket.model,
            operation=ticket.operation,
            principal=ticket.principal,
            priority=ticket.priority,
            cost=ticket.cost,
            queue_ms=ticket.queue_ms,
            waited_ms=max(0, int((now - self.queued_at) * 1000)),
            digest=ticket.digest,
            blocks=ticket.blocks,
        )

    def hold(self, now: float) -> None:
        """There is no broker to give it to."""
        self.state = "held"
        self.since = now
        self.loading = False

    def ends_at(self, stall_s: float) -> float:
        """When it has waited too long in this state."""
        if self.ticket.operation == "count":
            return self.queued_at + COUNT
        queue_end = self.queued_at + self.ticket.queue_ms / 1000
        if self.state == "held":
            return max(queue_end, self.since + HOLD)
        if self.state == "accepted":
            # A long prompt is read for minutes. Whether its device makes progress its broker knows, which is asked.
            return (self.token_at if self.started else max(self.heard_at, self.since)) + stall_s
        if self.loading:
            return self.heard_at + stall_s
        return max(queue_end, self.since) + GRACE

    def asks_at(self) -> float:
        """When its broker is asked what has become of it."""
        return NEVER if self.state == "held" else max(self.heard_at, self.asked_at) + QUERY_AFTER
