"""Several requests that came in one body and are answered in one stream of events, each choice by its number.

What one of them has to say is taken as soon as the client takes more, so that no more than one write of each waits here;
the rest stays in its mailbox, which is bounded. One that fails ends the stream, and the others with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NamedTuple

from cortex.edge.dialects.openai_completions_reply import CompletionStream, total
from cortex.edge.errors import internal
from cortex.edge.metrics import Record
from cortex.edge.resources.generate import has_content
from cortex.edge.stream import WRITE_BYTES, Item, Stream
from cortex.edge.waiting import Waiting
from cortex.protocol.deltas import Delta
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import Accepted, Finished, Loading, Queued
from cortex.protocol.values import Usage

log = logging.getLogger("cortex.edge")

OTHER_FAILED = Fault(code=Code.CANCELLED, message="Another prompt of the same request failed.")


class Prompt(NamedTuple):
    """One of the requests, and who writes its part of the answer."""

    stream: Stream
    encoder: CompletionStream
    record: Record


class SeveralEvents:
    """The events of all of them. All that is there goes out in one write, unless it is much: others wait as well."""

    def __init__(self, prompts: list[Prompt], waiting: Waiting) -> None:
        self._prompts = prompts
        self._waiting = waiting
        self._taking: dict[int, asyncio.Task[list[Item]]] = {}
        self._usages: dict[int, Usage] = {}
        self._begun = False
        self._ended = False

    def __aiter__(self) -> SeveralEvents:
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            self._begun = True
            return self._prompts[0].encoder.start(Usage())
        while not self._ended:
            if data := self._written(await self._ready()):
                return data
        raise StopAsyncIteration

    async def _ready(self) -> list[int]:
        """Of which of them something has come, who waits longest first; waits until something has."""
        for number, prompt in enumerate(self._prompts):
            if number not in self._usages and number not in self._taking:
                self._taking[number] = asyncio.ensure_future(prompt.stream.take())
        await asyncio.wait(self._taking.values(), return_when=asyncio.FIRST_COMPLETED)
        return [number for number, task in self._taking.items() if task.done()]

    def _written(self, ready: list[int]) -> bytes:
        data = b""
        is_quiet = True
        for number in ready:
            items = self._taking.pop(number).result()
            is_quiet = is_quiet and not items
            try:
                if written := b"".join([self._encode(number, item) for item in items]):
                    data += written
                    self._prompts[number].stream.said()
            except Exception:
                log.exception("request %s could not be encoded", self._prompts[number].stream.request)
                data += self._fail(number, internal(self._prompts[number].stream.request))
            if self._ended or len(data) >= WRITE_BYTES:
                break
        return self._waiting.quiet(time.monotonic()) if is_quiet and not data else data

    def _encode(self, number: int, item: Item) -> bytes:
        prompt = self._prompts[number]
        if type(item) is Delta:
            if prompt.record.first_at is None and has_content(item):
                prompt.record.content()
            return prompt.encoder.push(item)
        if isinstance(item, Finished):
            prompt.record.end(200, usage=item.usage, calls=item.calls)
            self._usages[number] = item.usage
            data = prompt.encoder.finish()
            if len(self._usages) < len(self._prompts):
                return data
            self._ended = True
            return data + prompt.encoder.close(total(list(self._usages.values())))
        if isinstance(item, Fault):
            return self._fail(number, item)
        if isinstance(item, Queued | Loading):
            return self._waiting.hear(item, time.monotonic())
        if isinstance(item, Accepted):
            self._waiting.serve()
        return b""

    def _fail(self, number: int, reason: Fault) -> bytes:
        """The first to fail says why; what the others would say is for nothing."""
        if self._ended:
            return b""
        self._ended = True
        for other, prompt in enumerate(self._prompts):
            prompt.record.end(200, fault=reason if other == number else OTHER_FAILED)
            prompt.stream.cancel()
        return self._prompts[number].encoder.fail(reason)

    async def close(self) -> None:
        """Falcon is done with it, for whatever reason."""
        for task in self._taking.values():
            task.cancel()
        for prompt in self._prompts:
            prompt.stream.cancel()
