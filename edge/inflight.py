"""Which request is where: the correlation table of one edge worker towards its brokers. Pure; `now` is an argument.

A request is `held` while no broker lives, `submitted` until a neuron takes it, then `accepted`:

    Opened ─▶ held ◀──▶ submitted ──Accepted──▶ accepted ──Finished──▶ (gone)
               ▲  broker  │   ▲ │                  │
               └── lost ──┤   └─┘ to the next      │
                          └──── Failed, nothing delivered yet: attempt + 1

It goes to the owner of its model among the brokers that live. If that one falls silent or restarts, what was not
accepted goes to the next in rank with the time it has waited; a broker that joins moves nothing. Only one broker is
ever given an attempt of a number: a request that moves takes a new one, and what the old broker may still do with it
is cancelled there. So a broker that was believed dead and wakes can neither answer nor run anything twice.

Whatever happens, one `End` leaves for each `Opened`, and nothing for that request after it. Only deltas of the
attempt at hand and of the neuron that accepted it count; each choice's tokens arrive without gap or repetition, or
the attempt fails. The table alone mints attempts. A `Cancel` is sent again until it is answered, because a lost one
would keep a device busy for nobody.

It knows no sockets, no clients and no HTTP: `link` feeds it and does what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from cortex.edge.brokers import Broker, BrokerHealth, Brokers, Cancelled, Key
from cortex.edge.entry import NEVER, NOWHERE, Entry
from cortex.edge.estimate import CLIENTS_OWN, Estimates
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
    Welcome,
)

MAX_ATTEMPTS = 3
"""How often a request is tried. Moving to another broker before anybody has accepted it is no try."""


class Inflight:
    """The table. `handle` and `tick` answer what is to be done, in order."""

    def __init__(self, *, brokers: int = 1, stall_s: float = 120.0, expiry_s: float = EXPIRY) -> None:
        self._stall_s = stall_s
        self._entries: dict[str, Entry] = {}
        self._brokers = Brokers(brokers, expiry_s)
        self._estimates = Estimates()
        self._on_message: dict[type[Struct], Callable[[Entry, Received, Any, float], list[Effect]]] = {
            Queued: self._on_queued,
            Loading: self._on_loading,
            Accepted: self._on_accepted,
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
        leaving = sum(len(broker.cancels) for broker in self._brokers.all)
        return f"<Inflight {self._brokers!r}: {counts}, {leaving} leaving>"

    @property
    def live(self) -> bool:
        """Whether a broker is known and answers."""
        return self._brokers.any_live

    @property
    def brokers(self) -> tuple[BrokerHealth, ...]:
        """All brokers, in the order of their indices."""
        return self._brokers.health

    def ranked(self, key: str) -> list[int]:
        """The brokers that live, in the order in which something of this name is theirs."""
        return self._brokers.ranked(key)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        if type(event) is Received:
            return self._received(event, now)
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
        for broker in self._brokers.fall_silent(now):  # all of them first: nothing moves to one of these
            effects += self._lost(broker, now)
        for entry in list(self._entries.values()):
            if now >= entry.ends_at(self._stall_s):
                effects += self._overdue(entry, now)
            elif now >= entry.asks_at():
                entry.asked_at = now
                query = Query(request=entry.ticket.request, attempt=entry.attempt)
                effects.append(Send(entry.broker, query))
        for broker in self._brokers.all:
            effects += _cancels(broker, broker.cancels_due(now))
        return effects

    def next_deadline(self) -> float | None:
        """When `tick` has something to do, or None."""
        moments = self._brokers.deadlines()
        for entry in self._entries.values():
            moments += (entry.ends_at(self._stall_s), entry.asks_at())
        return min((moment for moment in moments if moment != NEVER), default=None)

    def _overdue(self, entry: Entry, now: float) -> list[Effect]:
        if entry.ticket.operation == "count":
            return self._estimate(entry)
        if entry.state == "held":
            return self._give_up(entry, NO_BROKER, now)
        if entry.state == "accepted" or entry.loading:
            silence = f"Nothing was heard of this request for {self._stall_s:g} s; try again."
            return self._give_up(entry, Fault(code=Code.STALLED, message=silence), now)
        fault = Fault(code=Code.DEADLINE, message="No place became free in time; try again.")
        return self._give_up(entry, fault, now)

    # ── brokers ──

    def _welcome(self, broker: Broker, session: bytes, name: str, now: float) -> list[Effect]:
        if broker.live and session == broker.session:
            return []
        effects: list[Effect] = []
        if session != broker.session:  # another process: it knows nothing, and there is nothing to cancel
            effects = self._lost(broker, now, forgotten=True)
        effects += _cancels(broker, broker.welcome(session, name, now))
        return effects + _joined(self._submit(e, now) for e in self._entries.values() if e.state == "held")

    def _lost(self, broker: Broker, now: float, *, forgotten: bool = False) -> list[Effect]:
        """What it had goes elsewhere: to others that live, else it is held."""
        broker.live = False
        effects: list[Effect] = []
        for entry in list(self._entries.values()):
            if entry.broker != broker.index:
                continue
            entry.known = entry.known and not forgotten
            if entry.state == "accepted":
                effects += self._fail(entry, BROKER_LOST, now, cancel=True)
            elif entry.state == "submitted":
                effects += self._submit(entry, now)
        return effects

    def _submit(self, entry: Entry, now: float) -> list[Effect]:
        """Give it to the owner of its model; hold it while no broker lives."""
        broker = self._brokers.owner(entry.ticket.model)
        if broker is None:
            entry.hold(now)
            return []
        effects: list[Effect] = []
        if entry.broker != NOWHERE and (entry.broker != broker.index or entry.known):
            effects = self._cancel(entry, now)
            entry.next_attempt()
        return [*effects, self._send(entry, broker, now)]

    def _send(self, entry: Entry, broker: Broker, now: float) -> Send:
        return Send(broker.index, entry.submit(broker.index, now), entry.ticket.attachments)

    def _opened(self, ticket: Ticket, now: float) -> list[Effect]:
        if ticket.request in self._entries:
            raise ValueError(f"request {ticket.request} is open already")
        entry = Entry(ticket=ticket, state="held", queued_at=now, since=now, heard_at=now, asked_at=now)
        self._entries[ticket.request] = entry
        entry.begin_attempt()
        return self._submit(entry, now)

    # ── messages ──

    def _received(self, event: Received, now: float) -> list[Effect]:
        broker = self._brokers.all[event.broker]
        if broker.live:
            broker.heard_at = now
        message: Any = event.message
        kind = type(message)
        if kind is Deltas:
            return self._on_deltas(event.session, message, now)
        if kind is Welcome:
            return self._welcome(broker, event.session, message.broker, now)
        handler = self._on_message.get(kind)
        if handler is None:
            return []
        if kind in TERMINALS:
            broker.cancels.pop((message.request, message.attempt), None)
        entry = self._entries.get(message.request)
        if entry is None or entry.state == "held":
            return []
        if entry.attempt != message.attempt or entry.broker != broker.index:
            return []
        entry.heard_at = now
        return handler(entry, event, message, now)

    def _on_queued(self, entry: Entry, _event: Received, message: Queued, _now: float) -> list[Effect]:
        if entry.state != "submitted":
            return []
        entry.loading = False
        return [Deliver(entry.ticket.request, message)]

    def _on_loading(self, entry: Entry, _event: Received, message: Loading, _now: float) -> list[Effect]:
        if entry.state != "submitted":
            return []
        entry.loading = True
        return [Deliver(entry.ticket.request, message)]

    def _on_accepted(self, entry: Entry, event: Received, message: Accepted, now: float) -> list[Effect]:
        if entry.state != "submitted":
            return []  # the answer to a query
        entry.state = "accepted"
        entry.since = entry.token_at = now
        entry.waited = now - entry.queued_at
        entry.session = event.session
        if entry.ticket.operation != "embed":  # of which no more than the first texts have been read
            self._estimates.learn(entry.ticket, message.prompt_tokens)
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

    def _on_refused(self, entry: Entry, _event: Received, message: Refused, now: float) -> list[Effect]:
        if entry.ticket.operation == "count" and message.fault.code not in CLIENTS_OWN:
            return self._estimate(entry)
        if message.fault.code is Code.UNKNOWN_REQUEST:
            return self._unknown(entry, now)
        return self._end(entry, message.fault)

    def _on_failed(self, entry: Entry, _event: Received, message: Failed, now: float) -> list[Effect]:
        if message.fault.code is Code.UNKNOWN_REQUEST:
            return self._unknown(entry, now)
        return self._fail(entry, message.fault, now)

    def _unknown(self, entry: Entry, now: float) -> list[Effect]:
        """The broker never got it, or has forgotten it."""
        if entry.state == "submitted" and not entry.resubmitted:
            entry.resubmitted = True
            return [self._send(entry, self._brokers.all[entry.broker], now)]
        return self._fail(entry, BROKER_LOST, now)

    def _on_finished(self, entry: Entry, event: Received, message: Finished, now: float) -> list[Effect]:
        arrived = tuple(len(tokens) for tokens in entry.tokens)
        totals = message.totals + (0,) * (len(arrived) - len(message.totals))
        if totals != arrived and not message.cancelled:
            return self._fail(entry, STREAM_GAP, now)
        return self._end(entry, message, event.payload)

    def _on_counted(self, entry: Entry, _event: Received, message: Counted, _now: float) -> list[Effect]:
        if not message.estimated:
            self._estimates.learn(entry.ticket, message.tokens)
        return self._end(entry, message)

    def _estimate(self, entry: Entry) -> list[Effect]:
        return self._end(entry, self._estimates.of(entry.ticket, entry.attempt))

    # ── ends ──

    def _end(
        self, entry: Entry, outcome: Finished | Counted | Fault, payload: tuple[bytes, ...] = ()
    ) -> list[Effect]:
        del self._entries[entry.ticket.request]
        return [End(entry.ticket.request, outcome, payload)]

    def _cancel(self, entry: Entry, now: float) -> list[Effect]:
        if not entry.known or entry.ticket.operation == "count":  # of which nobody keeps anything
            return []
        broker = self._brokers.all[entry.broker]
        key = (entry.ticket.request, entry.attempt)
        broker.cancels[key] = Cancelled(now)
        return _cancels(broker, [key])

    def _give_up(self, entry: Entry, fault: Fault, now: float) -> list[Effect]:
        return [*self._cancel(entry, now), *self._end(entry, fault)]

    def _fail(self, entry: Entry, fault: Fault, now: float, *, cancel: bool = False) -> list[Effect]:
        """An attempt has failed. As long as its client has seen nothing, another one may do better."""
        effects = self._cancel(entry, now) if cancel else []
        final = not fault.retryable or fault.code is Code.DEADLINE
        entry.failures += 1
        if final or entry.started or entry.failures >= MAX_ATTEMPTS:
            return effects + self._end(entry, fault)
        if entry.state == "accepted":  # its time with a neuron was no waiting
            entry.queued_at = now - entry.waited
        entry.next_attempt()
        return effects + self._submit(entry, now)

    def check(self) -> None:
        """Assert every invariant."""
        self._brokers.check()
        for request, entry in self._entries.items():
            assert entry.ticket.request == request
            assert 0 <= entry.failures < MAX_ATTEMPTS
            assert entry.failures < entry.attempt
            if entry.state == "held":
                assert not self.live, f"{request} is held though a broker lives"
            else:
                assert self._brokers.all[entry.broker].live, f"{request} is {entry.state} at a silent broker"
                assert entry.known, f"{request} is {entry.state} and was never sent"
            assert (entry.state == "accepted") == bool(entry.session)
            assert entry.started <= (entry.state == "accepted")
            assert len(entry.tokens) == len(entry.finished) == entry.ticket.choices
            for broker in self._brokers.all:
                cancelled = (request, entry.attempt) in broker.cancels
                assert not cancelled, f"{request} is open and being cancelled at broker {broker.index}"


TERMINALS = frozenset({Refused, Failed, Finished, Counted})
BROKER_LOST = Fault(code=Code.BROKER_LOST, message="The broker was lost while the request ran; try again.")
NO_BROKER = Fault(code=Code.BROKER_LOST, message="No broker can be reached; try again.")
STREAM_GAP = Fault(code=Code.STREAM_GAP, message="A part of the answer was lost; try again.")


def _joined(lists: Iterable[list[Effect]]) -> list[Effect]:
    return [effect for effects in lists for effect in effects]


def _cancels(broker: Broker, keys: Iterable[Key]) -> list[Effect]:
    return [Send(broker.index, Cancel(request=request, attempt=attempt)) for request, attempt in keys]
