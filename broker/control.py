"""Answers to an operator, as pure queries on the core."""

from __future__ import annotations

from importlib import metadata

from cortex.broker.core import Broker
from cortex.broker.decisions import Entry
from cortex.broker.fleet import Neuron
from cortex.broker.mesh import described
from cortex.broker.placement import refusal
from cortex.broker.view import FORGET_GONE, View
from cortex.protocol.messages import (
    CatalogueEntry,
    Decision,
    Events,
    Models,
    ModelStatus,
    NeuronStatus,
    Status,
)
from cortex.protocol.values import Device


def status(core: Broker, now: float, expected: tuple[str, ...] = ()) -> Status:
    """The fleet as this broker sees it; hosts that are expected and were never heard are shown as absent."""
    present = [describe(neuron, now) for neuron in core.neurons.values()]
    back = {neuron.name for neuron in core.neurons.values()}
    gone = [
        describe(neuron, now, gone=True)
        for name, (neuron, at) in core.gone.items()
        if name not in back and now - at < FORGET_GONE
    ]
    hosts = {entry.node for entry in (*present, *gone)}
    absent = [
        NeuronStatus(node=name, device=Device(kind="cpu"), state="absent")
        for name in expected
        if name not in hosts
    ]
    here = described(core.beat(), "here")
    return Status(
        broker=core.name,
        version=metadata.version("cortex-mesh"),
        uptime_s=int(now - core.started),
        neurons=tuple(sorted((*present, *gone, *absent), key=lambda n: (n.node, n.device.index, n.state))),
        edges=len(core.edges),
        running=here.running,
        waiting=here.waiting,
        served=here.served,
        dropped=dict(core.dropped),
        brokers=(here, *core.state.mesh.statuses()),
    )


def describe(neuron: Neuron, now: float, *, gone: bool = False) -> NeuronStatus:
    """One neuron's line. Its load counts the requests of all brokers."""
    state = "gone" if gone else "stalled" if neuron.stalled else neuron.state
    load = {name: count for name in neuron.models if (count := neuron.in_hand(name))}
    return NeuronStatus(
        node=neuron.node,
        device=neuron.device,
        state=state,
        phase="" if gone else neuron.phase,
        detail=neuron.detail,
        seen_ms=max(0, int(1000 * (now - neuron.seen))),
        load={} if gone else load,
        models=() if gone else tuple(neuron.models.values()),
        tokens_per_s=0.0 if gone else round(neuron.tokens_per_s, 1),
        drained=neuron.drained,
        cycles=neuron.cycles,
        evictions=neuron.evictions,
    )


def models(core: Broker, now: float) -> Models:
    """Everything that can be asked for."""
    state = core.state
    return Models(models=tuple(_model(core, entry, now) for entry in state.listed), names=state.names)


def _model(core: Broker, entry: CatalogueEntry, now: float) -> ModelStatus:
    state, view = core.state, core.state.view
    profile, holders = view.profile(entry.id), view.holders.get(entry.id, {}).values()
    underway, failure = view.underway(entry.id), view.failures.get(entry.id)
    if underway is not None:
        detail = underway.detail
    elif failure is not None or entry.state == "failed":
        detail = view.trouble(entry.id)
    else:
        held = (neuron.models[entry.id] for neuron in holders)
        detail = next((one.detail for one in held if one.state == "hot" and one.detail), "")
    return ModelStatus(
        entry=entry,
        owner=state.mesh.owner_of(entry.id),
        priority=profile.priority,
        pinned=profile.pinned or any(neuron.models[entry.id].pinned for neuron in holders),
        footprint_bytes=profile.footprint_bytes * profile.min_devices
        or max((neuron.models[entry.id].footprint_bytes for neuron in holders), default=0),
        replicas=view.copies(entry.id),
        running=sum(neuron.in_hand(entry.id) for neuron in holders),
        waiting=core.requests.waiting.count(entry.id),
        percent=underway.percent if underway is not None else 0,
        detail=detail,
        retry_ms=int(1000 * _pause(view, entry.id, now)),
    )


def _pause(view: View, model: str, now: float) -> float:
    """Seconds for which no load of it is tried, after what went wrong."""
    failure = view.failures.get(model)
    if failure is not None:
        return max(0.0, failure.until - now)
    refused = refusal(view, view.profile(model), now) if model in view.refused else None
    return refused[1] if refused is not None else 0.0


def events(core: Broker, since: int, wall_offset: float) -> Events:
    """Decisions after a number. `wall_offset` turns the core's time into seconds since 1970."""
    found = core.state.decisions.since(since)[:1000]
    number = found[-1].number if found else min(since, core.state.decisions.last)
    return Events(events=tuple(_decision(entry, wall_offset) for entry in found), next=number)


def _decision(entry: Entry, wall_offset: float) -> Decision:
    at = int(1000 * (entry.at + wall_offset))
    return Decision(
        number=entry.number, at_ms=at, what=entry.what, subject=entry.subject, reason=entry.reason
    )
