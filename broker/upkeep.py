"""What is to be done without anybody asking: pure questions that the core asks about once a second.

What is left of a broken replica is unloaded. Pinned models and least replica counts are placed, idle ones past their
time to live are unloaded, a model whose queue stays long gets another replica where memory is free, and a device process
that has loaded many times is restarted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator

from cortex.broker.fleet import Neuron
from cortex.broker.loads import Placement
from cortex.broker.placement import Plan
from cortex.broker.shortlist import best
from cortex.broker.view import View

Owns = Callable[[str], bool]
LONG_WAIT = 2.0
"""Seconds that a model's queue must have stood before another replica is thought of."""


def expired(view: View, owns: Owns, now: float) -> Iterator[tuple[Neuron, str]]:
    """Replicas that nobody has used for as long as their profile allows; never below the least number of them."""
    leaving: Counter[str] = Counter()
    for neuron in view.neurons.values():
        if not neuron.serves or neuron.asked:
            continue
        for name, model in neuron.models.items():
            if view.is_asked(neuron, name):
                continue
            profile = view.profile(name)
            idle = now - neuron.used.get(name, now)
            keeps = (
                model.pinned or profile.pinned or not profile.ttl or model.state != "hot" or not model.slots
            )
            if (
                keeps
                or idle < profile.ttl
                or neuron.in_hand(name)
                or view.has_waiters(name)
                or not owns(name)
            ):
                continue
            if view.copies(name) - leaving[name] > profile.replicas.min:
                leaving[name] += 1
                yield neuron, name
                break  # one question per device at a time


def broken(view: View) -> Iterator[tuple[Neuron, str]]:
    """Replicas over several devices of which one is gone: what is left of them only takes memory."""
    for neuron in view.neurons.values():
        for name, model in neuron.models.items():
            if len(model.devices) < 2 or model.state != "hot":
                continue
            members = view.members(neuron, name)
            if view.is_coming(neuron, name):
                continue
            if len(members) < len(model.devices) and not view.is_asked(neuron, name):
                yield neuron, name
                break


def missing(view: View, owns: Owns, now: float) -> Iterator[str]:
    """Models of which there are fewer replicas than their profile wants, whether or not anybody asks for them."""
    for name, profile in view.profiles.items():
        least = max(profile.replicas.min, 1 if profile.pinned else 0)
        if not least or view.copies(name) >= least or not owns(name) or view.underway(name) is not None:
            continue
        if not view.is_backing_off(name, now):
            yield name


def another_replica(view: View, model: str, waiting: int, waited: float, now: float) -> Plan | None:
    """A placement for one more replica: only for a queue as long as the slots there are, and only in free memory."""
    profile = view.profile(model)
    copies = view.copies(model)
    if copies >= profile.replicas.max or waited < LONG_WAIT or view.underway(model) is not None:
        return None
    if view.is_backing_off(model, now):
        return None
    slots = sum(neuron.models[model].slots for neuron in view.replicas(model))
    if waiting < max(1, slots):
        return None
    return best(view, profile, now, idle=True)


def abandoned(view: View, placements: Iterable[Placement], wanted: Collection[str]) -> Iterator[Placement]:
    """Loads ordered for clients who have all left, while their victims still work; `wanted`: by operators."""
    for placement in placements:
        model = placement.model
        if not placement.for_clients or placement.is_abandoned or model in wanted or view.has_waiters(model):
            continue
        parts = placement.plan.parts
        draining = any(
            (held := part.neuron.models.get(victim)) is not None and held.state == "draining"
            for part in parts
            for victim in part.evict
        )
        if draining and placement.is_answered and not any(part.neuron.asked for part in parts):
            yield placement


def worn(view: View, owns: Owns, spared: Collection[str]) -> Neuron | None:
    """A device to restart because of its many loads: an idle one, or any once it has twice as many; one at a time.

    `spared`: devices that have yet to get back what the last restart took.
    """
    limit = view.policy.defrag_after_cycles
    if not limit or any(neuron.drained or neuron.state != "ready" for neuron in view.neurons.values()):
        return None
    for neuron in sorted(view.neurons.values(), key=lambda one: (-one.cycles, one.name)):
        if neuron.cycles < limit or neuron.stalled or neuron.asked:
            continue
        if neuron.name in spared or not owns(neuron.name):
            continue
        idle = not any(neuron.in_hand(name) or view.has_waiters(name) for name in neuron.models)
        loading = any(model.state in {"loading", "draining"} for model in neuron.models.values())
        if not loading and (idle or neuron.cycles >= 2 * limit):
            return neuron
    return None
