"""The brokers as one edge worker sees them: who lives, who is asked for which model, who has yet to stop what. Pure.

A broker lives from its `Welcome` until nothing has been heard of it for three beats, or until another session
answers in its place: then it has restarted and knows nothing of what was before. Each keeps the cancels that it has not
answered; one that was silent is told again when it is back. Knows nothing of the requests themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Struct

from cortex.protocol.liveness import EXPIRY
from cortex.protocol.owner import owner, ranked

Key = tuple[str, int]
"""(request, attempt)."""

CANCEL_AFTER = 5.0
"""Seconds until a cancel that is not answered is sent again."""
CANCEL_TRIES = 3


class BrokerHealth(Struct, frozen=True):
    """A broker for people: `name` is empty until it has said it."""

    name: str
    live: bool


@dataclass(slots=True)
class Cancelled:
    """A cancelled attempt whose terminal has not come."""

    sent_at: float
    tries: int = 1


@dataclass(slots=True)
class Broker:
    """One broker. `session` is empty until it has answered a beat; it outlives a silence."""

    index: int
    name: str = ""
    session: bytes = b""
    heard_at: float = 0.0
    live: bool = False
    cancels: dict[Key, Cancelled] = field(default_factory=dict)

    def welcome(self, session: bytes, name: str, now: float) -> list[Key]:
        """It answers (again). What it was told to cancel before a silence may be lost: answers what to repeat."""
        if session != self.session:
            self.cancels.clear()  # it knows nothing of its predecessor's requests
        for key in self.cancels:
            self.cancels[key] = Cancelled(now)
        self.session, self.name, self.heard_at, self.live = session, name, now, True
        return list(self.cancels)

    def cancels_due(self, now: float) -> list[Key]:
        """What to tell it once more; after the third time it is believed to know. One that is silent is not told."""
        due: list[Key] = []
        if not self.live:
            return due
        for key, cancelled in list(self.cancels.items()):
            if now < cancelled.sent_at + CANCEL_AFTER:
                continue
            if cancelled.tries >= CANCEL_TRIES:
                del self.cancels[key]
                continue
            cancelled.sent_at = now
            cancelled.tries += 1
            due.append(key)
        return due


class Brokers:
    """All of them, by index."""

    def __init__(self, count: int, expiry_s: float = EXPIRY) -> None:
        self.all = tuple(Broker(index) for index in range(count))
        self._expiry_s = expiry_s

    def __repr__(self) -> str:
        return ", ".join(broker.name for broker in self.all if broker.live) or "no broker"

    @property
    def any_live(self) -> bool:
        return any(broker.live for broker in self.all)

    @property
    def health(self) -> tuple[BrokerHealth, ...]:
        return tuple(BrokerHealth(broker.name, broker.live) for broker in self.all)

    def owner(self, model: str) -> Broker | None:
        """Whom to ask for this model, of those that live."""
        live = [broker for broker in self.all if broker.live]
        if len(live) <= 1:
            return live[0] if live else None
        named = {broker.name: broker for broker in live}
        name = owner(model, named)
        return None if name is None else named[name]

    def ranked(self, key: str) -> list[int]:
        """The indices of those that live, the owner of this key first, then who takes over from whom."""
        named = {broker.name: broker.index for broker in self.all if broker.live}
        return [named[name] for name in ranked(key, named)]

    def fall_silent(self, now: float) -> list[Broker]:
        """Those of which nothing has been heard for too long. They live no more."""
        silent = [broker for broker in self.all if broker.live and now >= broker.heard_at + self._expiry_s]
        for broker in silent:
            broker.live = False
        return silent

    def deadlines(self) -> list[float]:
        """When a broker counts as silent, and when a cancel is to be sent again."""
        moments: list[float] = []
        for broker in self.all:
            if broker.live:
                moments.append(broker.heard_at + self._expiry_s)
                moments += [cancelled.sent_at + CANCEL_AFTER for cancelled in broker.cancels.values()]
        return moments

    def check(self) -> None:
        """Assert every invariant."""
        for broker in self.all:
            assert broker.session or not broker.live, f"broker {broker.index} lives without a session"
            assert all(cancelled.tries <= CANCEL_TRIES for cancelled in broker.cancels.values())
