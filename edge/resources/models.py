"""`GET /v1/models` and `GET /v1/models/{id}`: the fleet's models as the broker last told."""

from __future__ import annotations

import time

import falcon.asgi
import msgspec

from cortex.edge.errors import JSON_TYPE
from cortex.edge.link import Link
from cortex.protocol.messages import CatalogueEntry


class ModelsResource:
    """The list, and one of it. Ids may hold slashes, encoded or not."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._created = int(time.time())

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """All models."""
        models = [self._model(entry) for entry in self._link.catalogue.entries]
        resp.content_type = JSON_TYPE
        resp.data = msgspec.json.encode({"object": "list", "data": models})

    async def on_get_one(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, model_id: str) -> None:
        """One model."""
        req.context.model = self._link.catalogue.label(model_id)
        resp.content_type = JSON_TYPE
        resp.data = msgspec.json.encode(self._model(self._link.catalogue.find(model_id)))

    def _model(self, entry: CatalogueEntry) -> dict[str, object]:
        model: dict[str, object] = {
            "id": entry.id,
            "object": "model",
            "created": self._created,
            "owned_by": "cortex",
            "loaded": entry.loaded,
            "locations": [{"node": node, "status": state} for node, state, _ in entry.locations],
            "capabilities": list(entry.capabilities),
        }
        if entry.context:
            model["limit"] = {"context": entry.context}
            model["max_model_len"] = entry.context
        return model
