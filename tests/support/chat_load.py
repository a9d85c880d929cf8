"""A client that costs little: streamed chats at once, whose bytes are only noted as they come and read afterwards.

Client, edge, broker and engine share the cores, so what a client does per token would be measured with them.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Answer:
    """When each piece of a streamed answer's text came, by the clock that also told `began`."""

    began: float
    blocks: list[tuple[float, bytes]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    finish: str | None = None
    tokens: int = 0
    """What the server says that it wrote."""

    @property
    def ttft(self) -> float:
        return self.times[0] - self.began

    @property
    def gaps(self) -> list[float]:
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]


@dataclass(frozen=True, slots=True)
class Wave:
    """Answers that were asked for together."""

    answers: list[Answer]

    @property
    def tokens_per_s(self) -> float:
        began = min(one.began for one in self.answers)
        ended = max(one.times[-1] for one in self.answers)
        return sum(one.tokens for one in self.answers) / (ended - began)

    @property
    def ttft_s(self) -> float:
        return statistics.median(one.ttft for one in self.answers)

    @property
    def gap_s(self) -> float:
        """From one token to the next, once it speaks."""
        return statistics.median(gap for one in self.answers for gap in one.gaps)


def wave(port: int, bodies: list[dict[str, object]], tokens: int) -> Wave:
    """Ask everything at once; every answer must have `tokens` tokens."""
    answers = asyncio.run(_drive(port, bodies))
    for answer in answers:
        _read(answer)
        assert answer.finish == "length", answer.blocks
        assert answer.tokens == tokens, f"{answer.tokens} tokens in place of {tokens}"
        assert len(answer.times) == tokens, f"{len(answer.times)} pieces of text for {tokens} tokens"
    return Wave(answers)


async def _drive(port: int, bodies: list[dict[str, object]]) -> list[Answer]:
    return await asyncio.gather(*(_ask(port, body) for body in bodies))


async def _ask(port: int, body: dict[str, object]) -> Answer:
    content = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content) + content
    )
    answer = Answer(time.perf_counter())
    while block := await reader.read(2**16):
        answer.blocks.append((time.perf_counter(), block))
    writer.close()
    return answer


def _read(answer: Answer) -> None:
    """Find the events, and when the last byte of each was there."""
    head, _, _ = b"".join(block for _, block in answer.blocks).partition(b"\r\n\r\n")
    assert b" 200 " in head[:20], head
    assert b"chunked" in head.lower(), head
    ends, length = [], 0
    for at, block in answer.blocks:
        length += len(block)
        ends.append((length, at))
    for end, event in _events(b"".join(block for _, block in answer.blocks), len(head) + 4):
        at = next(when for length, when in ends if length >= end)
        _note(answer, event, at)


def _events(stream: bytes, start: int) -> list[tuple[int, dict[str, object]]]:
    """Events of a chunked body, each with the place in the stream where its last chunk ends."""
    events, pending = [], b""
    while True:
        line = stream.index(b"\r\n", start)
        size = int(stream[start:line].partition(b";")[0], 16)
        if size == 0:
            return events
        start = line + 2 + size
        pending += stream[line + 2 : start]
        *whole, pending = pending.replace(b"\r\n", b"\n").split(b"\n\n")
        data = [one[6:] for one in whole if one.startswith(b"data: ") and one != b"data: [DONE]"]
        events += [(start, json.loads(one)) for one in data]
        start += 2


def _note(answer: Answer, event: dict[str, object], at: float) -> None:
    for choice in event.get("choices") or []:  # type: ignore[attr-defined]
        if choice["delta"].get("content"):
            answer.times.append(at)
        answer.finish = choice.get("finish_reason") or answer.finish
    if (usage := event.get("usage")) is not None:
        answer.tokens = usage["completion_tokens"]  # type: ignore[index]
