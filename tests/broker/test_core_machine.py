"""The core under arbitrary interleavings: two neurons, two edges, two models, `check()` after everything."""

from __future__ import annotations

from broker_bench import BUSY, Bench, models
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cortex.broker.events import EdgeUnreachable, NeuronUnreachable
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault

NEURONS = st.sampled_from([b"neuron-1", b"neuron-2"])
EDGES = st.sampled_from([b"edge-1", b"edge-2"])
MODELS = st.sampled_from(["a", "b", "unheard-of"])
SLOTS = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 2), max_size=2)
REQUESTS = st.sampled_from(["r1", "r2", "r3", "r4"])
ATTEMPTS = st.integers(1, 2)


class CoreMachine(RuleBasedStateMachine):
    """Anybody may say anything at any time; every event and tick of the bench runs `check()`."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(settled=False)

    @rule(route=NEURONS, session=st.sampled_from([b"", b"reborn!!"]))
    def register(self, route: bytes, session: bytes) -> None:
        self.bench.register(route, session)

    @rule(route=NEURONS, version=st.integers(0, 3), slots=SLOTS)
    def ready(self, route: bytes, version: int, slots: dict[str, int]) -> None:
        self.bench.ready(route, version, **slots)

    @rule(route=NEURONS, stalled=st.booleans(), named=st.sets(REQUESTS))
    def beat(self, route: bytes, stalled: bool, named: set[str]) -> None:
        self.bench.beat(route, stalled=stalled, live=sorted(named))

    @rule(route=NEURONS)
    def beat_truly(self, route: bytes) -> None:
        """Name exactly what the broker believes."""
        known = self.bench.broker.neurons.get(route)
        self.bench.beat(route, live=[name for name, _ in known.assigned] if known is not None else [])

    @rule(
        route=EDGES,
        request=REQUESTS,
        attempt=ATTEMPTS,
        model=MODELS,
        queue_ms=st.sampled_from([0, 2000, 9000]),
    )
    def submit(self, route: bytes, request: str, attempt: int, model: str, queue_ms: int) -> None:
        self.bench.submit(request, model, attempt=attempt, route=route, queue_ms=queue_ms)

    @rule(route=EDGES, request=REQUESTS, attempt=ATTEMPTS)
    def cancel(self, route: bytes, request: str, attempt: int) -> None:
        self.bench.from_edge(m.Cancel(request=request, attempt=attempt), route)

    @rule(route=EDGES, request=REQUESTS, attempt=ATTEMPTS)
    def query(self, route: bytes, request: str, attempt: int) -> None:
        self.bench.from_edge(m.Query(request=request, attempt=attempt), route)

    @rule(route=EDGES, catalogue=st.integers(-1, 3))
    def edge_beat(self, route: bytes, catalogue: int) -> None:
        self.bench.edge_beat(catalogue, route)

    @rule(route=NEURONS, request=REQUESTS, attempt=ATTEMPTS)
    def accept(self, route: bytes, request: str, attempt: int) -> None:
        self.bench.from_neuron(m.Accepted(request=request, attempt=attempt), route)

    @rule(
        route=NEURONS,
        request=REQUESTS,
        attempt=ATTEMPTS,
        slots=SLOTS,
        fault=st.sampled_from([BUSY, Fault(code=Code.DRAINING, message="leaving")]),
    )
    def refuse(self, route: bytes, request: str, attempt: int, slots: dict[str, int], fault: Fault) -> None:
        truth = models(**slots)
        self.bench.from_neuron(m.Refused(request=request, attempt=attempt, fault=fault, models=truth), route)

    @precondition(lambda self: any(one.assigned for one in self.bench.broker.neurons.values()))
    @rule(data=st.data(), way=st.sampled_from(["accept", "refuse", "finish", "cancelled"]))
    def answer(self, data: st.DataObject, way: str) -> None:
        """What a neuron has is likelier to be answered than anything else."""
        held = [(one, key) for one in self.bench.broker.neurons.values() for key in one.assigned]
        neuron, (request, attempt) = data.draw(st.sampled_from(held))
        messages = {
            "accept": m.Accepted(request=request, attempt=attempt),
            "refuse": m.Refused(request=request, attempt=attempt, fault=BUSY),
            "finish": m.Finished(request=request, attempt=attempt),
            "cancelled": m.Finished(request=request, attempt=attempt, cancelled=True),
        }
        self.bench.from_neuron(messages[way], neuron.route, session=neuron.session)

    @rule(route=NEURONS)
    def lose_neuron(self, route: bytes) -> None:
        self.bench.handle(NeuronUnreachable(route))

    @rule(route=EDGES)
    def lose_edge(self, route: bytes) -> None:
        self.bench.handle(EdgeUnreachable(route))

    @rule(after=st.sampled_from([0.1, 1.0, 3.0]))
    def time_passes(self, after: float) -> None:
        self.bench.tick(after)

    @invariant()
    def nothing_due_is_left(self) -> None:
        """After a tick the next deadline lies ahead, or the rim would spin."""
        self.bench.tick()
        due = self.bench.broker.next_deadline()
        assert due is None or due > self.bench.now


TestCore = CoreMachine.TestCase
TestCore.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
