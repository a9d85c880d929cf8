"""`GET /openapi.json`: the routes of this app, described for programs. A page that is made once."""

from __future__ import annotations

from importlib import metadata

import falcon.asgi

from cortex.edge.errors import JSON_TYPE
from cortex.edge.openapi.document import document
from cortex.edge.routes import Routes


class OpenAPIResource:
    """The document."""

    def __init__(self) -> None:
        self._page = b""

    def describe(self, routes: Routes) -> None:
        """Make the page, before anybody waits for it."""
        self._page = document(routes.listed, metadata.version("cortex-mesh"))

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The same bytes each time."""
        resp.content_type = JSON_TYPE
        resp.data = self._page

    on_head = on_get
