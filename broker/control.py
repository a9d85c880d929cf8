"""Answers to an operator, as pure queries on the core."""

from __future__ import annotations

from importlib import metadata

from cortex.broker.core import Broker
from cortex.broker.fleet import Neuron
from cortex.protocol.messages import NeuronStatus, Status
from cortex.protocol.values import Device

FORGET_GONE = 600.0
"""Seconds for which a neuron that left is still shown."""


def status(core: Broker, now: float, expected: tuple[str, ...] = ()) -> Status:
    """The fleet as this broker sees it; hosts that are expected and were never heard are shown as absent."""
    present = [describe(neuron, now) for neuron in core.neurons.values()]
    back = {neuron.name for neuron in core.neurons.values() if neuron.state == "ready"}
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
    requests = core.requests
    return Status(
        broker=core.name,
        version=metadata.version("cortex-mesh"),
        uptime_s=int(now - core.started),
        neurons=tuple(sorted((*present, *gone, *absent), key=lambda n: (n.node, n.device.index, n.state))),
        edges=len(core.edges),
        running=len(requests.live) - len(requests.waiting),
        waiting=len(requests.waiting),
        served=requests.ended["finished"],
        dropped=dict(core.dropped),
    )


def describe(neuron: Neuron, now: float, *, gone: bool = False) -> NeuronStatus:
    """One neuron's line."""
    state = "gone" if gone else "stalled" if neuron.stalled else neuron.state
    return NeuronStatus(
        node=neuron.node,
        device=neuron.device,
        state=state,
        phase="" if gone else neuron.phase,
        detail=neuron.detail,
        seen_ms=max(0, int(1000 * (now - neuron.seen))),
        load={} if gone else dict(neuron.load),
        models=() if gone else tuple(neuron.models.values()),
        tokens_per_s=0.0 if gone else round(neuron.tokens_per_s, 1),
    )
