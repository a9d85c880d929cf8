"""Drives an ASGI app in the test's own event loop, message by message, as a server would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

PATIENCE_S = 5.0
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Exchange:
    """One request. Feed it parts of a body, disconnect it, and read what was answered."""

    def __init__(
        self,
        app: App,
        method: str = "GET",
        path: str = "/",
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = b"",
        query: str = "",
    ) -> None:
        self.sent: list[dict[str, Any]] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.aborted = False
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._arrived = asyncio.Event()
        fields = {"host": "test", **(headers or {})}
        if body is not None:
            if body:
                fields.setdefault("content-length", str(len(body)))
            self.feed(body, more=False)
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            "cortex.abort": self._abort,
        }
        self.task = asyncio.ensure_future(app(self.scope, self._receive, self._send))

    def feed(self, body: bytes, *, more: bool = True) -> None:
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnect(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def _receive(self) -> dict[str, Any]:
        return await self._messages.get()

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        self._arrived.set()
        await self.reading.wait()

    def _abort(self) -> None:
        self.aborted = True

    async def done(self) -> Exchange:
        """Wait for the end of the exchange."""
        await asyncio.wait_for(asyncio.shield(self.task), PATIENCE_S)
        return self

    async def until(self, text: bytes) -> None:
        """Wait until the answer contains this."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.body:
                self._arrived.clear()
                await self._arrived.wait()

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def post(app: App, path: str, value: object, **headers: str) -> Exchange:
    """Begin a POST of this value as JSON."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    fields = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return Exchange(app, "POST", path, headers=fields, body=data)


async def turn_until(condition: Callable[[], object]) -> None:
    """Let the loop turn until this holds."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")
