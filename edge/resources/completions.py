"""OpenAI's old completions over HTTP: several prompts in one body are several requests, answered in one body."""

from __future__ import annotations

import asyncio
import time

import falcon.asgi

from cortex.edge.dialects.dialect import Answered
from cortex.edge.dialects.openai_completions import ParsedCompletion
from cortex.edge.dialects.openai_completions_reply import CompletionCollector, joined
from cortex.edge.errors import JSON_TYPE, internal, status_of
from cortex.edge.metrics import Record
from cortex.edge.resources.generate import GenerateResource, collect
from cortex.edge.stream import Stream
from cortex.edge.submitting import submit
from cortex.protocol.faults import FaultError
from cortex.protocol.values import Usage


class CompletionsResource(GenerateResource[ParsedCompletion]):
    """`/v1/completions`."""

    async def _serve(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, parsed: ParsedCompletion, body: bytes
    ) -> None:
        if len(parsed.requests) == 1:
            await super()._serve(req, resp, parsed, body)
            return
        request_id: str = req.scope["cortex.request_id"]
        answered = Answered(request_id.removeprefix("req_"), parsed.request.model, int(time.time()))
        collectors: list[CompletionCollector] = []
        streams: list[Stream] = []
        tasks: list[asyncio.Task[Usage]] = []
        try:
            for number, (asked, echo) in enumerate(zip(parsed.requests, parsed.echo, strict=True)):
                ticket = self._ticket(req, self._meant(req, asked), body, part=f"-{number}")
                stream, record = submit(req, self._link, self._metrics, ticket)
                collectors.append(CompletionCollector(answered, asked.sampling.n, echo))
                streams.append(stream)
                tasks.append(asyncio.ensure_future(_one(stream, collectors[-1], record)))
            usages = await asyncio.gather(*tasks)
        except BaseException:
            for stream in streams:  # one that fails is an answer that nobody gets: the others are for nothing
                stream.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        resp.content_type = JSON_TYPE
        resp.data = joined(answered, collectors, usages)


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
