"""What stands between the HTTP server and Falcon: limits, deadlines, and knowing at once when a client has left.

It owns `receive()`: the whole body is read under a cap and a deadline before Falcon sees the request, then one
watcher waits for the disconnect and tells `scope["cortex.gone"]` within milliseconds. (Falcon's stream and the
worker learn of it seconds later, and a body cut short would be served as if it were whole.) It owns `send()` too:
every response gets its request id, and a client that leaves bytes unread for too long is cut off. Who may come in at all
is asked of a gate before anything of the body is read, for every path there is or will be.

It knows no dialect but how a route's failures are worded, no models and no keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cortex.edge.config import Gateway
from cortex.edge.errors import JSON_TYPE, Shape, headers_of, shape_of, status_of
from cortex.protocol.faults import Code, Fault

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
SendMessage = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, SendMessage], Awaitable[None]]

FULL = Fault(code=Code.OVERLOADED, message="This worker serves as many requests as it may; try again.")
DRAINING = Fault(code=Code.DRAINING, message="The gateway is stopping; try again.")
LINGER_S = 1.0
"""How long the rest of a refused body is read and dropped, so that its sender gets to read the answer."""


class Gone:
    """Set once, when the client has left; callbacks run at that very moment."""

    __slots__ = ("_callbacks", "_set")

    def __init__(self) -> None:
        self._set = False
        self._callbacks: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        return self._set

    def then(self, callback: Callable[[], None]) -> None:
        """Call back when it is set; at once if it is."""
        if self._set:
            callback()
        else:
            self._callbacks.append(callback)

    def set(self) -> None:
        """The client has left."""
        if not self._set:
            self._set = True
            for callback in self._callbacks:
                callback()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the guard's own: a fault, or the words for a failure of HTTP itself."""

    status: int
    reason: Fault | str

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        extra = headers_of(self.reason) if isinstance(self.reason, Fault) else {}
        told = [(name.encode(), value.encode()) for name, value in extra.items()]
        if self.status == 413 and not extra:  # as where the codec says so
            told.append((b"x-should-retry", b"false"))
        if self.status == 426:  # RFC 9110, 15.5.22: it has to name what would do
            return [*told, (b"upgrade", b"HTTP/1.1"), (b"connection", b"upgrade, close")]
        return [*told, (b"connection", b"close")]

    def body(self, shape: Shape, request_id: str) -> bytes:
        """What is wrong, as clients of the route know it."""
        if isinstance(self.reason, Fault):
            return shape.fault(self.reason, request_id)
        return shape.http(self.status, self.reason, request_id)


NO_WEBSOCKET = Refusal(426, "No WebSocket is spoken here; send the request as an HTTP POST.")
"""Agents that try one first go on with HTTP at once."""

COUNTED = frozenset({"/v1/messages/count_tokens", "/v1/responses/input_tokens"})
"""What counts tokens and generates none: agents ask for fifteen at once, beside whatever runs."""


class Guard:
    """The ASGI app that wraps the Falcon app."""

    def __init__(
        self,
        app: App,
        settings: Gateway,
        *,
        on_refusal: Callable[[str, int], None] = lambda _path, _status: None,
        gate: Callable[[Scope], Fault | None] = lambda _scope: None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._on_refusal = on_refusal
        self._gate = gate
        self.draining = False
        """Set when the worker is told to stop: nothing new is begun."""
        self.inflight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            # Our own server asks for none of these: agents want the 426 below. Another one answers 403 to this.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        scope["cortex.request_id"] = f"req_{os.urandom(12).hex()}"
        if (reason := self._gate(scope)) is not None:
            await self._turn_away(scope, receive, send, reason)
            return
        if scope["method"] == "GET" and _wants_websocket(scope):
            await self._refuse(scope, send, NO_WEBSOCKET)
            return
        posts = scope["method"] == "POST"
        generates = posts and scope["path"] not in COUNTED
        if posts and (refusal := self._admission(generates=generates)) is not None:
            await self._refuse(scope, send, refusal)
            return
        self.inflight += generates
        try:
            await self._admitted(scope, receive, send)
        finally:
            self.inflight -= generates

    def _admission(self, *, generates: bool) -> Refusal | None:
        if self.draining:
            return _refusal_of(DRAINING)
        if generates and self.inflight >= self._settings.max_inflight:
            return _refusal_of(FULL)
        return None

    async def _turn_away(self, scope: Scope, receive: Receive, send: SendMessage, reason: Fault) -> None:
        await self._refuse(scope, send, _refusal_of(reason))
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"]):
            await _linger(receive)  # for its body

    async def _admitted(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        length = _content_length(scope)
        body = bytearray()
        refusal = None
        if length is not None and length > self._settings.max_body_bytes:
            refusal = self._too_large()
        else:
            try:
                async with asyncio.timeout(self._settings.body_s):
                    refusal = await self._read(receive, body, length)
            except TimeoutError:
                refusal = _http_refusal(
                    408,
                    f"The body did not arrive in time; send all of it within {self._settings.body_s:g} s.",
                )
            except _LeftEarlyError:
                return
        if refusal is not None:
            await self._refuse(scope, send, refusal)
            if refusal.status == 413:
                await _linger(receive)
            return
        await self._serve(scope, receive, send, bytes(body))

    async def _read(self, receive: Receive, body: bytearray, length: int | None) -> Refusal | None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                if length is not None and len(body) < length:
                    # Either it has left or the server has given up on the body; then it reads this.
                    return _http_refusal(400, "The body ended before its Content-Length; send all of it.")
                raise _LeftEarlyError
            body += message.get("body", b"")
            if len(body) > self._settings.max_body_bytes:
                return self._too_large()
            if not message.get("more_body", False):
                break
        if length is not None and len(body) != length:
            return _http_refusal(
                400, "The body is not as long as its Content-Length; send as many bytes as it says."
            )
        return None

    async def _serve(self, scope: Scope, receive: Receive, send: SendMessage, body: bytes) -> None:
        gone = scope["cortex.gone"] = Gone()
        task = asyncio.current_task()
        assert task is not None
        writer = _Writer(scope, send, task, self._settings.write_stall_s)
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                await asyncio.Future()  # the watcher alone listens for the disconnect
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        watcher = asyncio.ensure_future(_watch(receive, writer))
        try:
            await self._app(scope, replay, writer.send)
        finally:
            gone.set()  # whatever still runs for it has nobody to run for
            watcher.cancel()
            writer.close()

    async def _refuse(self, scope: Scope, send: SendMessage, refusal: Refusal) -> None:
        self._on_refusal(scope["path"], refusal.status)
        if (close := scope.get("cortex.close")) is not None:
            close()  # as the answer says
        body = refusal.body(_shape(scope), scope["cortex.request_id"])
        headers = [
            (b"content-type", JSON_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            *_own_headers(scope),
            *refusal.headers,
        ]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": body})

    def _too_large(self) -> Refusal:
        limit = self._settings.max_body_bytes
        return _http_refusal(413, f"The body is larger than {limit} bytes; send a smaller one.")


class _LeftEarlyError(Exception):
    """The client left before its request was complete."""


class _Writer:
    """`send()` with a request id in the head and a deadline on each write. One timer per response."""

    def __init__(
        self,
        scope: Scope,
        send: SendMessage,
        task: asyncio.Task[Any],
        stall_s: float,
    ) -> None:
        self._send = send
        self._own_headers = _own_headers(scope)
        self._gone: Gone = scope["cortex.gone"]
        self._task = task
        self._stall_s = stall_s
        self._abort: Callable[[], None] | None = scope.get("cortex.abort")
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer = self._loop.call_later(stall_s, self._look)

    async def send(self, message: Message) -> None:
        """Pass it on; the time this takes is watched."""
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *self._own_headers]}
        self._since = self._loop.time()
        await self._send(message)
        self._since = None

    def left(self) -> None:
        """The client has left: whatever waits for it to read must not."""
        self._gone.set()
        if self._since is not None:
            self._task.cancel()

    def close(self) -> None:
        """The response is over."""
        self._timer.cancel()

    def _look(self) -> None:
        due = self._stall_s if self._since is None else self._since + self._stall_s - self._loop.time()
        if due <= 0:
            self._gone.set()
            if self._abort is not None:
                self._abort()
            self._task.cancel()
            return
        self._timer = self._loop.call_later(min(due, self._stall_s), self._look)


async def _watch(receive: Receive, writer: _Writer) -> None:
    await receive()  # after a whole body this is the disconnect
    writer.left()


async def _linger(receive: Receive) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while (await receive())["type"] != "http.disconnect":
                pass


def _wants_websocket(scope: Scope) -> bool:
    """Also among others: the header is a list, in the order of what its client likes best (RFC 9110, 7.8)."""
    return any(
        name == b"upgrade" and b"websocket" in [one.strip().lower() for one in value.split(b",")]
        for name, value in scope["headers"]
    )


def _content_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None


def _shape(scope: Scope) -> Shape:
    return shape_of(scope["path"], scope["headers"])


def _own_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """What every answer has: the request's id, and who answers, or gunicorn would name itself."""
    request_id = scope["cortex.request_id"].encode()
    return [*((name, request_id) for name in _shape(scope).id_headers), (b"server", b"cortex")]


def _http_refusal(status: int, message: str) -> Refusal:
    return Refusal(status, message)


def _refusal_of(fault: Fault) -> Refusal:
    return Refusal(status_of(fault), fault)
