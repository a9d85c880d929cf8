"""`POST /v1/embeddings`: read, submit, wait for all vectors, answer with one object."""

from __future__ import annotations

import asyncio

import falcon.asgi
from msgspec import structs

from cortex.edge.config import Gateway
from cortex.edge.dialects.openai_embeddings import parse, reply
from cortex.edge.errors import JSON_TYPE, internal, status_of
from cortex.edge.events import Ticket
from cortex.edge.link import Link
from cortex.edge.metrics import Metrics
from cortex.edge.resources.chat import BYTES_PER_TOKEN, LEFT, digest_of, principal_of, require_json
from cortex.protocol.codec import WireError, encode_request
from cortex.protocol.faults import Code, FaultError, fault
from cortex.protocol.messages import Finished
from cortex.protocol.request import Embed


class EmbeddingsResource:
    """Vectors of texts."""

    def __init__(self, link: Link, settings: Gateway, metrics: Metrics) -> None:
        self._link = link
        self._settings = settings
        self._metrics = metrics

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer one request."""
        require_json(req)
        body = await req.stream.read()
        parsed = parse(body)
        entry = self._link.catalogue.find(parsed.embed.model)
        req.context.model = entry.id
        embed = structs.replace(parsed.embed, model=entry.id)
        stream = self._link.open(self._ticket(req, embed, body))
        record = self._metrics.begin(stream.request, entry.id, req.uri_template or "")
        req.context.record = record
        gone = req.scope["cortex.gone"]
        gone.then(stream.cancel)  # before anything else
        gone.then(lambda: record.end(status_of(LEFT), fault=LEFT))
        try:
            outcome = await stream.outcome()
            assert isinstance(outcome, Finished), "an embedding is no count"
            pieces = []
            for piece in reply(parsed, b"".join(stream.payload), outcome.usage):
                pieces.append(piece)
                await asyncio.sleep(0)
        except FaultError as error:
            record.end(status_of(error.fault), fault=error.fault)
            raise
        except BaseException:
            record.end(500, fault=internal(stream.request))
            stream.cancel()
            raise
        record.end(200, usage=outcome.usage)
        resp.content_type = JSON_TYPE
        resp.data = b"".join(pieces)

    def _ticket(self, req: falcon.asgi.Request, embed: Embed, body: bytes) -> Ticket:
        try:
            blob = encode_request(embed)
        except WireError as error:
            raise fault(
                Code.REQUEST_TOO_LARGE, "The request is larger than 4 MiB; send fewer texts at a time."
            ) from error
        principal = principal_of(req)
        return Ticket(
            request=req.scope["cortex.request_id"],
            model=embed.model,
            attachments=(blob,),
            choices=0,
            operation="embed",
            principal=principal,
            cost=len(blob) // BYTES_PER_TOKEN,
            queue_ms=int(self._settings.queue_s * 1000),
            digest=digest_of(principal, body),
        )
