"""The broker's Prometheus series: set from the core's state about once a second, never from the data path."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cortex.broker.core import Broker
from cortex.broker.fleet import Neuron

NODE = ("node", "device")
MODEL = (*NODE, "model")
LOAD_SECONDS = (0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300, 600, 1200)


class BrokerMetrics:
    """Every series that a broker exports. Neurons' figures arrive in their heartbeats."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(name, text, labels, registry=registry, multiprocess_mode="mostrecent")

        def counter(name: str, text: str, labels: tuple[str, ...]) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._up = gauge("cortex_neuron_up", "1 while the device process is ready, 0 when it is not.", NODE)
        self._stalled = gauge("cortex_neuron_stalled", "1 while the device makes no progress.", NODE)
        self._drained = gauge("cortex_neuron_drained", "1 while the device takes nothing new.", NODE)
        self._cycles = gauge("cortex_neuron_load_cycles", "Loads since the device process began.", NODE)
        self._token_rate = gauge("cortex_neuron_tokens_per_second", "Tokens generated per second.", NODE)
        self._memory = gauge("cortex_device_memory_bytes", "Memory of the device.", NODE)
        self._budget = gauge("cortex_device_budget_bytes", "Memory that models may take altogether.", NODE)
        self._free = gauge("cortex_device_free_bytes", "Memory that another model could be given now.", NODE)
        self._in_flight = gauge("cortex_model_in_flight", "Requests that the broker has placed here.", MODEL)
        self._slots = gauge("cortex_model_slots", "Requests that the replica runs at once.", MODEL)
        self._replicas = gauge("cortex_model_replicas", "Replicas that are hot or loading.", ("model",))
        self._queue = gauge("cortex_queue_depth", "Requests that wait for a replica.", ("model",))
        self._edges = gauge("cortex_edges", "Edge workers connected.")
        self._brokers = gauge("cortex_brokers", "Brokers of the mesh that live, this one among them.")
        self._ended = counter("cortex_broker_requests", "How attempts ended.", ("outcome",))
        self._dropped = counter("cortex_broker_dropped", "Messages dropped, by reason.", ("reason",))
        self._evictions = counter("cortex_evictions", "Models that devices let go.", (*NODE, "reason"))
        self._loads = counter(
            "cortex_loads", "Loads that were ordered, by how they ended.", ("model", "outcome")
        )
        self._load_seconds = Histogram(
            "cortex_load_seconds",
            "How long loads took that ended well.",
            buckets=LOAD_SECONDS,
            registry=registry,
        )
        self._counted: dict[tuple[str, Hashable], int] = {}
        self._of_device = (
            self._up, self._stalled, self._drained, self._cycles, self._token_rate, self._memory, self._budget, self._free,
        )  # fmt: skip
        self._shown: set[tuple[str, str]] = set()
        self._held: set[tuple[str, str, str]] = set()
        """Places that were ever told of: a series that is not set falls to 0, and never stands at its last value."""
        self._models: set[str] = set()

    def observe(self, core: Broker) -> None:
        """Bring every series up to date."""
        state = core.state
        present = {self._observe_neuron(neuron) for neuron in core.neurons.values()}
        for where in self._shown - present:
            for device_gauge in self._of_device:
                device_gauge.labels(*where).set(0)
        self._shown |= present
        held = {
            (*_device(one.name), model.id): (one.load[model.id], model.slots if model.state == "hot" else 0)
            for one in core.neurons.values()
            for model in one.models.values()
        }
        for place in self._held | held.keys():
            running, slots = held.get(place, (0, 0))
            self._in_flight.labels(*place).set(running)
            self._slots.labels(*place).set(slots)
        self._held = held.keys() | self._held
        self._models |= state.view.known | state.view.profiles.keys()
        for model in self._models:
            self._queue.labels(model).set(core.requests.waiting.count(model))
            self._replicas.labels(model).set(state.view.copies(model))
        self._edges.set(len(core.edges))
        self._brokers.set(len(state.mesh.live))
        self._add(self._ended, "ended", {(outcome,): n for outcome, n in core.requests.ended.items()})
        self._add(self._dropped, "dropped", {(reason,): n for reason, n in core.dropped.items()})
        self._add(self._loads, "loads", state.loads.ended)
        evictions = {(*_device(name), reason): n for (name, reason), n in state.loads.evicted.items()}
        self._add(self._evictions, "evictions", evictions)
        for seconds in state.loads.durations:
            self._load_seconds.observe(seconds)
        state.loads.durations.clear()

    def _observe_neuron(self, neuron: Neuron) -> tuple[str, str]:
        where = _device(neuron.name)
        self._up.labels(*where).set(neuron.state == "ready")
        self._stalled.labels(*where).set(neuron.stalled)
        self._drained.labels(*where).set(neuron.drained)
        self._cycles.labels(*where).set(neuron.cycles)
        self._token_rate.labels(*where).set(neuron.tokens_per_s)
        self._memory.labels(*where).set(neuron.device.memory_bytes)
        self._budget.labels(*where).set(neuron.device.budget_bytes)
        self._free.labels(*where).set(neuron.device.free_bytes)
        return where

    def _add(self, counter: Counter, family: str, totals: Mapping[Any, int]) -> None:
        for labels, total in totals.items():
            before = self._counted.get((family, labels), 0)
            if total > before:
                counter.labels(*labels).inc(total - before)
                self._counted[family, labels] = total


def _device(name: str) -> tuple[str, str]:
    """NODE/KIND-INDEX as two labels; a node's own name may hold slashes."""
    node, _, device = name.rpartition("/")
    return node, device
