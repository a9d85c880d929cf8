"""A whole edge app over a link in memory, driven in the test's own event loop."""

from __future__ import annotations

import asyncio

from asgi_driver import Exchange, post, turn_until
from memory_link import MemoryLink
from prometheus_client import CollectorRegistry

from cortex.edge.app import create_app
from cortex.edge.config import Gateway
from cortex.edge.metrics import Metrics

CHAT = "/v1/chat/completions"
HI = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}
STREAMED = {**HI, "stream": True}


class World:
    """An app, its link and its figures."""

    def __init__(self, script=None, *, fleet=None, keyring=None, started=None, **settings):
        self.link = MemoryLink(script, **(fleet or {}))
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.app = create_app(Gateway(**settings), self.link, self.metrics, keyring, started=started)

    def post(self, value, path=CHAT, **headers):
        return post(self.app, path, value, **headers)

    async def get(self, path, method="GET", **headers):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return await Exchange(self.app, method, path, headers=fields).done()

    def metric(self, name, **labels):
        return self.registry.get_sample_value(name, labels)

    async def opened(self):
        """Wait until a request has reached the link; its ticket and stream."""
        await turn_until(lambda: self.link.tickets)
        ticket = self.link.tickets[-1]
        return ticket, self.link.streams[ticket.request]


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 10))
