"""Where could a model go, and who would have to leave? Pure: it looks and answers.

A device is able to hold a model if its host is meant for it, its memory has the floor that the profile asks, and the
model's share of the footprint is within its budget. Whether there is room now is measured free memory plus what the
victims give back. A replica over several devices of a host takes the cheapest of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from cortex.broker.catalogue import MIB, Profile
from cortex.broker.eviction import Obstacle, Resident, cost, obstacles, victims
from cortex.broker.fleet import OCCUPYING, Neuron
from cortex.broker.view import View
from cortex.protocol.faults import Code, Fault
from cortex.protocol.sizes import mib, short_by

Rank = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What one device is asked: who leaves it, and whether (a share of) the model comes."""

    neuron: Neuron
    evict: tuple[str, ...]
    loads: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """One placement. The members that load come first, lowest index first; the first one leads."""

    model: str
    parts: tuple[Part, ...]
    drain: bool = False
    """Whether victims may still be working: they finish first."""

    @property
    def leader(self) -> Neuron:
        return self.parts[0].neuron

    @property
    def victims(self) -> tuple[str, ...]:
        """Who leaves, each named once, in order."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.evict))

    @property
    def devices(self) -> tuple[int, ...]:
        return tuple(part.neuron.device.index for part in self.parts if part.loads)


@dataclass(frozen=True, slots=True)
class Look:
    """One device as a place for the model: `victims` is None where it cannot take it now, for `reason`."""

    neuron: Neuron
    able: bool
    victims: tuple[Resident, ...] | None
    reason: str
    rank: Rank = ()
    discreet: str = ""
    """The reason without the names of other models, where it has some."""


def unable(profile: Profile, neuron: Neuron, footprint: int, *, is_held: bool) -> str:
    """Why this device can never hold the model as things are configured; empty if it can."""
    device = neuron.device
    if profile.affinity and neuron.node not in profile.affinity and neuron.name not in profile.affinity:
        return f"the profile's affinity is {', '.join(profile.affinity)}"
    if not profile.source and not is_held:
        return "models.toml names no source for it, and this device does not know it"
    floor = profile.min_device_vram_mb * MIB
    if device.memory_bytes < floor:
        return f"the profile asks for a device of at least {profile.min_device_vram_mb} MiB"
    if not device.budget_bytes:
        return "it takes no placements"
    if footprint > device.budget_bytes:
        short = short_by(footprint, device.budget_bytes)
        return (
            f"it needs {mib(footprint)} MiB, and models may take {mib(device.budget_bytes)} MiB here: "
            f"{short} MiB short"
        )
    return ""


def footprint_on(profile: Profile, neuron: Neuron) -> int:
    """Bytes to reserve on this device: as the profile says, else as the neuron estimates."""
    held = neuron.models.get(profile.id)
    return profile.footprint_bytes or (held.footprint_bytes if held is not None else 0)


def residents(view: View, neuron: Neuron, now: float, *, kept: bool = False) -> list[Resident]:
    """What stands on a device, as eviction weighs it. `kept`: the replicas that profiles keep at least stay, too."""
    found = []
    for name, model in neuron.models.items():
        if model.state != "hot" or name in neuron.closing:
            continue
        members = view.members(neuron, name) if model.devices else [neuron]
        if any(member.asked for member in members) or (model.devices and view.is_coming(neuron, name)):
            continue
        profile = view.profile(name)
        copies = len(view.hot.get(name, ())) if model.slots else 0
        found.append(
            Resident(
                model=name,
                footprint=model.footprint_bytes,
                priority=profile.priority,
                last_used=neuron.used.get(name, 0.0),
                since=neuron.since.get(name, now),
                load_s=view.usage.load_s(name, model.footprint_bytes),
                reuse_per_s=view.usage.rate(name, now),
                pinned=model.pinned or profile.pinned or (kept and copies <= profile.replicas.min),
                busy=max(member.in_hand(name) for member in members) + view.has_waiters(name),
                min_residency=profile.min_residency,
                extra=copies > max(1, profile.replicas.min),
            )
        )
    return found


def look(
    view: View, profile: Profile, neuron: Neuron, now: float, *, drain: bool, kept: bool = False
) -> Look:
    """Judge one device."""
    held = neuron.models.get(profile.id)
    need = footprint_on(profile, neuron)
    if why := unable(profile, neuron, need, is_held=held is not None):
        return Look(neuron, able=False, victims=None, reason=why)
    if why := closed(profile.id, neuron, now):
        return Look(neuron, able=True, victims=None, reason=why)
    missing = need - neuron.device.free_bytes
    if missing <= 0:
        occupied = sum(model.state in OCCUPYING for model in neuron.models.values())
        rank: Rank = (
            0.0,
            is_cold(profile.id, neuron),
            float(occupied),
            float(neuron.device.budget_bytes),
            float(-missing),
        )
        return Look(neuron, able=True, victims=(), reason="there is room", rank=rank)
    here = residents(view, neuron, now, kept=kept)
    strategy = view.policy.strategy
    chosen = victims(missing, here, priority=profile.priority, strategy=strategy, now=now, drain=drain)
    if chosen is None:
        return _blocked(neuron, missing, obstacles(here, priority=profile.priority, now=now))
    busy = sum(resident.busy for resident in chosen)
    rank = (1.0, float(busy), is_cold(profile.id, neuron), *_dearness(view, chosen), float(len(chosen)))
    return Look(neuron, able=True, victims=chosen, reason="after an eviction", rank=rank)


def _blocked(neuron: Neuron, missing: int, blocking: Sequence[Obstacle]) -> Look:
    """A device on which too few may go."""
    short = f"{short_by(missing, 0)} MiB short"
    named = "; ".join(f"{one.model} {one.why}" for one in blocking)
    nameless = "; ".join(f"another model {one.why}" for one in blocking)
    return Look(
        neuron,
        able=True,
        victims=None,
        reason=f"{short}: {named}" if named else short,
        discreet=f"{short}: {nameless}" if named else "",
    )


def is_cold(model: str, neuron: Neuron) -> float:
    """1 where it would have to be read from disk; 0 where it sleeps, and is back in no time."""
    held = neuron.models.get(model)
    return float(held is None or held.state != "asleep")


def closed(model: str, neuron: Neuron, now: float) -> str:
    """Why nothing can be placed on this device at the moment; empty if it can."""
    if neuron.state != "ready":
        return "the device is starting"
    if neuron.stalled:
        return "the device makes no progress"
    if neuron.drained:
        return "the device is drained until cortex-ctl resume"
    if neuron.asked:
        return "another placement is being answered"
    held = neuron.models.get(model)
    if held is not None and held.state in OCCUPYING:
        return f"it is {held.state} here"
    if neuron.shut.get(model, 0.0) > now:
        return "its last placement here was refused or failed"
    return ""


def _dearness(view: View, chosen: Iterable[Resident]) -> Rank:
    """How dear it is to lose these, by the strategy in force: what compares one device's victims with another's."""
    spare = float(not all(resident.extra for resident in chosen))
    last = max(resident.last_used for resident in chosen)
    match view.policy.strategy:
        case "lru":
            return (spare, last)
        case "priority":
            return (spare, float(max(resident.priority for resident in chosen)), last)
        case "cost":
            return (spare, sum(cost(resident) for resident in chosen), last)


def looks(
    view: View, profile: Profile, now: float, *, drain: bool = False, only: str = "", kept: bool = False
) -> list[Look]:
    """Every device as a place for the model; `only` names a host or a device."""
    return [
        look(view, profile, neuron, now, drain=drain, kept=kept)
        for neuron in view.neurons.values()
        if not only or neuron.is_named(only)
    ]


def nearest_first(profile: Profile, found: Iterable[Look]) -> list[Look]:
    """Devices in the order of how little is missing there: of what is free now, or of what models may take at all."""

    def missing(one: Look) -> tuple[bool, int, str]:
        device = one.neuron.device
        room = device.free_bytes if one.able else device.budget_bytes
        return not one.able, max(0, footprint_on(profile, one.neuron) - room), one.neuron.name

    return sorted(found, key=missing)


def plan(
    view: View, profile: Profile, found: list[Look], *, drain: bool = False, idle: bool = False
) -> Plan | None:
    """The best placement among the devices looked at; `idle`: only where nobody has to leave."""
    usable = [one for one in found if one.victims is not None and not (idle and one.victims)]
    if profile.min_devices == 1:
        best = min(usable, key=lambda one: (one.rank, one.neuron.name), default=None)
        return None if best is None else _plan(view, profile, [best], drain=drain)
    nodes: dict[tuple[str, str], list[Look]] = {}
    for one in usable:
        nodes.setdefault((one.neuron.node, one.neuron.device.kind), []).append(one)
    groups = []
    for members in nodes.values():
        if len(members) >= profile.min_devices:
            cheapest = sorted(members, key=lambda one: (one.rank, one.neuron.name))[: profile.min_devices]
            groups.append(sorted(cheapest, key=lambda one: one.neuron.device.index))
    best_group = min(groups, key=lambda group: [(one.rank, one.neuron.name) for one in group], default=None)
    return None if best_group is None else _plan(view, profile, best_group, drain=drain)


def _plan(view: View, profile: Profile, members: list[Look], *, drain: bool) -> Plan:
    """Parts for the members, and for the other devices of victims that span several."""
    leaving: dict[bytes, list[str]] = {one.neuron.route: [] for one in members}
    where = {one.neuron.route: one.neuron for one in members}
    for one in members:
        for resident in one.victims or ():
            for neuron in view.members(one.neuron, resident.model):
                where[neuron.route] = neuron
                names = leaving.setdefault(neuron.route, [])
                if resident.model not in names:
                    names.append(resident.model)
    loading = {one.neuron.route for one in members}
    parts = tuple(Part(where[route], tuple(names), route in loading) for route, names in leaving.items())
    return Plan(profile.id, parts, drain=drain and any(names for names in leaving.values()))


def could_ever(view: View, profile: Profile) -> tuple[bool, bool]:
    """Whether enough present devices are able to hold it whatever stands there now, and whether departed ones would."""
    here = view.neurons.values()
    present = bool(able_hosts(profile, here))
    return present, present or bool(able_hosts(profile, [*here, *(one for one, _ in view.gone.values())]))


def refusal(view: View, profile: Profile, now: float) -> tuple[Fault, float] | None:
    """Why no device takes the model, in the words of one, and for how many seconds none is asked; None if any may.

    A device that is able to hold it as far as is known here may know better: that its files are not there or are not
    what they should be, that its engine cannot compute it, how large it really is.
    """
    found: list[tuple[float, Fault, Neuron]] = []
    willing: list[Neuron] = []
    for neuron in view.neurons.values():
        why = neuron.refused.get(profile.id)
        until = neuron.shut.get(profile.id, 0.0)
        if why is not None and until > now:
            found.append((until, why, neuron))
        else:
            willing.append(neuron)
    if not found or able_hosts(profile, willing):
        return None
    until, why, _ = min(found, key=lambda one: one[0])
    if len(found) > 1 and all(said.code is Code.DOES_NOT_FIT for _, said, _ in found):
        _, said, largest = max(found, key=lambda one: one[2].device.budget_bytes)
        why = replace(said, message=f"{largest.name} comes nearest: {said.message}")
    return why, until - now


def able_hosts(profile: Profile, neurons: Iterable[Neuron]) -> set[str]:
    """Hosts with enough devices able to hold the model, whatever stands there now. One may be named by two neurons."""
    hosts: dict[str, set[str]] = {}
    for neuron in neurons:
        is_held = profile.id in neuron.models
        if not unable(profile, neuron, footprint_on(profile, neuron), is_held=is_held):
            hosts.setdefault(neuron.node, set()).add(neuron.name)
    return {host for host, devices in hosts.items() if len(devices) >= profile.min_devices}
