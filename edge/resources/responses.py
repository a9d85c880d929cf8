"""OpenAI Responses over HTTP: answers that are kept for an hour, to go on from, to read again, or to delete.

All of it is a client's own: what another left, or what has gone with its broker, is a 404.
"""

from __future__ import annotations

from collections.abc import Coroutine

import falcon.asgi
import msgspec
from msgspec import Raw, structs

from cortex.edge.counting import count, tell
from cortex.edge.dialects.decoding import invalid, unsupported
from cortex.edge.dialects.dialect import Collector, Encoder
from cortex.edge.dialects.openai_responses import SHOWN, Begun, ParsedResponse, begin, complete
from cortex.edge.dialects.openai_responses_kept import MAX_KEPT, PAGE, Kept, Page, listed, response_of
from cortex.edge.dialects.openai_responses_reply import ResponsesCollector, ResponsesStream
from cortex.edge.errors import JSON_TYPE
from cortex.edge.incoming import may_see, model_for, principal_of, require_json
from cortex.edge.resources.generate import GenerateResource
from cortex.protocol.faults import Code, fault

LONGEST_ID = 128
MOST_FETCHES = 8
"""Responses that are looked through for the items that one request refers to. The latest has all of its chain."""
KEPT_FOR = (
    f"an hour at most, and not where they are larger than {MAX_KEPT // 2**20} MiB with their conversation"
)
COMPACT = "Conversations are not compacted here; send the items that are to be kept as input."


class ResponsesResource(GenerateResource[ParsedResponse]):
    """`/v1/responses` and all below it."""

    async def on_post_tokens(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """How many tokens has this input?"""
        require_json(req)
        begun = begin(await req.stream.read(), counted=True)
        if not begun.body.model:
            begun = begun._replace(body=structs.replace(begun.body, model=self._only_model(req)))
        parsed = await self._completed(req, begun, 0, may_be_empty=True)
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
        streamed = (req.get_param("stream") or "false").lower()
        if streamed == "true":
            raise unsupported("stream", "cannot be true here: an answer that has ended is not streamed again")
        if streamed != "false":
            raise invalid("stream", "must be true or false")
        _answer(resp, bytes((await self._kept(req, response_id)).response))

    on_head_one = on_get_one

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
        found = await self._fetch(req, response_id)
        if found is None:
            raise _missing(response_id)
        return found

    async def _read(self, req: falcon.asgi.Request, body: bytes, drawn: int) -> ParsedResponse:
        return await self._completed(req, begin(body), drawn)

    async def _completed(
        self, req: falcon.asgi.Request, begun: Begun, drawn: int, *, may_be_empty: bool = False
    ) -> ParsedResponse:
        """The request with what it refers to. Nothing is looked for on behalf of one that may not use its model."""
        model_for(req, self._link.catalogue, begun.body.model)
        earlier = begun.body.previous_response_id
        kept = await self._earlier(req, earlier) if earlier else None
        found = await self._referred(req, begun.references, kept)
        return complete(begun, seed=drawn, kept=kept, found=found, may_be_empty=may_be_empty)

    async def _earlier(self, req: falcon.asgi.Request, response_id: str) -> Kept:
        found = await self._fetch(req, response_id)
        if found is None:
            raise fault(
                Code.PREVIOUS_RESPONSE_NOT_FOUND,
                f"previous_response_id names {response_id[:SHOWN]!r}, which is not here: responses are kept once they "
                f"have ended well, for {KEPT_FOR}; send the whole conversation as input.",
                param="previous_response_id",
            )
        return found

    async def _referred(
        self, req: falcon.asgi.Request, wanted: tuple[str, ...], kept: Kept | None
    ) -> dict[str, Raw]:
        """The items of these ids, as far as they are here. The last is looked for first: with it come those before."""
        found = kept.find(wanted) if kept is not None and wanted else {}
        looked: set[str] = set()
        for one in reversed(wanted):
            name = response_of(one)
            if one in found or not name or name in looked or len(looked) == MOST_FETCHES:
                continue
            looked.add(name)
            if (other := await self._fetch(req, name)) is not None:
                found = {**other.find(wanted), **found}
        return found

    async def _fetch(self, req: falcon.asgi.Request, response_id: str) -> Kept | None:
        if not _is_name(response_id):
            return None
        found = await self._link.keeping.fetch(response_id, principal_of(req))
        return None if found is None else Kept.decode(found)

    def _only_model(self, req: falcon.asgi.Request) -> str:
        """What is meant by a client that names no model."""
        ids = [entry.id for entry in self._link.catalogue.entries if may_see(req, entry.id, entry.id)]
        if len(ids) != 1:
            raise invalid(
                "model", "is required: more than one is served here, and each counts in its own way"
            )
        return ids[0]

    def _after(
        self, req: falcon.asgi.Request, writer: Encoder | Collector
    ) -> Coroutine[object, object, object] | None:
        """Keep the answer before its client can ask for it."""
        assert isinstance(writer, ResponsesStream | ResponsesCollector)
        kept = writer.kept
        return self._link.keeping.keep(writer.id, principal_of(req), kept) if kept else None


def _is_name(given: str) -> bool:
    return 1 <= len(given) <= LONGEST_ID


def _missing(response_id: str) -> Exception:
    if not response_id:
        return invalid("response_id", "is required; write it behind /v1/responses/")
    return fault(
        Code.RESPONSE_NOT_FOUND,
        f"The response {response_id[:SHOWN]!r} is not here: with store they are kept once they have ended well, for "
        f"{KEPT_FOR}.",
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
