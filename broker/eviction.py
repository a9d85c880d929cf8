"""Who makes room: the models that a device gives up for another. Pure; it looks at one device and changes nothing.

Knows what each resident is worth. Does not know devices, neurons, or what is to be loaded: only how many bytes are
missing and how much that load may ask for. What really fits is the neuron's word.

Whoever may go, goes in tiers: idle before busy (which go only when the device may be drained), extra replicas, of
which another hot copy exists, before the last ones. A tier is opened when those before it do not suffice; within a
tier the strategy decides; and nobody is taken without whom the rest suffices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Strategy = Literal["lru", "priority", "cost"]

HORIZON = 600.0
"""Seconds ahead for which `cost` weighs whether a model is wanted again."""
EXACT = 12
"""Up to so many candidates in a tier the cheapest set is found; beyond, a good one."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A model that a device holds.

    `footprint`: bytes that its going frees on this device. `last_used` and `since` (when it became hot): seconds on the
    clock of `now`. `load_s`: seconds to load it again. `reuse_per_s`: requests expected per second. `busy`: requests in
    hand, and waiters of its own. `min_residency`: seconds for which it stays in any case. `extra`: another hot replica
    exists elsewhere.
    """

    model: str
    footprint: int
    priority: int = 100
    last_used: float = 0.0
    since: float = 0.0
    load_s: float = 0.0
    reuse_per_s: float = 0.0
    pinned: bool = False
    busy: int = 0
    min_residency: float = 0.0
    extra: bool = False


def victims(
    missing: int,
    residents: Iterable[Resident],
    *,
    priority: int,
    strategy: Strategy,
    now: float,
    drain: bool = False,
) -> tuple[Resident, ...] | None:
    """Who has to go so that `missing` bytes become free for a model of this `priority`; None if that cannot be.

    Never the pinned, those of higher priority, those loaded too short a time ago, nor, unless `drain`, the busy.
    """
    if missing <= 0:
        return ()
    tiers: tuple[list[Resident], ...] = ([], [], [], [])
    for resident in residents:
        if _obstacle(resident, priority, now, drain=drain) is None:
            tiers[2 * bool(resident.busy) + (not resident.extra)].append(resident)
    free = [0]
    for tier in tiers:
        free.append(free[-1] + sum(resident.footprint for resident in tier))
    if free[-1] < missing:
        return None
    chosen: list[Resident] = []
    for tier, others in zip(reversed(tiers), reversed(free[:-1]), strict=True):
        needed = missing - others
        if needed > 0:
            found = _within(needed, tier, strategy)
            missing -= sum(resident.footprint for resident in found)
            chosen = found + chosen
    return tuple(chosen)


class Obstacle(NamedTuple):
    """Who cannot go, and why, in plain words."""

    model: str
    why: str


def obstacles(
    residents: Iterable[Resident], *, priority: int, now: float, drain: bool = False
) -> tuple[Obstacle, ...]:
    """Why each of those that cannot go has to stay."""
    found = ((resident, _obstacle(resident, priority, now, drain=drain)) for resident in residents)
    return tuple(Obstacle(resident.model, why(resident, now)) for resident, why in found if why is not None)


def cost(resident: Resident, horizon: float = HORIZON) -> float:
    """Seconds of loading to be expected for its going: the probability that it is wanted again, times its load."""
    return -math.expm1(-resident.reuse_per_s * horizon) * resident.load_s


# ── who may go ───────────────────────────────────────────────────────────────────────────────────────────────────

Why = Callable[[Resident, float], str]


def _obstacle(resident: Resident, priority: int, now: float, *, drain: bool) -> Why | None:
    """The one decision on who may go; the answer words why not."""
    if resident.pinned:
        return _pinned
    if resident.priority > priority:
        return _higher
    if now - resident.since < resident.min_residency:
        return _young
    if resident.busy and not drain:
        return _busy
    return None


def _pinned(_resident: Resident, _now: float) -> str:
    return "is pinned"


def _higher(resident: Resident, _now: float) -> str:
    return f"has the higher priority {resident.priority}"


def _young(resident: Resident, now: float) -> str:
    return f"was loaded only {now - resident.since:.0f} s ago and stays for {resident.min_residency:.0f} s"


def _busy(resident: Resident, _now: float) -> str:
    return f"is busy with {resident.busy} request{'s' * (resident.busy != 1)}"


# ── within a tier ────────────────────────────────────────────────────────────────────────────────────────────────


def _within(needed: int, tier: Sequence[Resident], strategy: Strategy) -> list[Resident]:
    """Who of a tier that suffices frees `needed` bytes."""
    if strategy == "lru":
        return _in_order(needed, sorted(tier, key=lambda one: (one.last_used, one.model)))
    if strategy == "priority":
        return _in_order(needed, sorted(tier, key=lambda one: (one.priority, one.last_used, one.model)))
    return _cheapest(needed, tier)


def _in_order(needed: int, order: Iterable[Resident]) -> list[Resident]:
    """The first that suffice, less those without whom the others suffice: the last are spared first."""
    taken: list[Resident] = []
    surplus = -needed
    for resident in order:
        if surplus >= 0:
            break
        taken.append(resident)
        surplus += resident.footprint
    for resident in taken[::-1]:
        if resident.footprint <= surplus:
            surplus -= resident.footprint
            taken.remove(resident)
    return taken


def _cheapest(needed: int, tier: Sequence[Resident]) -> list[Resident]:
    """The set that costs least: branch and bound, where the bound takes a part of the last victim at its price."""
    priced = [(cost(resident), resident) for resident in tier if resident.footprint > 0]
    priced.sort(key=lambda pair: (pair[0] / pair[1].footprint, pair[1].last_used, pair[1].model))
    order = [resident for _price, resident in priced]
    best = _in_order(needed, order)
    if len(order) > EXACT or len(best) == len(order):
        return best
    least = sum(map(cost, best))

    def search(index: int, missing: int, spent: float, taken: list[Resident]) -> None:
        nonlocal best, least
        if missing <= 0:
            if spent < least:
                best, least = taken, spent
            return
        bound, rest = spent, missing
        for price, resident in priced[index:]:
            bound += price * min(1.0, rest / resident.footprint)
            rest -= resident.footprint
            if rest <= 0:
                break
        if rest > 0 or bound >= least:
            return
        price, resident = priced[index]
        search(index + 1, missing - resident.footprint, spent + price, [*taken, resident])
        search(index + 1, missing, spent, taken)

    search(0, needed, 0.0, [])
    return _in_order(needed, sorted(best, key=cost))
