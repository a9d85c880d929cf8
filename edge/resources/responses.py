"""OpenAI Responses over HTTP: answers that are kept for an hour, to go on from, to read again, or to delete.

All of it is a client's own: what another left, or what has gone with its broker, is a 404.
"""

from __future__ import annotations

import falcon.asgi
import msgspec

from cortex.edge.counting import count, tell
from cortex.edge.dialects.decoding import invalid, unsupported
from cortex.edge.dialects.dialect import Asked, Collector, Encoder
from cortex.edge.dialects.openai_responses import ParsedResponse
from cortex.edge.dialects.openai_responses_body import refers_to
from cortex.edge.dialects.openai_responses_kept import PAGE, Kept, Page, listed
from cortex.edge.dialects.openai_responses_reply import ResponsesCollector, ResponsesStream
from cortex.edge.errors import JSON_TYPE
from cortex.edge.incoming import principal_of, require_json
from cortex.edge.resources.generate import GenerateResource
from cortex.protocol.faults import Code, fault

SHOWN = 80
"""Characters of a client's own id that an error repeats."""
LONGEST_ID = 128
COMPACT = "Conversations are not compacted here; send the items that are to be kept as input."


class ResponsesResource(GenerateResource[ParsedResponse]):
    """`/v1/responses` and all below it."""

    async def on_post_tokens(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """How many tokens has this input?"""
        require_json(req)
        body = await req.stream.read()
        parsed = self._dialect.parse(body, await self._asked(req, body))
        counted = await count(self._link, req.scope["cortex.request_id"], self._meant(req, parsed.request))
        tell(resp, counted)
        _answer(
            resp, msgspec.json.encode({"object": "response.input_tokens", "input_tokens": counted.tokens})
        )

    async def on_post_compact(self, req: falcon.asgi.Request, _resp: falcon.asgi.Response) -> None:
        """Nobody here makes short what a conversation was about."""
        require_json(req)
        raise falcon.HTTPNotImplemented(description=COMPACT, headers={"x-should-retry": "false"})

    async def on_get_one(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response_id: str
    ) -> None:
        """A response, as it was."""
        if req.get_param_as_bool("stream"):
            raise unsupported("stream", "cannot be true here: an answer that has ended is not streamed again")
        _answer(resp, bytes((await self._kept(req, response_id)).response))

    async def on_delete_one(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response_id: str
    ) -> None:
        """Keep it no longer."""
        if not _is_name(response_id) or not await self._link.keeping.forget(response_id, principal_of(req)):
            raise _missing(response_id)
        _answer(resp, msgspec.json.encode({"id": response_id, "object": "response", "deleted": True}))

    async def on_post_cancel(
        self, req: falcon.asgi.Request, _resp: falcon.asgi.Response, response_id: str
    ) -> None:
        """What is kept has ended, and what runs ends with its client."""
        await self._kept(req, response_id)
        raise invalid(
            "response_id", "names a response that has ended; only those made with background can be cancelled"
        )

    async def on_get_items(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response_id: str
    ) -> None:
        """What led to a response."""
        page = Page(
            order=req.get_param("order") or "desc",
            limit=_limit(req.get_param("limit")),
            after=req.get_param("after"),
        )
        _answer(resp, listed(await self._kept(req, response_id), page))

    async def _kept(self, req: falcon.asgi.Request, response_id: str) -> Kept:
        found = None
        if _is_name(response_id):
            found = await self._link.keeping.fetch(response_id, principal_of(req))
        if found is None:
            raise _missing(response_id)
        return Kept.decode(found)

    async def _asked(self, req: falcon.asgi.Request, body: bytes) -> Asked:
        asked = await super()._asked(req, body)
        earlier = refers_to(body)
        if not earlier:
            return asked
        kept = await self._link.keeping.fetch(earlier, principal_of(req)) if _is_name(earlier) else None
        if kept is None:
            raise fault(
                Code.PREVIOUS_RESPONSE_NOT_FOUND,
                f"previous_response_id names {earlier[:SHOWN]!r}, which is not here (any more): responses are kept for "
                "an hour at most; send the whole conversation as input.",
                param="previous_response_id",
            )
        return asked._replace(kept=kept)

    async def _after(self, req: falcon.asgi.Request, writer: Encoder | Collector) -> None:
        """Keep the answer before its client can ask for it."""
        assert isinstance(writer, ResponsesStream | ResponsesCollector)
        kept = writer.kept()
        if kept:
            await self._link.keeping.keep(writer.id, principal_of(req), kept)


def _is_name(given: str) -> bool:
    return 1 <= len(given) <= LONGEST_ID


def _missing(response_id: str) -> Exception:
    return fault(
        Code.RESPONSE_NOT_FOUND,
        f"The response {response_id[:SHOWN]!r} is not here (any more): they are kept for an hour at most, and only "
        "with store.",
        param="response_id",
    )


def _limit(given: str | None) -> int:
    if given is None:
        return PAGE
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise invalid("limit", "must be a whole number")
    return int(given)


def _answer(resp: falcon.asgi.Response, body: bytes) -> None:
    resp.content_type = JSON_TYPE
    resp.data = body
