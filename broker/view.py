"""What the policies look at: the fleet, the profiles, what is under way and what failed. They never change it.

One object, so that arrival, completion, retry and `explain` all decide on the same facts. Knows no effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from cortex.broker.catalogue import Catalogue, Profile
from cortex.broker.fleet import Neuron
from cortex.broker.usage import Usage, assumed_load_s
from cortex.protocol.values import Model

Strategy = Literal["lru", "priority", "cost"]
Standing = tuple[str, int, int, float, float]
"""A model on a device: its id, footprint in bytes, priority, the seconds for which it stays in any case, and those that
its load is assumed to take while none was measured."""
FIRST_BACKOFF, LONGEST_BACKOFF = 5.0, 300.0
FORGET_GONE = 600.0
"""Seconds for which a neuron that left is still shown, and its return is reckoned with."""


@dataclass(slots=True)
class Failure:
    """Loads of a model that failed in a row, the reason of the last, and until when none is tried."""

    count: int
    detail: str
    until: float


@dataclass(frozen=True, slots=True)
class Underway:
    """A load that was ordered here and has not ended."""

    node: str
    percent: int
    detail: str
    since: float
    expected_s: float


@dataclass(slots=True)
class Policy:
    """What an operator sets about decisions."""

    strategy: Strategy = "lru"
    defrag_after_cycles: int = 0
    turn_s: float = 15.0
    max_waiting: int = 4096
    per_principal: int = 1024
    kept_bytes: int = 64 * 1024 * 1024


@dataclass(slots=True)
class View:
    """Facts and beliefs of one broker."""

    policy: Policy = field(default_factory=Policy)
    neurons: dict[bytes, Neuron] = field(default_factory=dict)
    gone: dict[str, tuple[Neuron, float]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    """Every model that a neuron held, here or away."""
    failures: dict[str, Failure] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Models that a device refused for a reason that will last, and its words, until they load."""
    blocked: frozenset[str] = frozenset()
    """Models that are refused to clients at the moment, because of what went wrong before."""
    usage: Usage = field(default_factory=Usage)
    has_waiters: Callable[[str], bool] = lambda _model: False
    awaited: Callable[[], tuple[str, ...]] = tuple
    """The models that somebody waits for."""
    underway: Callable[[str], Underway | None] = lambda _model: None
    settles_at: float = 0.0
    """From when on every neuron there is has had the time to announce itself."""
    profiles: dict[str, Profile] = field(default_factory=dict)
    holders: dict[str, dict[bytes, Neuron]] = field(default_factory=dict)
    """The neurons that list a model, in whatever state."""
    hot: dict[str, dict[bytes, Neuron]] = field(default_factory=dict)
    """Those of them on which it is hot and can be asked for."""
    _bare: dict[str, Profile] = field(default_factory=dict)
    _standing: dict[bytes, tuple[Standing, ...]] = field(default_factory=dict)

    def use_catalogue(self, catalogue: Catalogue) -> None:
        """These profiles hold from now on."""
        before, self.profiles = self.profiles, catalogue.by_id()
        self._standing.clear()
        for model in before.keys() | self.profiles.keys():
            if before.get(model) != self.profiles.get(model):
                self.forgive(model)

    def profile(self, model: str) -> Profile:
        """What is written about a model; the defaults where nothing is."""
        found = self.profiles.get(model) or self._bare.get(model)
        if found is None:
            found = self._bare[model] = Profile(id=model)
            if len(self._bare) > 1024:
                self._bare.clear()
        return found

    def is_settled(self, now: float) -> bool:
        """Whether who is not here is away."""
        return now >= self.settles_at

    def exists(self, model: str) -> bool:
        """Whether the fleet knows this model, loaded or not."""
        return model in self.profiles or model in self.known

    def forget_unknown(self) -> bool:
        """Drop names that nobody writes down or holds any more, and say whether there were any."""
        away = {model for neuron, _ in self.gone.values() for model in neuron.models}
        unknown = self.known - self.holders.keys() - self.profiles.keys() - away
        self.known -= unknown
        return bool(unknown)

    def admit(self, neuron: Neuron) -> None:
        """A neuron is there."""
        self.neurons[neuron.route] = neuron

    def dismiss(self, neuron: Neuron, now: float) -> None:
        """A neuron is gone, and every belief about what it holds with it."""
        del self.neurons[neuron.route]
        for name in neuron.models:
            self._no_longer(name, neuron)
        self._standing.pop(neuron.route, None)
        self.gone[neuron.name] = (neuron, now)

    def hold(self, neuron: Neuron, models: tuple[Model, ...], now: float) -> None:
        """Believe what a neuron says it holds."""
        for name in neuron.models.keys() - {model.id for model in models}:
            self._no_longer(name, neuron)
        neuron.hold(models, now)
        self._standing.pop(neuron.route, None)
        for name in neuron.models:
            self.holders.setdefault(name, {})[neuron.route] = neuron
            if neuron.is_hot(name):
                self.hot.setdefault(name, {})[neuron.route] = neuron
            else:
                self._cooled(name, neuron)
        self.known.update(neuron.models)

    def _no_longer(self, model: str, neuron: Neuron) -> None:
        holders = self.holders[model]
        del holders[neuron.route]
        if not holders:
            del self.holders[model]
        self._cooled(model, neuron)

    def _cooled(self, model: str, neuron: Neuron) -> None:
        hot = self.hot.get(model)
        if hot is not None:
            hot.pop(neuron.route, None)
            if not hot:
                del self.hot[model]

    def standing(self, neuron: Neuron) -> tuple[Standing, ...]:
        """The hot models of a device that are not pinned, with what does not change while they stand there."""
        found = self._standing.get(neuron.route)
        if found is None:
            rows = []
            for name, model in neuron.models.items():
                profile = self.profile(name)
                if model.state == "hot" and not model.pinned and not profile.pinned:
                    size = model.footprint_bytes
                    rows.append((name, size, profile.priority, profile.min_residency, assumed_load_s(size)))
            found = self._standing[neuron.route] = tuple(rows)
        return found

    def replicas(self, model: str) -> Iterator[Neuron]:
        """Where the model is hot and may be given requests, busy or not."""
        for neuron in self.hot.get(model, {}).values():
            if neuron.serves and model not in neuron.closing:
                yield neuron

    def is_served(self, model: str) -> bool:
        """Whether any replica may be given requests, busy or not."""
        return next(self.replicas(model), None) is not None

    def loading_at(self, model: str) -> Neuron | None:
        """A device on which the model is loading, whoever ordered it, unless that was given up."""
        for neuron in self.holders.get(model, {}).values():
            is_loading = neuron.models[model].state == "loading" and neuron.state == "ready"
            if is_loading and model not in neuron.stuck:
                return neuron
        return None

    def copies(self, model: str) -> int:
        """How many replicas are hot or on their way there."""
        holders = self.holders.get(model, {}).values()
        states = [neuron.models[model] for neuron in holders if model not in neuron.closing]
        return sum(held.state == "loading" or (held.state == "hot" and held.slots > 0) for held in states)

    def beside(self, neuron: Neuron, index: int) -> Neuron | None:
        """The device of the same host and kind with this index."""
        for other in self.neurons.values():
            if (
                other.node == neuron.node
                and other.device.kind == neuron.device.kind
                and other.device.index == index
            ):
                return other
        return None

    def members(self, neuron: Neuron, model: str) -> list[Neuron]:
        """The devices that hold a share of a replica, this one among them: of one that sleeps, those where it sleeps."""
        state = "asleep" if neuron.models[model].state == "asleep" else "hot"
        found = []
        for index in neuron.models[model].devices or (neuron.device.index,):
            member = neuron if index == neuron.device.index else self.beside(neuron, index)
            if member is not None and (held := member.models.get(model)) is not None and held.state == state:
                found.append(member)
        return found

    def is_asked(self, neuron: Neuron, model: str) -> bool:
        """Whether a device that holds a share of this replica has yet to answer a placement."""
        return any(member.asked for member in self.members(neuron, model))

    def is_coming(self, neuron: Neuron, model: str) -> bool:
        """Whether a share of this replica is still loading: its devices are not hot at the same moment."""
        for index in neuron.models[model].devices:
            member = self.beside(neuron, index)
            held = member.models.get(model) if member is not None else None
            if held is not None and held.state == "loading":
                return True
        return False

    def is_backing_off(self, model: str, now: float) -> bool:
        """Whether its last load failed not long ago."""
        failure = self.failures.get(model)
        return failure is not None and now < failure.until

    def trouble(self, model: str) -> str:
        """Why it is not loaded: of a model whose last load failed or was refused, until it loads; else empty."""
        failure = self.failures.get(model)
        if failure is not None:
            return failure.detail
        if model in self.refused:
            return self.refused[model]
        for neuron in self.holders.get(model, {}).values():
            held = neuron.models[model]
            if held.failures and held.detail and held.state in ("cold", "failed"):
                return f"{neuron.name}: {held.detail}"
        return ""

    def loaded(self, model: str) -> None:
        """It is hot: what went wrong before is forgotten."""
        self.failures.pop(model, None)
        self.refused.pop(model, None)

    def forgive(self, model: str) -> None:
        """Try again what failed or was refused."""
        self.loaded(model)
        for neuron in self.neurons.values():
            neuron.refused.pop(model, None)
            neuron.shut.pop(model, None)

    def failed(self, model: str, detail: str, now: float) -> Failure:
        """A load of the model failed: none is tried for a while, longer each time."""
        before = self.failures.get(model)
        count = before.count + 1 if before is not None else 1
        pause = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (count - 1))
        failure = self.failures[model] = Failure(count, detail, now + pause)
        return failure
