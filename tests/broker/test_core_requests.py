"""The broker core, event by event: how requests end, and what happens when its view and a neuron's differ."""

from __future__ import annotations

import pytest
from broker_bench import Bench, fault_code, kinds, session_of, to_edge, to_neuron

from cortex.broker.core import SETTLE
from cortex.broker.events import NeuronUnreachable, ToEdge
from cortex.protocol import messages as m
from cortex.protocol.faults import Code


@pytest.fixture
def bench() -> Bench:
    return Bench()


# ── how requests end ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_edge_hears_who_accepted_and_how_it_ended(bench: Bench) -> None:
    """Accepted and the terminal are relayed with the neuron's session and attachments."""
    bench.join(m=1)
    bench.submit("r")
    (accepted,) = bench.accept("r")
    assert accepted == ToEdge(b"edge", m.Accepted(request="r", attempt=1), (), session_of(b"neuron"))
    finished = m.Finished(request="r", attempt=1, totals=(3,))
    assert bench.from_neuron(finished, payload=(b"vector",)) == [
        ToEdge(b"edge", finished, (b"vector",), session_of(b"neuron"))
    ]
    assert bench.broker.requests.ended == {"finished": 1}


def test_a_call_that_could_not_be_read_is_an_event(bench: Bench) -> None:
    """Operators read which model wrote it, in which request, and how many; calls that were mended are no event."""
    bench.join(m=1)
    for name, calls in (("r1", {"made": 1, "braces": 1}), ("r2", {"malformed": 2})):
        bench.submit(name)
        bench.accept(name)
        bench.from_neuron(m.Finished(request=name, attempt=1, totals=(3,), calls=calls))
    entries = [entry for entry in bench.broker.state.decisions.since(0) if entry.what == "malformed"]
    assert [(entry.subject, entry.reason) for entry in entries] == [
        ("m", "2 of its tool calls could not be read and went out as text, in request r2")
    ]


def test_a_waiting_request_that_is_cancelled_leaves_at_once(bench: Bench) -> None:
    """Nobody is told: the edge knows, and no neuron had it."""
    bench.join(m=1)
    bench.submit("r1")
    bench.submit("r2")
    assert bench.cancel("r2") == []
    assert bench.state("r2") == "gone"


@pytest.mark.parametrize("accepted", [False, True])
def test_a_cancelled_request_keeps_its_slot_until_the_neuron_lets_go(bench: Bench, accepted: bool) -> None:
    """The neuron is told to stop, again with every beat that still names it; its terminal is not passed on."""
    bench.join(m=1)
    bench.submit("r")
    if accepted:
        bench.accept("r")
    assert to_neuron(bench.cancel("r")) == [m.Cancel(request="r", attempt=1)]
    assert bench.state("r") == "cancelling"
    assert bench.cancel("r") == []
    assert to_neuron(bench.beat(live=["r"], after=1.0)) == [m.Cancel(request="r", attempt=1)]
    assert to_edge(bench.finish("r", cancelled=True)) == []
    assert bench.state("r") == "gone"


def test_a_cancelled_request_that_is_refused_just_leaves(bench: Bench) -> None:
    """Busy or not: nobody waits for it any more."""
    bench.join(m=1)
    bench.submit("r")
    bench.cancel("r")
    assert to_edge(bench.refuse("r")) == []
    assert bench.state("r") == "gone"


def test_a_cancellation_that_nobody_asked_for_is_a_retryable_failure(bench: Bench) -> None:
    """A neuron may answer with the end of a stray that it was told to stop earlier; its client is still there."""
    bench.join(m=1)
    bench.submit("r")
    (failed,) = to_edge(bench.finish("r", cancelled=True))
    assert fault_code(failed) is Code.NEURON_LOST


def test_the_next_attempt_abandons_the_one_before(bench: Bench) -> None:
    """An edge that tries again no longer wants the earlier attempt."""
    bench.join(m=2)
    bench.submit("r")
    assert kinds(to_neuron(bench.submit("r", attempt=2))) == ["Cancel", "Generate"]


@pytest.mark.parametrize(("held", "code"), [(True, Code.OVERLOADED), (False, Code.NO_CAPACITY)])
def test_a_deadline_says_what_was_missing(bench: Bench, held: bool, code: Code) -> None:
    """At its deadline a waiter is refused: every replica was busy, or there was none."""
    bench.join(m=1)
    bench.submit("r0")
    if not held:
        bench.ready(version=2, m=0, other=1)
    bench.submit("r", queue_ms=2000)
    assert bench.broker.next_deadline() <= bench.now + 2.0
    assert bench.tick(after=1.9) == []
    (refused,) = to_edge(bench.tick(after=0.1))
    assert fault_code(refused) is code
    assert bench.state("r") == "gone"


def test_an_unknown_model_is_refused_at_once(bench: Bench) -> None:
    """A settled broker knows that nobody holds it."""
    (refused,) = to_edge(bench.submit("r", "nonsense"))
    assert fault_code(refused) is Code.MODEL_NOT_FOUND


def test_an_unsettled_broker_lets_unknown_models_wait() -> None:
    """Until a new broker has run for three beats, a neuron may still announce the model; then it is refused."""
    bench = Bench(settled=False)
    assert kinds(to_edge(bench.submit("r", "nonsense"))) == ["Queued"]
    bench.now = 1.0
    bench.edge_beat()
    (refused,) = to_edge(bench.tick(after=SETTLE - 1.0))
    assert fault_code(refused) is Code.MODEL_NOT_FOUND


def test_a_model_that_was_held_once_is_waited_for(bench: Bench) -> None:
    """Its neuron may come back before the deadline."""
    bench.join(m=1)
    bench.handle(NeuronUnreachable(b"neuron"))
    assert kinds(to_edge(bench.submit("r"))) == ["Queued"]


def test_a_crowd_is_refused(bench: Bench) -> None:
    """The queue is bounded."""
    bench.broker.state.view.policy.max_waiting = 1
    bench.join(m=1)
    for number in range(2):
        bench.submit(f"r{number}")
    (refused,) = to_edge(bench.submit("r2"))
    assert fault_code(refused) is Code.OVERLOADED


# ── views that differ ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_assigned_request_that_its_neuron_never_got_is_served_again(bench: Bench) -> None:
    """Missing from two beats after a while, and not accepted: back to its place, and out again."""
    bench.join(m=1)
    bench.submit("r")
    for _ in range(3):
        assert to_neuron(bench.beat(after=1.0)) == []
    assert kinds(to_neuron(bench.beat(after=1.0))) == ["Generate"]
    assert bench.broker.dropped["lost_frames"] == 1


def test_a_running_request_that_its_neuron_lost_fails(bench: Bench) -> None:
    """Its terminal was lost with a connection: the edge hears a retryable failure."""
    bench.join(m=1)
    bench.submit("r")
    bench.accept("r")
    bench.beat(live=["r"], after=1.0)
    effects = [effect for _ in range(3) for effect in bench.beat(after=1.0)]
    (failed,) = to_edge(effects)
    assert fault_code(failed) is Code.NEURON_LOST


def test_a_beat_of_the_same_turn_proves_nothing(bench: Bench) -> None:
    """While the device's loop stands, its list of live requests is old."""
    bench.join(m=1)
    bench.submit("r")
    bench.beat(turn=5)
    for _ in range(6):
        bench.beat(turn=5, after=1.0)
    assert bench.state("r") == "assigned"


def test_a_stray_is_cancelled_after_a_while(bench: Bench) -> None:
    """Work that no edge claims through this broker is stopped, but not before it could have been claimed."""
    bench.join(m=1)
    for _ in range(5):
        assert to_neuron(bench.beat(live=["stray"], after=1.0)) == []
    assert to_neuron(bench.beat(live=["stray"], after=1.0)) == [m.Cancel(request="stray", attempt=1)]


def test_late_words_of_a_neuron_that_lost_the_request_are_dropped(bench: Bench) -> None:
    """Only the neuron that has the request may speak for it."""
    bench.join(m=1)
    bench.submit("r")
    bench.join(b"other", m=1)
    assert bench.finish("r", b"other") == []
    assert bench.accept("r", b"other") == []
    assert bench.state("r") == "assigned"
    assert bench.broker.dropped["late"] == 2


def test_a_stalled_device_gives_up_its_requests(bench: Bench) -> None:
    """Its edges hear `stalled`; the slots stay taken until it moves; it is served again when it does."""
    neuron = bench.join(m=2)
    bench.submit("r1")
    bench.submit("r2")
    bench.cancel("r2")
    effects = bench.beat(stalled=True, after=1.0)
    assert [fault_code(message) for message in to_edge(effects) if isinstance(message, m.Failed)] == [
        Code.STALLED
    ]
    assert len(neuron.assigned) == 2
    bench.finish("r1", cancelled=True)
    bench.submit("r3")
    assert bench.state("r3") == "waiting"
    assert "Generate" in kinds(to_neuron(bench.beat(live=["r2"], after=1.0)))
