"""`POST /v1/messages/count_tokens`: how many tokens a conversation has. It waits in no queue."""

from __future__ import annotations

import falcon.asgi
import msgspec
from msgspec import structs

from cortex.edge.counting import count, tell
from cortex.edge.dialects.anthropic import parse_count
from cortex.edge.errors import JSON_TYPE
from cortex.edge.incoming import model_for, require_json
from cortex.edge.link import Link


class CountTokensResource:
    """Agents ask it for every part of what they hold, all at once."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """A figure within a second, counted or estimated."""
        require_json(req)
        chat = parse_count(await req.stream.read())
        entry = model_for(req, self._link.catalogue, chat.model)
        request_id = req.scope["cortex.request_id"]
        counted = await count(self._link, request_id, structs.replace(chat, model=entry.id))
        tell(resp, counted)
        resp.content_type = JSON_TYPE
        resp.data = msgspec.json.encode({"input_tokens": counted.tokens})
