"""Is this process alive, can it serve, and how is the fleet? Answers come from memory: nothing is asked of anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata

import falcon.asgi
import msgspec

from cortex.edge.errors import JSON_TYPE
from cortex.edge.link import Link
from cortex.edge.routes import Routes


class HealthResource:
    """`/livez` speaks of the process only, `/readyz` of serving, `/health` of everything in one object.

    Anybody may ask them. Models, brokers and hosts are named only while `protected` says that there are no keys.
    """

    def __init__(self, link: Link, draining: Callable[[], bool], protected: Callable[[], bool]) -> None:
        self._link = link
        self._draining = draining
        self._protected = protected

    async def on_get_live(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The process answers. Never depends on another one."""
        self._answer(resp, 200, {"status": "ok"})

    on_head_live = on_get_live

    async def on_get_ready(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 when a broker is known, and some device serves a model or can load one on demand.

        What a load balancer needs: a fleet whose models all sleep is ready, for a request wakes them; one whose
        devices all stall, or load their first model yet, is not.
        """
        waiting = self._waiting_for()
        self._answer(resp, 503 if waiting else 200, {"status": waiting or "ready"})

    on_head_ready = on_get_ready

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The fleet in short."""
        catalogue = self._link.catalogue
        waiting, named = self._waiting_for(), not self._protected()
        summary = {
            "status": "degraded" if waiting else "ok",
            "detail": waiting,
            "broker": (named and catalogue.broker) or None,
            "brokers": [{"name": (named and b.name) or None, "live": b.live} for b in self._link.brokers],
            "neurons": catalogue.neurons,
            "models": {"known": len(catalogue.entries), "loaded": catalogue.loaded},
        }
        self._answer(resp, 200, summary)

    on_head = on_get

    def _waiting_for(self) -> str:
        catalogue = self._link.catalogue
        if self._draining():
            return "draining"
        if not any(broker.live for broker in self._link.brokers):
            return "no broker"
        entries = catalogue.entries
        if any(entry.loaded or entry.servable for entry in entries):
            return ""
        stalled = {node for entry in entries for node, state, _ in entry.locations if state == "stalled"}
        if stalled:
            which = f"{len(stalled)} device(s)" if self._protected() else ", ".join(sorted(stalled))
            return f"no model can be served: {which} makes no progress"
        loading = [entry.id for entry in entries if entry.state == "loading"]
        if loading:
            return f"loading {f'{len(loading)} model(s)' if self._protected() else ', '.join(loading)}"
        return "no model can be served" if catalogue.neurons else "no device is ready"

    def _answer(self, resp: falcon.asgi.Response, status: int, body: Mapping[str, object]) -> None:
        resp.status = status
        resp.content_type = JSON_TYPE
        resp.data = msgspec.json.encode(body)


class RootResource:
    """`/`: clients look whether anybody is there, and people look where to go from here."""

    def __init__(self) -> None:
        self.routes = Routes(())
        self._version = metadata.version("cortex-mesh")

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Name, version, routes."""
        resp.content_type = JSON_TYPE
        about = {"name": "cortex", "version": self._version, "routes": self.routes.listed}
        resp.data = msgspec.json.encode(about)

    on_head = on_get
