"""Clients for fleets under load: whole requests over raw HTTP/1.1, many at once, each with a verdict of its own."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from cortex.neuron.engine.sim_words import text, token


@dataclass(slots=True)
class Answer:
    """How one request ended. `request` is the id that the edge gave it, `code` of an error the stable word."""

    model: str
    status: int
    request: str = ""
    text: str = ""
    code: str = ""
    seconds: float = 0.0

    @property
    def is_right(self) -> bool:
        """Whether the simulated model's own words came back, whole and in order: its tokens follow from the request."""
        words = self.text.split()
        return self.status == 200 and self.text == "".join(
            text(token(self.request, 0, index)) for index in range(len(words))
        )


async def ask(port: int, model: str, *, max_tokens: int = 4, key: str = "", patience: float = 60.0) -> Answer:
    """One whole request on a connection of its own; status 0 if the connection broke or nothing came."""
    began = time.monotonic()
    body = json.dumps(
        {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": "go on"}]}
    ).encode()
    credential = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n{credential}"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + body)
            data = await reader.read()
            writer.close()
    except (OSError, TimeoutError):
        return Answer(model, 0, seconds=time.monotonic() - began)
    return _parsed(model, data, time.monotonic() - began)


def _parsed(model: str, data: bytes, seconds: float) -> Answer:
    head, _, content = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    if not lines[0]:
        return Answer(model, 0, seconds=seconds)
    status = int(lines[0].split()[1])
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    answer = Answer(model, status, fields.get("x-request-id", ""), seconds=seconds)
    parsed = json.loads(content)
    if status == 200:
        answer.text = parsed["choices"][0]["message"]["content"]
    else:
        answer.code = parsed["error"]["code"]
    return answer
