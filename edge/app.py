"""The app: all routes on one page, the guard round them, and how the worker begins and ends."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import falcon.asgi

from cortex.edge import handlers
from cortex.edge.config import Gateway
from cortex.edge.dialects.anthropic import AnthropicMessages
from cortex.edge.dialects.dialect import Dialect
from cortex.edge.dialects.openai_chat_reply import OpenAIChat
from cortex.edge.dialects.openai_completions_reply import OpenAICompletions
from cortex.edge.dialects.openai_responses_reply import OpenAIResponses
from cortex.edge.guard import DRAINING, Guard
from cortex.edge.keyring import Gate, Keyring
from cortex.edge.link import Link
from cortex.edge.metrics import Metrics
from cortex.edge.resources.completions import CompletionsResource
from cortex.edge.resources.count_tokens import CountTokensResource
from cortex.edge.resources.embeddings import EmbeddingsResource
from cortex.edge.resources.generate import GenerateResource
from cortex.edge.resources.health import HealthResource, RootResource
from cortex.edge.resources.models import ModelsResource
from cortex.edge.resources.openapi import OpenAPIResource
from cortex.edge.resources.responses import ResponsesResource
from cortex.edge.routes import Routes

LAST_WORDS_S = 1.0
"""What is left of the grace for the last event of each stream to be written."""
SHORTEST_DRAIN_S = 0.3
ONE_ID, ANY_ID = "{id}", "{model_id:path}"
"""A model's id as clients read it in a route, and as Falcon matches it: it may hold slashes."""


class Edge(Guard):
    """One worker's ASGI app."""

    def __init__(
        self,
        app: falcon.asgi.App[Any, Any],
        settings: Gateway,
        link: Link,
        metrics: Metrics,
        keyring: Keyring,
    ) -> None:
        super().__init__(
            app,
            settings,
            on_refusal=lambda path, status: _count(metrics, path, status),
            gate=Gate(keyring),
        )
        self._link = link

    def begin_drain(self, *, at_once: bool = False) -> None:
        """Refuse what is new; give what runs the grace less a second, then a terminal event."""
        if at_once:
            self.draining = True
            self._link.close(DRAINING)
        elif not self.draining:
            self.draining = True
            seconds = max(SHORTEST_DRAIN_S, self._settings.grace_s - LAST_WORDS_S)
            asyncio.get_running_loop().call_later(seconds, self._link.close, DRAINING)


def create_app(
    settings: Gateway,
    link: Link,
    metrics: Metrics,
    keyring: Keyring | None = None,
    *,
    started: float | None = None,
) -> Edge:
    """Wire everything. `started` is when the gateway began, which all its workers tell alike. Nothing is global and nothing has happened yet: `lifespan` starts the link and looks after the keys."""
    keyring = keyring or Keyring()
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App()
    app.add_middleware(_Lifespan(link, keyring))
    app.add_middleware(_Measured(metrics))
    app.add_middleware(_Options())
    edge = Edge(app, settings, link, metrics, keyring)
    root = RootResource()
    openapi = OpenAPIResource()
    health = HealthResource(link, lambda: edge.draining, lambda: keyring.keys is not None)
    models = ModelsResource(link, int(time.time() if started is None else started))
    responses = ResponsesResource(OpenAIResponses(), link, settings, metrics)

    def generate(dialect: Dialect[Any]) -> GenerateResource[Any]:
        return GenerateResource(dialect, link, settings, metrics)

    table = (
        ("GET", "/", root, None),
        ("GET", "/livez", health, "live"),
        ("GET", "/readyz", health, "ready"),
        ("GET", "/health", health, None),
        ("GET", "/openapi.json", openapi, None),
        ("GET", "/v1/models", models, None),
        ("GET", "/v1/models/{id}", models, "one"),
        ("POST", "/v1/chat/completions", generate(OpenAIChat()), None),
        ("POST", "/v1/messages", generate(AnthropicMessages()), None),
        ("POST", "/v1/messages/count_tokens", CountTokensResource(link), None),
        ("POST", "/v1/completions", CompletionsResource(OpenAICompletions(), link, settings, metrics), None),
        ("POST", "/v1/responses", responses, None),
        ("POST", "/v1/responses/input_tokens", responses, "tokens"),
        ("POST", "/v1/responses/compact", responses, "compact"),
        ("GET", "/v1/responses/{response_id}", responses, "one"),
        ("DELETE", "/v1/responses/{response_id}", responses, "one"),
        ("POST", "/v1/responses/{response_id}/cancel", responses, "cancel"),
        ("GET", "/v1/responses/{response_id}/input_items", responses, "items"),
        ("POST", "/v1/embeddings", EmbeddingsResource(link, settings, metrics), None),
    )
    routes = {path: (resource, suffix) for _, path, resource, suffix in table}
    for path, (resource, suffix) in routes.items():
        app.add_route(path.replace(ONE_ID, ANY_ID), resource, suffix=suffix)
    root.routes = Routes(tuple(f"{method} {path}" for method, path, _, _ in table))
    openapi.describe(root.routes)
    handlers.install(app, root.routes)
    return edge


class _Lifespan:
    """The link and the look at the keys live as long as the worker's event loop."""

    def __init__(self, link: Link, keyring: Keyring) -> None:
        self._link = link
        self._keyring = keyring

    async def process_startup(self, scope: object, event: object) -> None:  # noqa: ARG002  # by name
        self._keyring.start()
        await self._link.start()

    async def process_shutdown(self, scope: object, event: object) -> None:  # noqa: ARG002  # by name
        self._keyring.stop()
        await self._link.stop()


class _Measured:
    """Counts what no record counts: requests that generate nothing. Probes are not counted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: object, _succeeded: bool
    ) -> None:
        if getattr(req.context, "record", None) is not None or not req.path.startswith("/v1/"):
            return
        model = getattr(req.context, "model", "unknown")
        route = (req.uri_template or "unknown").replace(ANY_ID, ONE_ID)
        self._metrics.answered(model, route, resp.status_code)
        fault = getattr(req.context, "fault", None)
        if fault is not None:
            self._metrics.failed(model, fault)


class _Options:
    """What may be done at a path is the same for who asks as for who is told by a 405: Falcon's own answer leaves itself out."""

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: object, _succeeded: bool
    ) -> None:
        allowed = resp.get_header("allow") if req.method == "OPTIONS" else None
        if allowed is not None:
            resp.set_header("allow", f"{allowed}, OPTIONS")


def _count(metrics: Metrics, path: str, status: int) -> None:
    if path.startswith("/v1/"):
        metrics.answered("unknown", "refused", status)
