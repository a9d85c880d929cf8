"""`POST /v1/embeddings`: read, submit, wait for all vectors, answer with one object."""

from __future__ import annotations

import asyncio

import falcon.asgi
from msgspec import structs

from cortex.edge.config import Gateway
from cortex.edge.dialects.openai_embeddings import parse, reply
from cortex.edge.errors import JSON_TYPE, internal, status_of
from cortex.edge.events import Ticket
from cortex.edge.incoming import BYTES_PER_TOKEN, digest_of, model_for, principal_of, require_json
from cortex.edge.link import Link
from cortex.edge.metrics import Metrics
from cortex.edge.submitting import encoded, submit
from cortex.protocol.faults import FaultError
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
        entry = model_for(req, self._link.catalogue, parsed.embed.model)
        embed = structs.replace(parsed.embed, model=entry.id)
        stream, record = submit(req, self._link, self._metrics, self._ticket(req, embed, body))
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
        blob = encoded(embed, "send fewer texts at a time")
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
