"""`POST /v1/chat/completions`: read, submit, wait for the broker's first word, then stream or collect."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time

import falcon
import falcon.asgi
from msgspec import structs

from cortex.edge import prefix
from cortex.edge.catalogue import with_defaults
from cortex.edge.config import Gateway
from cortex.edge.dialects.openai_chat import ParsedChat, parse
from cortex.edge.dialects.openai_chat_reply import ChatCollector, ChatStream
from cortex.edge.errors import JSON_TYPE, internal, status_of
from cortex.edge.events import Ticket
from cortex.edge.link import Link
from cortex.edge.metrics import Metrics, Record
from cortex.edge.stream import Stream
from cortex.edge.submitting import encoded, submit
from cortex.edge.waiting import Waiting
from cortex.protocol.deltas import Delta, Finish, Scores, ToolEnd
from cortex.protocol.faults import Fault, FaultError
from cortex.protocol.messages import Accepted, Finished, Loading, Queued
from cortex.protocol.request import Chat

log = logging.getLogger("cortex.edge")

EVENT_STREAM = "text/event-stream; charset=utf-8"
ASSUMED_OUTPUT = 1024
"""Tokens that a request is charged for at most before it is known how many it took."""
BYTES_PER_TOKEN = 4
DIGEST_BYTES = 16


class ChatResource:
    """Chat completions."""

    def __init__(self, link: Link, settings: Gateway, metrics: Metrics) -> None:
        self._link = link
        self._settings = settings
        self._metrics = metrics

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer one chat."""
        require_json(req)
        body = await req.stream.read()
        parsed = parse(body, seed=secrets.randbits(63))
        entry = self._link.catalogue.find(parsed.chat.model)
        req.context.model = entry.id
        chat = structs.replace(
            parsed.chat, model=entry.id, sampling=with_defaults(parsed.chat.sampling, entry)
        )
        stream, record = submit(req, self._link, self._metrics, self._ticket(req, chat, body))
        try:
            await stream.verdict()
            if parsed.stream:
                resp.content_type = EVENT_STREAM
                resp.set_header("cache-control", "no-cache")
                resp.set_header("x-accel-buffering", "no")
                resp.stream = ChatEvents(stream, _encoder(stream, parsed), record, Waiting(entry.id))
            else:
                resp.content_type = JSON_TYPE
                resp.data = await _collect(stream, parsed.chat, record)
        except FaultError as error:
            record.end(status_of(error.fault), fault=error.fault)
            raise
        except BaseException:
            record.end(500, fault=internal(stream.request))
            stream.cancel()
            raise

    def _ticket(self, req: falcon.asgi.Request, chat: Chat, body: bytes) -> Ticket:
        blob = encoded(chat, "shorten its messages or tools")
        principal = principal_of(req)
        limit = chat.sampling.max_tokens or ASSUMED_OUTPUT
        return Ticket(
            request=req.scope["cortex.request_id"],
            model=chat.model,
            attachments=(blob,),
            choices=chat.sampling.n,
            principal=principal,
            cost=len(blob) // BYTES_PER_TOKEN + min(limit, ASSUMED_OUTPUT),
            queue_ms=int(self._settings.queue_s * 1000),
            digest=digest_of(principal, body),
            blocks=prefix.blocks(chat, principal),
        )


class ChatEvents:
    """The events of one streamed answer. All that is there goes out in one write."""

    def __init__(self, stream: Stream, encoder: ChatStream, record: Record, waiting: Waiting) -> None:
        self._stream = stream
        self._encoder = encoder
        self._record = record
        self._waiting = waiting
        self._begun = False
        self._ended = False

    def __aiter__(self) -> ChatEvents:
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            self._begun = True
            return self._encoder.start()
        if self._ended:
            raise StopAsyncIteration
        while True:
            items = await self._stream.take()
            if not items:
                return self._waiting.quiet(time.monotonic())
            try:
                data = b"".join([self._encode(item) for item in items])
            except Exception:
                log.exception("request %s could not be encoded", self._stream.request)
                self._stream.cancel()
                data = self._fail(internal(self._stream.request))
            if data:
                return data

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
            return self._waiting.hear(item, time.monotonic())
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


async def _collect(stream: Stream, chat: Chat, record: Record) -> bytes:
    """Wait for the whole answer; raises the fault that ends it otherwise."""
    collector = ChatCollector(_id(stream), chat.model, int(time.time()), n=chat.sampling.n)
    while True:
        for item in await stream.take():
            if type(item) is Delta:
                if record.first_at is None and has_content(item):
                    record.content()
                collector.push(item)
            elif isinstance(item, Finished):
                record.end(200, usage=item.usage, calls=item.calls)
                return collector.body(item.usage)
            elif isinstance(item, Fault):
                raise FaultError(item)


def _encoder(stream: Stream, parsed: ParsedChat) -> ChatStream:
    chat = parsed.chat
    return ChatStream(
        _id(stream), chat.model, int(time.time()), include_usage=parsed.include_usage, n=chat.sampling.n
    )


def _id(stream: Stream) -> str:
    return "chatcmpl-" + stream.request.removeprefix("req_")


def has_content(delta: Delta) -> bool:
    """Whether a client sees something of it: text, reasoning or a tool call."""
    return any(not isinstance(piece, Finish | Scores | ToolEnd) for piece in delta.pieces)


def require_json(req: falcon.asgi.Request) -> None:
    """Refuse a body that a web page could send without asking: 415."""
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    if kind != JSON_TYPE:
        raise falcon.HTTPUnsupportedMediaType


def digest_of(principal: str, body: bytes) -> bytes:
    """What an identical resend of the same principal has in common with the first; a drawn seed is not in it."""
    digest = hashlib.blake2b(principal.encode("utf-8", "surrogateescape"), digest_size=DIGEST_BYTES)
    digest.update(b"\0")
    digest.update(body)
    return digest.digest()


def principal_of(req: falcon.asgi.Request) -> str:
    """Whose request it is, for fairness: the digest of the credential presented, else the peer's address."""
    credential = req.get_header("authorization") or req.get_header("x-api-key")
    if credential is None:
        return req.remote_addr
    scheme, _, token = credential.partition(" ")
    secret = token.strip() if scheme.lower() == "bearer" else credential
    return hashlib.sha256(secret.encode()).hexdigest()
