"""The broker's series: every one that is declared is emitted, and says what the core knows."""

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry

from cortex.broker.catalogue import MIB, Catalogue, Profile
from cortex.broker.core import Broker
from cortex.broker.events import Effect, FromEdge, FromNeuron
from cortex.broker.metrics import BrokerMetrics
from cortex.protocol import messages as m
from cortex.protocol.values import Device, Model

SESSION = b"12345678"
WHERE = {"node": "beast", "device": "cuda-1"}


def fleet() -> Broker:
    """Two devices: one request runs, one waits, one message was dropped; a model was loaded in another's place."""
    catalogue = Catalogue(models=(Profile(id="new", source="/new", vram_mb=4, min_residency=0),))
    core = Broker("b", 0.0, catalogue=catalogue)
    device = Device(kind="cuda", index=1, memory_bytes=1000)
    for message in (
        m.Register(node="beast", device=device),
        m.Ready(version=1, device=device, models=(Model(id="m", state="hot", slots=1),)),
        m.StatusQuery(),
    ):
        core.handle(FromNeuron(b"N", SESSION, message), 0.0)
    for name in ("a", "b", "c"):
        core.handle(FromEdge(b"E", SESSION, m.Submit(request=name, attempt=1, model="m")), 0.0)
    core.handle(FromNeuron(b"N", SESSION, m.Accepted(request="a", attempt=1)), 0.0)
    core.handle(FromNeuron(b"N", SESSION, m.Finished(request="a", attempt=1)), 0.0)
    load_in_place_of_another(core)
    return core


def load_in_place_of_another(core: Broker) -> None:
    """A second device lets go of `old` for `new`."""

    def says(message: Struct) -> list[Effect]:
        return core.handle(FromNeuron(b"O", SESSION, message), 0.0)

    def holds(version: int, **sizes: int) -> m.Ready:
        device = Device(kind="cuda", index=2, budget_bytes=5 * MIB, free_bytes=MIB)
        held = tuple(
            Model(id=n, state="hot", slots=1, footprint_bytes=s, load_ms=1500) for n, s in sizes.items()
        )
        return m.Ready(version=version, device=device, models=held)

    says(m.Register(node="beast", device=Device(kind="cuda", index=2)))
    core.state.view.profiles["old"] = Profile(id="old", min_residency=0)
    says(holds(1, old=4 * MIB))
    effects = core.handle(FromEdge(b"E", SESSION, m.Submit(request="d", attempt=1, model="new")), 0.0)
    [place] = [effect.message for effect in effects if isinstance(effect.message, m.Place)]
    assert place.sleep, "who has to leave for another may sleep"
    says(m.Placed(command=place.command, version=2))
    says(holds(2, new=4 * MIB))


def test_waking_is_no_measure_of_loading() -> None:
    """How long it took is told; what a load is expected to take stays what reading took."""
    core = fleet()
    loads = core.state.loads
    loads.durations.clear()
    usage = core.state.view.usage
    assert usage.loads["new"] == 1.5

    def says(message: Struct) -> list[Effect]:
        return core.handle(FromNeuron(b"O", SESSION, message), 0.0)

    device = Device(kind="cuda", index=2, budget_bytes=5 * MIB, free_bytes=5 * MIB)
    asleep = Model(id="new", state="asleep", footprint_bytes=4 * MIB, load_ms=1500)
    says(m.Ready(version=3, device=device, models=(asleep,)))
    effects = core.handle(FromEdge(b"E", SESSION, m.Submit(request="e", attempt=1, model="new")), 0.0)
    [place] = [effect.message for effect in effects if isinstance(effect.message, m.Place)]
    says(m.Placed(command=place.command, version=4))
    hot = msgspec.structs.replace(asleep, state="hot", slots=1, wake_ms=20)
    says(m.Ready(version=4, device=device, models=(hot,)))
    assert loads.durations == [0.02]
    assert usage.loads["new"] == 1.5


def test_every_declared_series_is_emitted() -> None:
    """A series without a sample is a promise that is not kept."""
    registry = CollectorRegistry()
    BrokerMetrics(registry).observe(fleet())
    silent = [family.name for family in registry.collect() if not family.samples]
    assert silent == []


def test_the_figures_are_the_cores() -> None:
    """Load, slots, queue, outcomes and drops."""
    registry = CollectorRegistry()
    metrics, core = BrokerMetrics(registry), fleet()
    metrics.observe(core)
    metrics.observe(core)
    expected = {
        ("cortex_neuron_up", (("device", "cuda-1"), ("node", "beast"))): 1,
        ("cortex_device_memory_bytes", (("device", "cuda-1"), ("node", "beast"))): 1000,
        ("cortex_model_in_flight", (("device", "cuda-1"), ("model", "m"), ("node", "beast"))): 1,
        ("cortex_model_slots", (("device", "cuda-1"), ("model", "m"), ("node", "beast"))): 1,
        ("cortex_queue_depth", (("model", "m"),)): 1,
        ("cortex_edges", ()): 1,
        ("cortex_evictions_total", (("device", "cuda-2"), ("node", "beast"), ("reason", "load"))): 1,
        ("cortex_loads_total", (("model", "new"), ("outcome", "done"))): 1,
        ("cortex_load_seconds_sum", ()): 1.5,
        ("cortex_model_replicas", (("model", "new"),)): 1,
        ("cortex_brokers", ()): 1,
        ("cortex_broker_requests_total", (("outcome", "finished"),)): 1,
        ("cortex_broker_dropped_total", (("reason", "unexpected_from_neuron"),)): 1,
    }
    for (name, labels), value in expected.items():
        assert registry.get_sample_value(name, dict(labels)) == value, name


def test_a_device_that_left_is_shown_as_down() -> None:
    """Its series falls to 0 instead of standing at its last value."""
    registry = CollectorRegistry()
    metrics, core = BrokerMetrics(registry), fleet()
    metrics.observe(core)
    core.tick(10.0)
    metrics.observe(core)
    assert registry.get_sample_value("cortex_neuron_up", WHERE) == 0
