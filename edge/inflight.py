"""Which request is where: the correlation table of one edge worker towards one broker. Pure; `now` is an argument.

A request is `held` while no broker is known, `submitted` until a neuron takes it, then `accepted`:

    Opened ─▶ held ◀──▶ submitted ──Accepted──▶ accepted ──Finished──▶ (gone)
               ▲  broker    │                      │
               └── lost ────┴──── Failed, nothing delivered yet: attempt + 1

Whatever happens, one `End` leaves for each `Opened`, and nothing for that request after it. Only deltas of the
attempt at hand and of the neuron that accepted it count; each choice's tokens arrive without gap or repetition, or
the attempt fails. The table alone mints attempts. A `Cancel` is sent again until it is answered, because a lost one
would keep a device busy for nobody.

It knows no sockets, no clients and no HTTP: `link` feeds it and does what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from cortex.edge.events import Closing, Deliver, Effect, End, Event, Left, Opened, Received, Send, Ticket
from cortex.protocol.deltas import Deltas, Finish
from cortex.protocol.faults import Code, Fault
from cortex.protocol.liveness import EXPIRY
from cortex.protocol.messages import (
    Accepted,
    Cancel,
    Counted,
    Failed,
    Finished,
    Loading,
    Query,
    Queued,
    Refused,
    Submit,
    Welcome,
)

MAX_ATTEMPTS = 3
QUERY_AFTER = 5.0
"""Seconds without a frame about a request before the broker is asked."""
GRACE = 5.0
"""How much longer than the queue deadline the edge waits for the broker to say so itself."""
HOLD = 10.0
"""How long a request outlives its broker at least, waiting for the next."""
CANCEL_TRIES = 3

State = Literal["held", "submitted", "accepted"]


@dataclass(slots=True)
class _Entry:
    ticket: Ticket
    state: State
    queued_at: float
    """When it would have joined the queue, had it waited in one go."""
    since: float
    """When it came into this state."""
    heard_at: float
    asked_at: float
    attempt: int = 1
    session: bytes = b""
    token_at: float = 0.0
    waited: float = 0.0
    loading: bool = False
    known: bool = False
    """A broker may have heard of this attempt."""
    resubmitted: bool = False
    started: bool = False
    tokens: list[list[int]] = field(default_factory=list)
    finished: list[bool] = field(default_factory=list)


@dataclass(slots=True)
class _Leaving:
    """A cancelled attempt whose terminal has not come."""

    attempt: int
    sent_at: float
    tries: int = 1


class Inflight:
    """The table. `handle` and `tick` answer what is to be done, in order."""

    def __init__(self, *, stall_s: float = 120.0) -> None:
        self._stall_s = stall_s
        self._entries: dict[str, _Entry] = {}
        self._leaving: dict[tuple[str, int], _Leaving] = {}
        self._broker: bytes | None = None
        self._heard_at = 0.0
        self._live = False
        self._on_message: dict[type[Struct], Callable[[_Entry, Any, float], list[Effect]]] = {
            Queued: self._on_queued,
            Loading: self._on_loading,
            Refused: self._on_refused,
            Failed: self._on_failed,
            Finished: self._on_finished,
            Counted: self._on_counted,
        }

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        states = [entry.state for entry in self._entries.values()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in ("held", "submitted", "accepted"))
        return f"<Inflight {'live' if self._live else 'no broker'}: {counts}, {len(self._leaving)} leaving>"

    @property
    def live(self) -> bool:
        """Whether a broker is known and answers."""
        return self._live

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        if type(event) is Received:
            return self._received(event.session, event.message, now)
        if isinstance(event, Opened):
            return self._opened(event.ticket, now)
        if isinstance(event, Left):
            entry = self._entries.get(event.request)
            return [] if entry is None else self._give_up(entry, event.fault, now)
        if isinstance(event, Closing):
            return _joined(self._give_up(entry, event.fault, now) for entry in list(self._entries.values()))
        raise TypeError(event)

    def tick(self, now: float) -> list[Effect]:
        """Do what time alone makes due."""
        effects: list[Effect] = []
        if self._live and now >= self._heard_at + EXPIRY:
            effects += self._broker_lost(now)
        for entry in list(self._entries.values()):
            if now >= self._ends_at(entry):
                effects += self._overdue(entry, now)
            elif now >= self._asks_at(entry):
                entry.asked_at = now
                effects.append(Send(Query(request=entry.ticket.request, attempt=entry.attempt)))
        for key, leaving in list(self._leaving.items()):
            if now < leaving.sent_at + QUERY_AFTER:
                continue
            if leaving.tries >= CANCEL_TRIES:
                del self._leaving[key]
                continue
            leaving.sent_at = now
            leaving.tries += 1
            effects.append(Send(Cancel(request=key[0], attempt=key[1])))
        return effects

    def next_deadline(self) -> float | None:
        """When `tick` has something to do, or None."""
        moments = [leaving.sent_at + QUERY_AFTER for leaving in self._leaving.values()]
        if self._live:
            moments.append(self._heard_at + EXPIRY)
        for entry in self._entries.values():
            moments += (self._ends_at(entry), self._asks_at(entry))
        return min((moment for moment in moments if moment != _NEVER), default=None)

    # ── time ──

    def _ends_at(self, entry: _Entry) -> float:
        queue_end = entry.queued_at + entry.ticket.queue_ms / 1000
        if entry.state == "held":
            return max(queue_end, entry.since + HOLD)
        if entry.state == "accepted":
            return max(entry.token_at, entry.since) + self._stall_s
        if entry.loading:
            return entry.heard_at + self._stall_s
        return max(queue_end, entry.since) + GRACE

    def _asks_at(self, entry: _Entry) -> float:
        return _NEVER if entry.state == "held" else max(entry.heard_at, entry.asked_at) + QUERY_AFTER

    def _overdue(self, entry: _Entry, now: float) -> list[Effect]:
        if entry.state == "held":
            return self._give_up(entry, NO_BROKER, now)
        if entry.state == "accepted" or entry.loading:
            seconds = f"{self._stall_s:g}"
            return self._give_up(
                entry, Fault(code=Code.STALLED, message=f"nothing was heard for {seconds} s"), now
            )
        fault = Fault(code=Code.DEADLINE, message="no place became free in time; try again")
        return self._give_up(entry, fault, now)

    # ── the broker ──

    def _welcome(self, session: bytes, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if self._live and session != self._broker:
            effects = self._broker_lost(now)
        if session != self._broker:
            self._leaving.clear()  # a new broker knows nothing of the old one's requests
        self._broker = session
        self._heard_at = now
        if not self._live:
            self._live = True
            for entry in self._entries.values():
                effects.append(self._submit(entry, now))
        return effects

    def _broker_lost(self, now: float) -> list[Effect]:
        self._live = False
        effects: list[Effect] = []
        for entry in list(self._entries.values()):
            if entry.state == "accepted":
                effects += self._fail(entry, BROKER_LOST, now, cancel=True)
            else:
                self._hold(entry, now)
        return effects

    def _opened(self, ticket: Ticket, now: float) -> list[Effect]:
        if ticket.request in self._entries:
            raise ValueError(f"request {ticket.request} is open already")
        entry = _Entry(ticket=ticket, state="held", queued_at=now, since=now, heard_at=now, asked_at=now)
        self._entries[ticket.request] = entry
        self._begin_attempt(entry)
        return [self._submit(entry, now)] if self._live else []

    def _begin_attempt(self, entry: _Entry) -> None:
        entry.session = b""
        entry.known = entry.resubmitted = entry.started = entry.loading = False
        entry.tokens = [[] for _ in range(entry.ticket.choices)]
        entry.finished = [False] * entry.ticket.choices

    def _hold(self, entry: _Entry, now: float) -> None:
        entry.state = "held"
        entry.since = now
        entry.loading = False

    def _submit(self, entry: _Entry, now: float) -> Send:
        entry.state = "submitted"
        entry.known = True
        entry.since = entry.heard_at = entry.asked_at = now
        ticket = entry.ticket
        message = Submit(
            request=ticket.request,
            attempt=entry.attempt,
            model=ticket.model,
            operation=ticket.operation,
            principal=ticket.principal,
            cost=ticket.cost,
            queue_ms=ticket.queue_ms,
            waited_ms=max(0, int((now - entry.queued_at) * 1000)),
            digest=ticket.digest,
            blocks=ticket.blocks,
        )
        return Send(message, ticket.attachments)

    # ── messages ──

    def _received(self, session: bytes, message: Struct, now: float) -> list[Effect]:
        if self._live:
            self._heard_at = now
        if type(message) is Deltas:
            return self._on_deltas(session, message, now)
        if isinstance(message, Welcome):
            return self._welcome(session, now)
        if isinstance(message, Refused | Failed | Finished | Counted):
            self._leaving.pop((message.request, message.attempt), None)
        request = getattr(message, "request", None)
        entry = self._entries.get(request) if isinstance(request, str) else None
        if entry is None or entry.state == "held" or getattr(message, "attempt", 0) != entry.attempt:
            return []
        entry.heard_at = now
        if isinstance(message, Accepted):
            return self._on_accepted(entry, session, message, now)
        handler = self._on_message.get(type(message))
        return [] if handler is None else handler(entry, message, now)

    def _on_queued(self, entry: _Entry, message: Queued, _now: float) -> list[Effect]:
        if entry.state != "submitted":
            return []
        entry.loading = False
        return [Deliver(entry.ticket.request, message)]

    def _on_loading(self, entry: _Entry, message: Loading, _now: float) -> list[Effect]:
        if entry.state != "submitted":
            return []
        entry.loading = True
        return [Deliver(entry.ticket.request, message)]

    def _on_accepted(self, entry: _Entry, session: bytes, message: Accepted, now: float) -> list[Effect]:
        if entry.state != "submitted":
            return []  # the answer to a query
        entry.state = "accepted"
        entry.since = entry.token_at = now
        entry.waited = now - entry.queued_at
        entry.session = session
        return [Deliver(entry.ticket.request, message)]

    def _on_deltas(self, session: bytes, message: Deltas, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for delta in message.items:
            entry = self._entries.get(delta.request)
            if entry is None or entry.session != session or entry.attempt != delta.attempt:
                continue
            entry.heard_at = now
            choice = delta.choice
            if not 0 <= choice < len(entry.tokens) or entry.finished[choice]:
                continue
            tokens = entry.tokens[choice]
            if delta.seq == len(tokens):
                tokens += delta.tokens
                entry.started = True
                entry.token_at = now
                pieces = delta.pieces
                if pieces and type(pieces[-1]) is Finish:
                    entry.finished[choice] = True
                effects.append(Deliver(delta.request, delta))
            elif delta.seq > len(tokens):
                effects += self._fail(entry, STREAM_GAP, now, cancel=True)
        return effects

    def _on_refused(self, entry: _Entry, message: Refused, now: float) -> list[Effect]:
        if message.fault.code is Code.UNKNOWN_REQUEST:
            return self._unknown(entry, now)
        return self._end(entry, message.fault)

    def _on_failed(self, entry: _Entry, message: Failed, now: float) -> list[Effect]:
        if message.fault.code is Code.UNKNOWN_REQUEST:
            return self._unknown(entry, now)
        return self._fail(entry, message.fault, now)

    def _unknown(self, entry: _Entry, now: float) -> list[Effect]:
        """The broker never got it, or has forgotten it."""
        if entry.state == "submitted" and not entry.resubmitted:
            entry.resubmitted = True
            return [self._submit(entry, now)]
        return self._fail(entry, BROKER_LOST, now)

    def _on_finished(self, entry: _Entry, message: Finished, now: float) -> list[Effect]:
        arrived = tuple(len(tokens) for tokens in entry.tokens)
        totals = message.totals + (0,) * (len(arrived) - len(message.totals))
        if totals != arrived and not message.cancelled:
            return self._fail(entry, STREAM_GAP, now)
        return self._end(entry, message)

    def _on_counted(self, entry: _Entry, message: Counted, _now: float) -> list[Effect]:
        return self._end(entry, message)

    # ── ends ──

    def _end(self, entry: _Entry, outcome: Finished | Counted | Fault) -> list[Effect]:
        del self._entries[entry.ticket.request]
        return [End(entry.ticket.request, outcome)]

    def _cancel(self, entry: _Entry, now: float) -> list[Effect]:
        if not entry.known:
            return []
        request, attempt = entry.ticket.request, entry.attempt
        self._leaving[request, attempt] = _Leaving(attempt, now)
        return [Send(Cancel(request=request, attempt=attempt))]

    def _give_up(self, entry: _Entry, fault: Fault, now: float) -> list[Effect]:
        return [*self._cancel(entry, now), *self._end(entry, fault)]

    def _fail(self, entry: _Entry, fault: Fault, now: float, *, cancel: bool = False) -> list[Effect]:
        """An attempt has failed. As long as its client has seen nothing, another one may do better."""
        effects = self._cancel(entry, now) if cancel else []
        final = not fault.retryable or fault.code is Code.DEADLINE
        if final or entry.started or entry.attempt >= MAX_ATTEMPTS:
            return effects + self._end(entry, fault)
        if entry.state == "accepted":  # its time with a neuron was no waiting
            entry.queued_at = now - entry.waited
        entry.attempt += 1
        self._begin_attempt(entry)
        if self._live:
            effects.append(self._submit(entry, now))
        else:
            self._hold(entry, now)
        return effects

    def check(self) -> None:
        """Assert every invariant."""
        for request, entry in self._entries.items():
            assert entry.ticket.request == request
            assert 1 <= entry.attempt <= MAX_ATTEMPTS
            assert (entry.state == "held") <= (not self._live), f"{request} is held though a broker lives"
            assert self._live or entry.state == "held", f"{request} is {entry.state} without a broker"
            assert (entry.state == "accepted") == bool(entry.session)
            assert entry.started <= (entry.state == "accepted")
            assert len(entry.tokens) == len(entry.finished) == entry.ticket.choices
            assert (request, entry.attempt) not in self._leaving, f"{request} is open and being cancelled"
        assert all(leaving.tries <= CANCEL_TRIES for leaving in self._leaving.values())


_NEVER = float("inf")
BROKER_LOST = Fault(code=Code.BROKER_LOST, message="the broker was lost while the request ran; try again")
NO_BROKER = Fault(code=Code.BROKER_LOST, message="no broker can be reached; try again")
STREAM_GAP = Fault(code=Code.STREAM_GAP, message="a part of the answer was lost; try again")


def _joined(lists: Iterable[list[Effect]]) -> list[Effect]:
    return [effect for effects in lists for effect in effects]
