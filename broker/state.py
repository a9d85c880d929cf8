"""All that one broker knows and has in hand, put together once and shared by the parts that act on it. No behaviour."""

from __future__ import annotations

from collections import Counter

from cortex.broker.blobs import Blobs
from cortex.broker.catalogue import Catalogue
from cortex.broker.decisions import Decisions
from cortex.broker.events import Effect
from cortex.broker.fleet import Edge
from cortex.broker.loads import Loads
from cortex.broker.mesh import Mesh
from cortex.broker.prefixes import Prefixes
from cortex.broker.requests import Requests
from cortex.broker.view import Policy, View
from cortex.protocol.messages import CatalogueEntry, Names


class State:
    """See the module's docstring. `effects` is what the core hands out next."""

    def __init__(self, name: str, now: float, policy: Policy, epoch: str) -> None:
        self.name = name
        self.started = now
        self.effects: list[Effect] = []
        self.view = View(policy=policy)
        self.outdated: tuple[str, float] | None = None
        """What is wrong with models.toml as it is now, and since when."""
        self.edges: dict[bytes, Edge] = {}
        self.requests = Requests(self.effects)
        self.decisions = Decisions()
        self.loads = Loads(self.view, self.effects, self.decisions, f"{name}-{epoch}" if epoch else name)
        self.mesh = Mesh(name)
        self.prefixes = Prefixes()
        self.blobs = Blobs(policy.kept_bytes)
        self.catalogue = Catalogue()
        self.catalogue_digest = b""
        self.names = Names()
        self.listed: tuple[CatalogueEntry, ...] = ()
        self.listing_version = 0
        self.is_settled = False
        """Whether every neuron there is has had the time to announce itself, as of the last tick."""
        self.dropped: Counter[str] = Counter()
        self.crashes: Counter[str] = Counter()
        """Devices lost in a row while they loaded a model."""
        self.view.has_waiters = self.requests.has_waiters
        self.view.awaited = self.requests.waiting.models
        self.view.underway = self.loads.underway
