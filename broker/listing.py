"""The models that clients may ask for: profiles and topology, and what neurons hold. Pure.

A device that says what it holds changes the lines of few models: the others are taken as they were.
"""

from __future__ import annotations

from cortex.broker.fleet import Neuron
from cortex.broker.placement import able_hosts
from cortex.broker.view import View
from cortex.protocol.messages import CatalogueEntry
from cortex.protocol.values import Model, ModelState

RANK: tuple[ModelState, ...] = ("hot", "loading", "draining", "asleep", "failed", "cold")
"""What a model's state is as a whole: the best of its places."""


Facts = tuple[object, ...]
"""All that a model's line tells of, the topology apart."""


class Listing:
    """The list, and what it was made of the last time."""

    def __init__(self) -> None:
        self._topology: Facts = ()
        self._lines: dict[str, tuple[Facts, CatalogueEntry]] = {}

    def entries(self, view: View) -> tuple[CatalogueEntry, ...]:
        """Every model that is written in the catalogue or was ever held, and where it is now, by name."""
        topology = tuple(
            (
                neuron.name,
                neuron.device.memory_bytes,
                neuron.device.budget_bytes,
                neuron.drained,
                neuron.serves,
            )
            for neuron in view.neurons.values()
        )
        before = self._lines if topology == self._topology else {}
        self._topology, self._lines = topology, {}
        listed = []
        for name in sorted(view.profiles.keys() | view.known):
            facts = _facts(view, name)
            line = before.get(name)
            if line is None or line[0] != facts:
                line = (facts, _entry(view, name))
            self._lines[name] = line
            listed.append(line[1])
        return tuple(listed)


def _facts(view: View, name: str) -> Facts:
    is_ordered = view.underway(name) is not None
    facts: list[object] = [view.profile(name), view.trouble(name), name in view.blocked, is_ordered]
    for neuron in view.holders.get(name, {}).values():
        facts += (neuron.name, neuron.models[name], neuron.serves, neuron.stalled)
    return tuple(facts)


def _entry(view: View, name: str) -> CatalogueEntry:
    profile = view.profile(name)
    held = [(neuron, neuron.models[name]) for neuron in view.holders.get(name, {}).values()]
    states = {_word(neuron, model) for neuron, model in held}
    hot = [model for neuron, model in held if model.state == "hot" and neuron.serves]
    context = min(
        (model.context for model in hot or [model for _, model in held] if model.context), default=0
    )
    limits = [limit for limit in (context, profile.limit.context) if limit]
    seen = {item for _, model in held for item in model.capabilities}
    state: ModelState = next((state for state in RANK if state in states), "cold")
    loaded = any(model.slots for model in hot)
    return CatalogueEntry(
        id=name,
        loaded=loaded,
        state="failed" if state == "cold" and view.trouble(name) else state,
        context=min(limits, default=0),
        max_output=profile.limit.output,
        capabilities=tuple(sorted(seen or set(profile.capabilities))),
        locations=tuple(
            sorted((neuron.name, _word(neuron, model), model.footprint_bytes) for neuron, model in held)
        ),
        feasible_on=feasible_on(view, name),
        servable=loaded or _on_demand(view, name),
        cost=profile.cost,
        sampling=profile.sampling,
    )


def feasible_on(view: View, name: str) -> tuple[str, ...]:
    """Hosts that are able to hold the model, and those that hold it as they are; none that an operator drained."""
    holders = view.holders.get(name, {}).values()
    hot = {one.node for one in holders if one.models[name].state == "hot" and not one.drained}
    neurons = [neuron for neuron in view.neurons.values() if not neuron.drained]
    return tuple(sorted(hot | able_hosts(view.profile(name), neurons)))


def _on_demand(view: View, name: str) -> bool:
    """Whether a request would have it loaded, or wait for a load that was ordered for somebody.

    What a device loads by itself when it starts is not served before it is hot.
    """
    if name in view.blocked:
        return False
    if view.loading_at(name) is not None and view.underway(name) is None:
        return False
    willing = [one for one in view.neurons.values() if one.serves and not _turned_it_down(one, name)]
    return bool(able_hosts(view.profile(name), willing))


def _turned_it_down(neuron: Neuron, name: str) -> bool:
    """Whether it could not begin to load the model when it started, though its own settings name it."""
    held = neuron.models.get(name)
    return held is not None and held.state == "cold" and held.failures > 0


def _word(neuron: Neuron, model: Model) -> str:
    return "stalled" if neuron.stalled else model.state
