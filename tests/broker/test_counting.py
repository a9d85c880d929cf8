"""Counts through the broker: who is asked, who is believed, and that nothing is remembered."""

from __future__ import annotations

from broker_bench import PROMPT, Bench, fault_code, models, session_of

from cortex.broker.catalogue import Catalogue, Profile
from cortex.broker.events import NeuronUnreachable, ToEdge, ToNeuron
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Device

NOT_JSON = Fault(code=Code.INVALID_REQUEST, message="no", param="tools")


def join(bench: Bench, route: bytes = b"neuron", counter: bytes = b"counter", **slots: int) -> None:
    device = Device(kind="sim", memory_bytes=2**30, budget_bytes=2**30)
    bench.from_neuron(m.Register(node=route.decode(), device=device, counter=counter), route)
    bench.from_neuron(m.Ready(version=1, device=device, models=models(**slots)), route)


def ask(bench: Bench, model: str = "m") -> list[object]:
    return bench.from_edge(m.Submit(request="c", attempt=1, model=model, operation="count"), payload=PROMPT)


def answer(
    bench: Bench, *, counter: bytes = b"counter", neuron: bytes = b"neuron", **said: object
) -> list[object]:
    tallied = m.Tallied(request="c", attempt=1, edge=b"edge", **said)
    return bench.from_neuron(tallied, counter, session=session_of(neuron))


def test_a_count_there_and_its_figure_back() -> None:
    """It takes no slot and no place, however full the neuron is, and leaves nothing behind."""
    bench = Bench()
    join(bench, m=1)
    bench.submit("r1")
    bench.submit("r2")
    assert ask(bench) == [
        ToNeuron(b"counter", m.Tally(request="c", attempt=1, edge=b"edge", model="m"), PROMPT)
    ]
    assert set(bench.broker.requests.live) == {("r1", 1), ("r2", 1)}
    assert answer(bench, tokens=5) == [
        ToEdge(b"edge", m.Counted(request="c", attempt=1, tokens=5), (), session_of(b"neuron"))
    ]


def test_an_estimate_stays_one() -> None:
    """A counter that had no time to count all of it says so."""
    bench = Bench()
    join(bench, m=1)
    ask(bench)
    [effect] = answer(bench, tokens=5, estimated=True)
    assert effect.message == m.Counted(request="c", attempt=1, tokens=5, estimated=True)


def test_a_fault_is_passed_on() -> None:
    """As a refusal, which ends it."""
    bench = Bench()
    join(bench, m=1)
    ask(bench)
    [effect] = answer(bench, fault=NOT_JSON)
    assert effect.message == m.Refused(request="c", attempt=1, fault=NOT_JSON)


def test_who_is_asked() -> None:
    """A neuron that holds the model, hot before cold; else one whose host could load it, with the source; else nobody."""
    bench = Bench()
    join(bench, b"deaf", counter=b"", m=1)
    join(bench, b"cold", b"cold-counter", m=0)
    join(bench, b"hot", b"hot-counter", m=1)
    [asked] = ask(bench)
    assert asked.route == b"hot-counter"
    [refused] = ask(bench, "other")
    assert fault_code(refused.message) is Code.NO_CAPACITY
    bench.broker.use_catalogue(
        Catalogue(models=(Profile(id="other", source="/x", affinity=("cold",)),)), bench.now
    )
    [*_, asked] = ask(bench, "other")
    assert (asked.route, asked.message.source) == (b"cold-counter", "/x")
    bench.beat(b"hot", stalled=True)
    assert ask(bench)[0].route == b"cold-counter"


def test_strangers_are_not_believed() -> None:
    """Neither a route that no neuron named, nor another session; and who has left hears nothing."""
    bench = Bench()
    join(bench, m=1)
    ask(bench)
    assert answer(bench, counter=b"stranger", tokens=5) == []
    assert answer(bench, neuron=b"another", tokens=5) == []
    assert bench.broker.dropped["unregistered_counter"] == 2
    bench.broker.edgeside.lose(b"edge", bench.now)
    assert answer(bench, tokens=5) == []


def test_a_counter_that_is_not_there() -> None:
    """Nothing happens to its neuron: the edge estimates."""
    bench = Bench()
    join(bench, m=1)
    ask(bench)
    assert bench.handle(NeuronUnreachable(b"counter")) == []
    assert b"neuron" in bench.broker.neurons
