"""What the broker last said about itself and its models: names for clients, not where to route. No clock, no socket."""

from __future__ import annotations

from cortex.protocol.faults import Code, fault
from cortex.protocol.messages import CatalogueEntry, Welcome


class Catalogue:
    """The models that clients may name."""

    def __init__(self) -> None:
        self.broker = ""
        """The name of a broker at hand; empty while none is known."""
        self._live: dict[int, str] = {}
        self.version = -1
        self.neurons = 0
        self._entries: dict[str, CatalogueEntry] = {}

    def __repr__(self) -> str:
        return (
            f"<Catalogue {self.version} of {self.broker or 'nobody'}: {', '.join(self._entries) or 'empty'}>"
        )

    @property
    def entries(self) -> tuple[CatalogueEntry, ...]:
        return tuple(self._entries.values())

    @property
    def loaded(self) -> int:
        """How many models can answer at once."""
        return sum(entry.loaded for entry in self._entries.values())

    def update(self, welcome: Welcome, source: int = 0) -> None:
        """Take in the answer to a beat, of the broker of this index."""
        self._live[source] = welcome.broker
        self.broker = welcome.broker
        self.neurons = welcome.neurons
        if welcome.models is not None:
            self._entries = {entry.id: entry for entry in welcome.models}
            self.version = welcome.catalogue

    def lose_broker(self, source: int = 0) -> None:
        """That one answers no more; the names are kept, so that an unknown model stays a 404."""
        self._live.pop(source, None)
        self.broker = next(iter(self._live.values()), "")
        if not self.broker:
            self.neurons = 0
            self.version = -1

    def label(self, model: str) -> str:
        """The model as a metric's label: a client cannot make up labels."""
        return model if model in self._entries else "unknown"

    def find(self, model: str) -> CatalogueEntry:
        """The entry of a model, or a fault: 404 if the fleet is known and has no such model."""
        entry = self._entries.get(model)
        if entry is None and not self.broker and not self._entries:
            raise fault(Code.BROKER_LOST, "The fleet is not known yet; try again.")
        if entry is None:
            raise fault(
                Code.MODEL_NOT_FOUND,
                f"The model {model!r} does not exist; GET /v1/models lists those that do.",
                param="model",
            )
        return entry
