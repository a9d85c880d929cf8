"""The best placement, found without a close look at every device. Pure; it answers what `placement.plan` would.

A device with room beats every other. Among full devices, how dear the victims will be at the least can be told from
what stands there without choosing them: so the most promising device is looked at first, and nobody is looked at any
more who cannot beat the best so far.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from operator import itemgetter

from cortex.broker.catalogue import Profile
from cortex.broker.fleet import Neuron
from cortex.broker.placement import Look, Plan, Rank, closed, footprint_on, is_cold, look, looks, plan, unable
from cortex.broker.view import View

Row = tuple[float, int, int]
"""One that may go: when it was last used, or what it costs; its bytes; its priority."""
Bound = tuple[Rank, int, int, list[Row]]
"""A rank below which a device cannot be, its number, the bytes it lacks, and the rows from which more can be told."""
CAUTION = 1.0 - 1e-9
"""Sums of the same costs in another order differ in the last digits: a bound must not be too high for that."""

FEW = 8
"""Of more residents than these, not every set is tried to tell what the cheapest costs."""


def best(
    view: View,
    profile: Profile,
    now: float,
    *,
    drain: bool = False,
    only: str = "",
    idle: bool = False,
    kept: bool = False,
) -> Plan | None:
    """As `plan` of all `looks`. `only` names a host or a device; `idle`: only where nobody has to leave; `kept`: nobody
    leaves of whom the profile keeps no more than there are.
    """
    if profile.min_devices > 1:
        found = looks(view, profile, now, drain=drain, only=only, kept=kept)
        return plan(view, profile, found, drain=drain, idle=idle)
    room: list[Neuron] = []
    full: list[tuple[int, Neuron]] = []
    for neuron, missing in _open(view, profile, now, only):
        if missing > 0:
            full.append((missing, neuron))
        else:
            room.append(neuron)
    if room or idle:
        return plan(view, profile, [look(view, profile, neuron, now, drain=drain) for neuron in room])
    contenders = _contenders(view, profile, full, now, drain=drain, kept=kept)
    return plan(view, profile, contenders, drain=drain)


def _contenders(
    view: View, profile: Profile, full: list[tuple[int, Neuron]], now: float, *, drain: bool, kept: bool
) -> list[Look]:
    """A close look at each device that might be the best, and maybe at some more."""
    found: list[Look] = []
    best: Rank = (math.inf,)
    bounds = _bounds(view, profile, full, now, drain=drain)
    heapq.heapify(bounds)
    while bounds and bounds[0][0] <= best:
        bound, number, missing, rows = heapq.heappop(bounds)
        if rows:
            sharper = (*bound[:-1], _cheapest(missing, rows))
            heapq.heappush(bounds, (max(bound, sharper), number, missing, []))
            continue
        one = look(view, profile, full[number][1], now, drain=drain, kept=kept)
        if one.victims is not None:
            found.append(one)
            best = min(best, one.rank)
    return found


def _open(view: View, profile: Profile, now: float, only: str) -> Iterator[tuple[Neuron, int]]:
    """The devices that could take it now, and how many bytes each lacks."""
    model, written = profile.id, profile.footprint_bytes
    for neuron in view.neurons.values():
        if only and not neuron.is_named(only):
            continue
        need = written or footprint_on(profile, neuron)
        if unable(profile, neuron, need, is_held=model in neuron.models) or closed(model, neuron, now):
            continue
        yield neuron, need - neuron.device.free_bytes


def _bounds(
    view: View, profile: Profile, full: Iterable[tuple[int, Neuron]], now: float, *, drain: bool
) -> list[Bound]:
    """How good each device can be at best; those where too little may go are left out."""
    strategy, most = view.policy.strategy, profile.priority
    by_cost = strategy == "cost"
    odds, measured = view.usage.odds(now) if by_cost else {}, view.usage.loads
    awaited = frozenset(view.awaited())
    several = {name for name, places in view.hot.items() if len(places) > 1}
    bounds: list[Bound] = []
    for number, (missing, neuron) in enumerate(full):
        rows: list[Row] = []
        extra: list[Row] = []
        working: list[int] = []
        total = spare = 0
        mixed = False
        busy_here = awaited.union(neuron.load, neuron.foreign)
        used, since = neuron.used, neuron.since
        for name, footprint, priority, stay, assumed in view.standing(neuron):
            if priority > most or (stay and now - since[name] < stay):
                continue
            if name in busy_here:
                if not drain:
                    continue
                working.append(footprint)
            weight = odds.get(name, 0.0) * (measured.get(name) or assumed) if by_cost else used.get(name, 0.0)
            row = (weight, footprint, priority)
            rows.append(row)
            total += footprint
            mixed = mixed or priority != most
            if name in several:
                extra.append(row)
                spare += footprint
        if total < missing:
            continue
        busy = _fewest(missing - total + sum(working), working) if working else 0.0
        first = (1.0, busy, is_cold(profile.id, neuron), float(spare < missing))
        if spare >= missing:
            rows = extra  # if any other has to go after all, the rank is a worse one
        match strategy:
            case "lru":
                bound: Rank = (*first, _last(missing, rows))
            case "priority":
                bound = (*first, _highest(missing, rows) if mixed else float(most), _last(missing, rows))
            case "cost":
                bound = (*first, _dearer(missing, rows))
        bounds.append((bound, number, missing, rows if by_cost else []))
    return bounds


_priority = itemgetter(2)


def _last(missing: int, rows: list[Row]) -> float:
    """Whatever suffices, one used no earlier than this is among it."""
    for used, footprint, _ in sorted(rows):
        missing -= footprint
        if missing <= 0:
            return used
    return math.inf


def _highest(missing: int, rows: list[Row]) -> float:
    """Whatever suffices, one of at least this priority is among it."""
    for _, footprint, priority in sorted(rows, key=_priority):
        missing -= footprint
        if missing <= 0:
            return float(priority)
    return math.inf


def _fewest(missing: int, working: list[int]) -> float:
    """How many of those who work have to go at least."""
    count = 0
    for footprint in sorted(working, reverse=True):
        if missing <= 0:
            break
        missing -= footprint
        count += 1
    return float(count)


def _dearer(missing: int, rows: list[Row]) -> float:
    """No set that suffices costs less: it is one that is large enough, or the two cheapest at least."""
    rows.sort()
    two = rows[0][0] + rows[1][0] if len(rows) > 1 else math.inf
    for price, footprint, _ in rows:
        if footprint >= missing:
            return CAUTION * min(price, two)
    return CAUTION * two


def _cheapest(missing: int, rows: list[Row]) -> float:
    """What the cheapest set that suffices costs: sets grow by one at a time, unless they cost too much already."""
    if len(rows) > FEW:
        return 0.0
    best = math.inf
    sets = [(0.0, missing)]
    for price, footprint, _ in rows:
        for spent, lacking in sets[:]:
            if spent + price >= best:
                continue
            if footprint >= lacking:
                best = spent + price
            else:
                sets.append((spent + price, lacking - footprint))
    return CAUTION * best
