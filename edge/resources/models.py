"""`GET /v1/models` and `GET /v1/models/{id}`: the fleet's models as the brokers last told, and their other names.

Two dialects share the routes: who names a version of Anthropic's interface is answered in its shape.
"""

from __future__ import annotations

import falcon.asgi
import msgspec

from cortex.edge.dialects.anthropic_models import list_of, model_of, page_of
from cortex.edge.errors import ANTHROPIC, JSON_TYPE, shape_of
from cortex.edge.incoming import may_name, may_see, model_for
from cortex.edge.link import Link
from cortex.protocol.messages import CatalogueEntry
from cortex.protocol.sizes import mib

STATUSES = {
    "hot": "loaded",
    "loading": "loading",
    "draining": "unloaded",
    "asleep": "unloaded",
    "cold": "unloaded",
    "failed": "unloaded",
    "stalled": "recovering",
}
"""A location's state → the word that clients of the Rust cortex know for it."""


class ModelsResource:
    """The list, and one of it. Ids may hold slashes, encoded or not."""

    def __init__(self, link: Link, created: int) -> None:
        self._link = link
        self._created = created

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """All models that the client may use, then all exact aliases; those with `*` stand for names that cannot be listed."""
        catalogue = self._link.catalogue
        named = {entry.id: entry for entry in catalogue.entries if may_see(req, entry.id, entry.id)}
        named |= {
            name: catalogue.find(id_)
            for name, id_ in sorted(catalogue.aliases.items())
            if may_see(req, name, id_)
        }
        resp.content_type = JSON_TYPE
        if _speaks_anthropic(req):
            query = {name: req.get_param(name) for name in ("limit", "after_id", "before_id")}
            names, more = page_of(list(named), query)
            page = [model_of(named[name], name, self._created) for name in names]
            resp.data = msgspec.json.encode(list_of(page, more=more))
        else:
            models = [self._model(req, entry, name) for name, entry in named.items()]
            resp.data = msgspec.json.encode({"object": "list", "data": models})

    on_head = on_get

    async def on_get_one(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, model_id: str) -> None:
        """One model, by any name that a request may use; all of them behind a slash and nothing."""
        if not model_id:
            await self.on_get(req, resp)
            return
        req.context.model = self._link.catalogue.label(model_id)
        entry = model_for(req, self._link.catalogue, model_id)
        shape = (
            model_of(entry, model_id, self._created)
            if _speaks_anthropic(req)
            else self._model(req, entry, model_id)
        )
        resp.content_type = JSON_TYPE
        resp.data = msgspec.json.encode(shape)

    def _model(self, req: falcon.asgi.Request, entry: CatalogueEntry, name: str) -> dict[str, object]:
        model: dict[str, object] = {
            "id": name,
            "object": "model",
            "created": self._created,
            "owned_by": "cortex",
            "loaded": entry.loaded,
            "state": entry.state,
            "feasible_on": list(entry.feasible_on),
            "locations": [_location(*place) for place in entry.locations],
            "capabilities": list(entry.capabilities),
            "tool_call": "tools" in entry.capabilities,
            "reasoning": "reasoning" in entry.capabilities,
        }
        if name != entry.id and may_name(req, entry.id):
            model["alias_of"] = entry.id
        if entry.cost is not None:
            prices = msgspec.structs.asdict(entry.cost)
            model["cost"] = {key: price for key, price in prices.items() if price is not None}
        return {**model, **_limits(entry)}


def _speaks_anthropic(req: falcon.asgi.Request) -> bool:
    return shape_of(req.scope["path"], req.scope["headers"]) is ANTHROPIC


def _location(node: str, state: str, footprint_bytes: int) -> dict[str, object]:
    place: dict[str, object] = {"node": node, "status": STATUSES.get(state, state), "state": state}
    if footprint_bytes:
        place["vram_estimate_mb"] = mib(footprint_bytes)
    return place


def _limits(entry: CatalogueEntry) -> dict[str, object]:
    """Limits in tokens, under every name that clients look for; absent where they are not known."""
    limit: dict[str, object] = {}
    mirrors: dict[str, object] = {}
    if entry.context:
        limit["context"] = mirrors["max_model_len"] = mirrors["max_input_tokens"] = entry.context
    if entry.max_output:
        limit["output"] = mirrors["max_output_tokens"] = entry.max_output
    return {"limit": limit, **mirrors} if limit else {}
