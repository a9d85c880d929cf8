"""The broker's Prometheus series: set from the core's state about once a second, never from the data path."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from cortex.broker.core import Broker

NODE = ("node", "device")
MODEL = (*NODE, "model")


class BrokerMetrics:
    """Every series that a broker exports. Neurons' figures arrive in their heartbeats."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(name, text, labels, registry=registry, multiprocess_mode="mostrecent")

        self._up = gauge("cortex_neuron_up", "1 while the device process is ready, 0 when it is not.", NODE)
        self._stalled = gauge("cortex_neuron_stalled", "1 while the device makes no progress.", NODE)
        self._token_rate = gauge("cortex_neuron_tokens_per_second", "Tokens generated per second.", NODE)
        self._memory = gauge("cortex_device_memory_bytes", "Memory of the device.", NODE)
        self._in_flight = gauge("cortex_model_in_flight", "Requests that the broker has placed here.", MODEL)
        self._slots = gauge("cortex_model_slots", "Requests that the replica runs at once.", MODEL)
        self._queue = gauge("cortex_queue_depth", "Requests that wait for a replica.", ("model",))
        self._edges = gauge("cortex_edges", "Edge workers connected.")
        self._ended = Counter(
            "cortex_broker_requests", "How attempts ended.", ("outcome",), registry=registry
        )
        self._dropped = Counter(
            "cortex_broker_dropped", "Messages dropped, by reason.", ("reason",), registry=registry
        )
        self._counted: dict[tuple[str, str], int] = {}
        self._shown: set[tuple[str, str]] = set()

    def observe(self, core: Broker) -> None:
        """Bring every series up to date."""
        present = set()
        for neuron in core.neurons.values():
            where = (neuron.node, f"{neuron.device.kind}-{neuron.device.index}")
            present.add(where)
            self._up.labels(*where).set(neuron.state == "ready")
            self._stalled.labels(*where).set(neuron.stalled)
            self._token_rate.labels(*where).set(neuron.tokens_per_s)
            self._memory.labels(*where).set(neuron.device.memory_bytes)
            for model in neuron.models.values():
                self._in_flight.labels(*where, model.id).set(neuron.load[model.id])
                self._slots.labels(*where, model.id).set(model.slots)
        for where in self._shown - present:
            self._up.labels(*where).set(0)
            self._token_rate.labels(*where).set(0)
        self._shown |= present
        for model_id in core.state.view.known:
            self._queue.labels(model_id).set(sum(1 for _ in core.requests.waiting.keys(model_id)))
        self._edges.set(len(core.edges))
        self._add(self._ended, "ended", core.requests.ended)
        self._add(self._dropped, "dropped", core.dropped)

    def _add(self, counter: Counter, family: str, totals: dict[str, int]) -> None:
        for label, total in totals.items():
            before = self._counted.get((family, label), 0)
            if total > before:
                counter.labels(label).inc(total - before)
                self._counted[family, label] = total
