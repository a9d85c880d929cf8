"""What the brokers last said about themselves and the models: names for clients, not where to route. No clock, no socket.

Each broker is a source of its own. What living ones say is put together: a model is loaded if one of them says so, and
otherwise whoever spoke last is believed. A broker that is lost has no say while another lives; without any the names
are kept, so that an unknown model stays a 404.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from msgspec import structs

from cortex.edge.names import Resolver
from cortex.protocol.faults import Code, Fault, FaultError, fault
from cortex.protocol.messages import CatalogueEntry, Names, Welcome
from cortex.protocol.nearest import did_you_mean, nearest
from cortex.protocol.request import Sampling

UNKNOWN = Fault(code=Code.BROKER_LOST, message="The fleet is not known yet; try again.")
DEFAULTS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "max_tokens",
)
"""What a model's entry may say for a silent request; the rest is the client's own."""


@dataclass(slots=True)
class _Source:
    """One broker. `told` is when it last said something new, as a count."""

    broker: str = ""
    version: int = -1
    neurons: int = 0
    settled: bool = True
    told: int = 0
    entries: tuple[CatalogueEntry, ...] = ()
    names: Names = field(default_factory=Names)


class Catalogue:
    """The models that clients may name."""

    def __init__(self) -> None:
        self._sources: dict[int, _Source] = {}
        self._told = 0
        self._entries: dict[str, CatalogueEntry] = {}
        self._resolver = Resolver((), Names())

    def __repr__(self) -> str:
        return f"<Catalogue of {self.broker or 'nobody'}: {', '.join(self._entries) or 'empty'}>"

    @property
    def broker(self) -> str:
        """The name of a broker at hand; empty while none is."""
        return next((source.broker for source in self._sources.values() if source.broker), "")

    @property
    def version(self) -> int:
        """What the broker of source 0 last told."""
        return self.version_of(0)

    def version_of(self, source: int) -> int:
        """The number of the catalogue that a broker last told; -1: tell everything."""
        known = self._sources.get(source)
        return -1 if known is None else known.version

    @property
    def neurons(self) -> int:
        """Device processes, as the broker says that knows most of them."""
        return max((source.neurons for source in self._sources.values()), default=0)

    @property
    def entries(self) -> tuple[CatalogueEntry, ...]:
        return tuple(self._entries.values())

    @property
    def aliases(self) -> dict[str, str]:
        """Other names without `*` → id, of models that are there."""
        return self._resolver.exact

    @property
    def loaded(self) -> int:
        """How many models can answer at once."""
        return sum(entry.loaded for entry in self._entries.values())

    def update(self, welcome: Welcome, source: int = 0) -> None:
        """Take in a broker's answer to a beat."""
        known = self._sources.setdefault(source, _Source())
        changed = not known.broker or welcome.models is not None or welcome.names is not None
        known.broker = welcome.broker
        known.neurons = welcome.neurons
        known.settled = welcome.settled
        if welcome.models is not None:
            known.entries = welcome.models if welcome.settled else _together(known.entries, welcome.models)
            # What a broker told before it had heard of every neuron is asked for again.
            known.version = welcome.catalogue if welcome.settled else -1
        if welcome.names is not None:
            known.names = welcome.names
        if changed:
            self._told += 1
            known.told = self._told
            self._merge()

    def lose_broker(self, source: int = 0) -> None:
        """It does not answer. Its next beat asks for everything."""
        known = self._sources.get(source)
        if known is not None:
            known.broker = ""
            known.neurons = 0
            known.version = -1
            self._merge()

    def _merge(self) -> None:
        heard = [source for source in self._sources.values() if source.broker] or list(self._sources.values())
        entries: dict[str, CatalogueEntry] = {}
        aliases: dict[str, str] = {}
        small = ""
        for source in sorted(heard, key=lambda source: source.told):
            for entry in source.entries:
                before = entries.get(entry.id)
                if before is None or entry.loaded >= before.loaded:
                    entries[entry.id] = entry
            aliases.update(source.names.aliases)
            small = source.names.small or small
        self._entries = dict(sorted(entries.items())) if len(heard) > 1 else entries
        self._resolver = Resolver(self._entries, Names(aliases=aliases, small=small))

    def _servable_names(self) -> Iterator[str]:
        """Ids and exact aliases of the models that would answer."""
        for name, id_ in chain(zip(self._entries, self._entries, strict=True), self.aliases.items()):
            if self._entries[id_].servable:
                yield name

    @property
    def is_known(self) -> bool:
        """Whether a name that is not here is nowhere."""
        living = [source for source in self._sources.values() if source.broker]
        return any(source.settled for source in living) or (not living and bool(self._entries))

    def label(self, model: str) -> str:
        """The model as a metric's label: a client cannot make up labels."""
        return self._resolver.id_of(model) or "unknown"

    def written(self, model: str) -> str:
        """The name, as the fleet's settings have it, by which `find` finds a model."""
        return self._resolver.written(model)

    def find(self, model: str) -> CatalogueEntry:
        """The entry that a name stands for, or a fault: 404 if the fleet is known and has no such model."""
        found = self._resolver.id_of(model)
        entry = self._entries.get(found) if found is not None else None
        if entry is None and not self.is_known:
            raise FaultError(UNKNOWN)
        if entry is None:
            hint = did_you_mean(nearest(model, self._servable_names()))
            raise fault(
                Code.MODEL_NOT_FOUND,
                f"The model {model!r} does not exist{f'.{hint}' if hint else ';'} GET /v1/models lists those that do.",
                param="model",
            )
        return entry


def _together(
    before: tuple[CatalogueEntry, ...], now: tuple[CatalogueEntry, ...]
) -> tuple[CatalogueEntry, ...]:
    """What a broker that has just started tells, and of what its predecessor told the rest."""
    told = {entry.id for entry in now}
    return (*now, *(structs.replace(entry, loaded=False) for entry in before if entry.id not in told))


def with_defaults(sampling: Sampling, entry: CatalogueEntry) -> Sampling:
    """What the request leaves open, filled in from the model's entry; its output limit holds for every request."""
    values = {name: getattr(entry.sampling, name) for name in DEFAULTS} if entry.sampling is not None else {}
    changes = {
        name: value for name, value in values.items() if value is not None and getattr(sampling, name) is None
    }
    wanted = changes.get("max_tokens", sampling.max_tokens)
    if entry.max_output and (wanted is None or wanted > entry.max_output):
        changes["max_tokens"] = entry.max_output
    return structs.replace(sampling, **changes) if changes else sampling
