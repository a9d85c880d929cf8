"""What a route that generates asks of its dialect: to read a body, and to write an answer, streamed or whole. Pure.

Every dialect reads into one normalized request and writes one stream of deltas; it knows no HTTP, models or queue.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

from cortex.protocol.deltas import Delta
from cortex.protocol.faults import Fault
from cortex.protocol.request import Chat, Complete
from cortex.protocol.values import Usage


class Asked(NamedTuple):
    """What reading a body needs besides it: a seed for a client that gave none."""

    seed: int = 0


class Answered(NamedTuple):
    """What an answer is called: the id's own part, the model as its client named it, seconds since the epoch."""

    id: str
    model: str
    created: int


class Encoder(Protocol):
    """One answer as server-sent events; every method returns the bytes to send."""

    def start(self, known: Usage) -> bytes:
        """The request has a place in line, or is served: then its prompt is counted, and what of it was cached."""

    def push(self, delta: Delta) -> bytes:
        """The events of one delta; empty while its text is held back."""

    def quiet(self, comment: bytes, now: float) -> bytes:
        """A sign of life while there is nothing to say; `comment` is an SSE comment that tells how things stand."""

    def end(self, usage: Usage) -> bytes:
        """The end of an answer that is complete."""

    def fail(self, fault: Fault) -> bytes:
        """The end of an answer that is not."""


class Collector(Protocol):
    """One answer as one body."""

    def push(self, delta: Delta) -> None:
        """Take in one delta."""

    def body(self, usage: Usage) -> bytes:
        """The whole answer."""


class Parsed(Protocol):
    """A body that was read: the request, and how its client wants the answer."""

    @property
    def request(self) -> Chat | Complete: ...

    @property
    def stream(self) -> bool: ...


P = TypeVar("P", bound=Parsed)


class Dialect(Protocol[P]):
    """One way of asking and answering."""

    def parse(self, body: bytes, asked: Asked) -> P:
        """Read a body. Whatever is wrong with it is one `FaultError` that names the field."""

    def encoder(self, parsed: P, answered: Answered) -> Encoder:
        """The writer of a streamed answer."""

    def collector(self, parsed: P, answered: Answered) -> Collector:
        """The writer of a whole answer."""
