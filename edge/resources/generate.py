"""A route that generates text: read, submit, wait for the broker's first word, then stream or collect."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Generic, TypeVar, cast

import falcon.asgi
from msgspec import structs

from cortex.edge import images, prefix
from cortex.edge.catalogue import with_defaults
from cortex.edge.config import Gateway
from cortex.edge.dialects.dialect import Answered, Asked, Collector, Dialect, Encoder, Parsed
from cortex.edge.errors import JSON_TYPE, internal, status_of
from cortex.edge.events import Ticket
from cortex.edge.incoming import (
    BYTES_PER_TOKEN,
    digest_of,
    is_restricted,
    may_name,
    model_for,
    principal_of,
    require_json,
    without_seed,
)
from cortex.edge.link import Link
from cortex.edge.metrics import Metrics, Record
from cortex.edge.stream import Item, Stream
from cortex.edge.submitting import encoded, submit
from cortex.edge.waiting import Waiting
from cortex.protocol.deltas import Delta, Finish, Scores, ToolEnd
from cortex.protocol.faults import Fault, FaultError
from cortex.protocol.messages import Accepted, Finished, Loading, Queued
from cortex.protocol.request import Chat, Complete
from cortex.protocol.values import Usage

log = logging.getLogger("cortex.edge")

VISION = "vision"
"""The capability of models that see images."""
EVENT_STREAM = "text/event-stream; charset=utf-8"
ASSUMED_OUTPUT = 1024
"""Tokens that a request is charged for at most before it is known how many it took."""

P = TypeVar("P", bound=Parsed)
R = TypeVar("R", bound=Chat | Complete)


class GenerateResource(Generic[P]):
    """One dialect's way to ask for text."""

    def __init__(self, dialect: Dialect[P], link: Link, settings: Gateway, metrics: Metrics) -> None:
        self._dialect = dialect
        self._link = link
        self._settings = settings
        self._metrics = metrics

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer one request."""
        require_json(req)
        body = await req.stream.read()
        drawn = secrets.randbits(63)
        await self._serve(req, resp, await self._read(req, body, drawn), drawn)

    async def _serve(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, parsed: P, drawn: int
    ) -> None:
        name = parsed.request.model
        request = self._meant(req, parsed.request)
        stream, record = submit(req, self._link, self._metrics, self._ticket(req, request, drawn))
        answered = Answered(stream.request.removeprefix("req_"), name, int(time.time()))
        try:
            await stream.verdict()
            if parsed.stream:
                as_events(resp)
                encoder = self._dialect.encoder(parsed, answered)
                waiting = waiting_of(req, request.model, name)
                resp.stream = Events(stream, encoder, record, waiting, partial(self._after, req, encoder))
            else:
                resp.content_type = JSON_TYPE
                collector = self._dialect.collector(parsed, answered)
                usage = await collect(stream, collector, record)
                resp.data = collector.body(usage)
                if (after := self._after(req, collector)) is not None:
                    await after
        except FaultError as error:
            record.end(status_of(error.fault), fault=error.fault)
            raise
        except BaseException:
            record.end(500, fault=internal(stream.request))
            stream.cancel()
            raise

    def _meant(self, req: falcon.asgi.Request, asked: R) -> R:
        """The request with its model's id, and what the model's entry says where the client is silent."""
        entry = model_for(req, self._link.catalogue, asked.model)
        meant = structs.replace(asked, model=entry.id, sampling=with_defaults(asked.sampling, entry))
        if not isinstance(meant, Chat):
            return meant
        return cast(R, images.for_model(meant, sees=VISION in entry.capabilities))

    async def _read(self, req: falcon.asgi.Request, body: bytes, drawn: int) -> P:  # noqa: ARG002  # some look further
        """The body as its dialect reads it; `drawn` is the seed for a client that gave none."""
        return self._dialect.parse(body, Asked(seed=drawn))

    def _after(
        self,
        req: falcon.asgi.Request,  # noqa: ARG002  # for those that need it
        writer: Encoder | Collector,  # noqa: ARG002
    ) -> Coroutine[object, object, object] | None:
        """What is to be done when the answer has ended, before its client is told so."""
        return None

    def _ticket(
        self, req: falcon.asgi.Request, request: Chat | Complete, drawn: int, part: str = ""
    ) -> Ticket:
        """`drawn` is the seed for a client that gave none. `part` tells requests apart that come of one body."""
        travels, seen = images.detached(request) if isinstance(request, Chat) else (request, ())
        advice = "shorten its messages or tools" if isinstance(request, Chat) else "shorten its prompt"
        blob = encoded(travels, advice)
        principal = principal_of(req)
        # What is sent again counts, and not how: without a stream this time, or behind another billing line.
        same = encoded(without_seed(travels), advice) if request.sampling.seed == drawn else blob
        wanted = request.sampling.max_tokens
        limit = ASSUMED_OUTPUT if wanted is None else min(wanted, ASSUMED_OUTPUT)
        return Ticket(
            request=req.scope["cortex.request_id"] + part,
            model=request.model,
            attachments=(blob, *seen),
            choices=request.sampling.n,
            principal=principal,
            cost=len(blob) // BYTES_PER_TOKEN + limit,
            queue_ms=int(self._settings.queue_s * 1000),
            digest=digest_of(principal, f"{req.path}{part}".encode(), same, *seen),
            blocks=prefix.blocks(request, principal) if isinstance(request, Chat) else (),
        )


class Events:
    """The events of one streamed answer. All that is there goes out in one write."""

    def __init__(
        self,
        stream: Stream,
        encoder: Encoder,
        record: Record,
        waiting: Waiting,
        after: Callable[[], Coroutine[object, object, object] | None],
    ) -> None:
        self._stream = stream
        self._encoder = encoder
        self._record = record
        self._waiting = waiting
        self._after = after
        self._begun = False
        self._ended = False
        self._last: tuple[bytes, asyncio.Task[object]] | None = None
        """How the answer ends, and what is being done before that is said."""

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> bytes:
        self._stream.said()
        if not self._begun:
            self._begun = True
            return self._encoder.start(self._stream.known)
        if self._ended:
            if last := await self._conclude():
                return last
            raise StopAsyncIteration
        while True:
            items = await self._stream.take()
            try:
                data = self._written(items)
                if not data and self._stream.overdue:
                    now = time.monotonic()
                    return self._encoder.quiet(self._waiting.quiet(now), now)
            except Exception as error:
                data = self._break(error)
            if data := data or await self._conclude():
                return data

    def _written(self, items: list[Item]) -> bytes:
        """What can be said at once: if something is to be done before the end, that is not in it."""
        if not items or not isinstance(items[-1], Finished):
            return b"".join([self._encode(item) for item in items])
        data = b"".join([self._encode(item) for item in items[:-1]])
        last = self._encode(items[-1])
        doing = self._after()
        if doing is None:
            return data + last
        self._last = last, asyncio.create_task(doing)
        return data

    async def _conclude(self) -> bytes:
        """What is left to say, as soon as it may be said."""
        if self._last is None:
            return b""
        (last, doing), self._last = self._last, None
        try:
            await doing
        except Exception as error:
            return self._break(error)
        return last

    def _break(self, error: Exception) -> bytes:
        """The error is ours."""
        log.error("request %s could not be encoded", self._stream.request, exc_info=error)
        self._stream.cancel()
        return self._fail(internal(self._stream.request))

    def _encode(self, item: object) -> bytes:
        if type(item) is Delta:
            if self._record.first_at is None and has_content(item):
                self._record.content()
            return self._encoder.push(item)
        if isinstance(item, Finished):
            self._record.end(200, usage=item.usage, calls=item.calls)
            self._ended = True
            return self._encoder.end(item.usage)
        if isinstance(item, Fault):
            return self._fail(item)
        if isinstance(item, Queued | Loading):
            now = time.monotonic()
            comment = self._waiting.hear(item, now)
            return self._encoder.quiet(comment, now) if comment else b""
        if isinstance(item, Accepted):
            self._waiting.serve()
        return b""

    def _fail(self, reason: Fault) -> bytes:
        self._record.end(200, fault=reason)
        self._ended = True
        return self._encoder.fail(reason)

    async def close(self) -> None:
        """Falcon is done with it, for whatever reason."""
        self._stream.cancel()


def waiting_of(req: falcon.asgi.Request, id_: str, asked: str) -> Waiting:
    """What a client is told while it waits for a model that it called `asked`, in names that it may know."""
    return Waiting(id_ if may_name(req, id_) else asked, discreet=is_restricted(req))


def as_events(resp: falcon.asgi.Response) -> None:
    """Headers of a stream that nobody on the way is to keep or to hold back."""
    resp.content_type = EVENT_STREAM
    resp.set_header("cache-control", "no-cache")
    resp.set_header("x-accel-buffering", "no")


async def collect(stream: Stream, collector: Collector, record: Record) -> Usage:
    """Wait for the whole answer; raises the fault that ends it otherwise."""
    while True:
        for item in await stream.take():
            if type(item) is Delta:
                if record.first_at is None and has_content(item):
                    record.content()
                collector.push(item)
            elif isinstance(item, Finished):
                record.end(200, usage=item.usage, calls=item.calls)
                return item.usage
            elif isinstance(item, Fault):
                raise FaultError(item)


def has_content(delta: Delta) -> bool:
    """Whether a client sees something of it: text, reasoning or a tool call."""
    return any(not isinstance(piece, Finish | Scores | ToolEnd) for piece in delta.pieces)
