"""OpenAI's old completions over HTTP: several prompts in one body are several requests, answered in one body or stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import falcon.asgi
from msgspec import structs

from cortex.edge.dialects.dialect import Answered
from cortex.edge.dialects.openai_completions import ParsedCompletion, seed_of
from cortex.edge.dialects.openai_completions_reply import CompletionCollector, CompletionStream, joined
from cortex.edge.errors import JSON_TYPE, internal, status_of
from cortex.edge.events import Ticket
from cortex.edge.metrics import Record
from cortex.edge.resources.generate import GenerateResource, as_events, collect, waiting_of
from cortex.edge.resources.several import Prompt, SeveralEvents
from cortex.edge.stream import Stream
from cortex.edge.submitting import submit
from cortex.protocol.faults import FaultError
from cortex.protocol.values import Usage


class CompletionsResource(GenerateResource[ParsedCompletion]):
    """`/v1/completions`."""

    async def _serve(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, parsed: ParsedCompletion, drawn: int
    ) -> None:
        if len(parsed.requests) == 1:
            await super()._serve(req, resp, parsed, drawn)
            return
        request_id: str = req.scope["cortex.request_id"]
        answered = Answered(request_id.removeprefix("req_"), parsed.request.model, int(time.time()))
        tickets = list(self._tickets(req, parsed, drawn))
        opened: list[tuple[Stream, Record]] = []
        try:
            for ticket in tickets:
                opened.append(submit(req, self._link, self._metrics, ticket))  # noqa: PERF401  # one may fail
            if parsed.stream:
                await asyncio.gather(*(stream.verdict() for stream, _ in opened))
        except BaseException as error:
            _end_all(opened, error)
            raise
        if parsed.stream:
            as_events(resp)
            prompts = [
                Prompt(stream, CompletionStream(answered, parsed, number), record)
                for number, (stream, record) in enumerate(opened)
            ]
            resp.stream = SeveralEvents(prompts, waiting_of(req, tickets[0].model, parsed.request.model))
            return
        collectors = [CompletionCollector(answered, parsed.request.sampling.n) for _ in opened]
        usages = await _gathered(opened, collectors)
        resp.content_type = JSON_TYPE
        resp.data = joined(answered, collectors, usages)

    def _tickets(self, req: falcon.asgi.Request, parsed: ParsedCompletion, drawn: int) -> Iterator[Ticket]:
        """One for each prompt, which may have to wait for those before it as well."""
        for number, asked in enumerate(parsed.requests):
            ticket = self._ticket(req, self._meant(req, asked), seed_of(drawn, number), part=f"-{number}")
            yield structs.replace(ticket, queue_ms=ticket.queue_ms * (1 + number))


def _end_all(opened: list[tuple[Stream, Record]], error: BaseException) -> None:
    """What one prompt met is the answer to all: nothing has been said yet."""
    for stream, record in opened:
        reason = error.fault if isinstance(error, FaultError) else internal(stream.request)
        record.end(status_of(reason), fault=reason)
        stream.cancel()


async def _gathered(
    opened: list[tuple[Stream, Record]], collectors: list[CompletionCollector]
) -> list[Usage]:
    tasks = [
        asyncio.ensure_future(_one(stream, collector, record))
        for (stream, record), collector in zip(opened, collectors, strict=True)
    ]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for stream, _ in opened:  # one that fails is an answer that nobody gets: the others are for nothing
            stream.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _one(stream: Stream, collector: CompletionCollector, record: Record) -> Usage:
    """The answer to one prompt."""
    try:
        return await collect(stream, collector, record)
    except FaultError as error:
        record.end(status_of(error.fault), fault=error.fault)
        raise
    except BaseException:
        record.end(500, fault=internal(stream.request))
        stream.cancel()
        raise
