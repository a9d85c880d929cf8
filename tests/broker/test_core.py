"""The broker core, event by event: who is there, who serves, who is told what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from broker_bench import PROMPT, Bench, fault_code, kinds, models, session_of, to_edge, to_neuron
from msgspec import Struct

from cortex.broker.events import EdgeUnreachable, FromEdge, FromNeuron, NeuronUnreachable
from cortex.broker.neuronside import WELCOME
from cortex.protocol import liveness
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Device


@pytest.fixture
def bench() -> Bench:
    return Bench()


# ── who is there ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_neuron_registers_becomes_ready_and_beats(bench: Bench) -> None:
    """A device process introduces itself, says what it holds, and its beats are noted."""
    assert to_neuron(bench.register()) == [WELCOME]
    bench.ready(m=2)
    neuron = bench.broker.neurons[b"neuron"]
    assert (neuron.state, neuron.free("m")) == ("ready", 2)
    bench.beat(turn=7, after=1.0)
    assert (neuron.turn, neuron.seen) == (7, bench.now)


def test_a_stranger_is_told_to_register_through_its_device(bench: Bench) -> None:
    """The answer to an unknown heartbeat goes to the device's route, never to the pulse."""
    effects = bench.beat()
    assert to_neuron(effects, b"neuron") == [m.RegisterAgain()]
    assert len(effects) == 1


def test_another_session_on_a_known_route_is_a_stranger(bench: Bench) -> None:
    """A message with an old session changes nothing and is told to register."""
    bench.join(m=1)
    bench.submit("r")
    assert to_neuron(bench.from_neuron(m.Accepted(request="r", attempt=1), session=b"previous")) == [
        m.RegisterAgain()
    ]
    assert bench.state("r") == "assigned"


def test_a_neuron_is_gone_after_three_missed_beats(bench: Bench) -> None:
    """Silence of three intervals removes it, not a moment less, and the broker asks to be woken by then."""
    bench.join(m=1)
    assert bench.broker.next_deadline() <= bench.now + 3.0
    bench.tick(after=2.99)
    assert b"neuron" in bench.broker.neurons
    bench.tick(after=0.01)
    assert b"neuron" not in bench.broker.neurons
    assert "neuron/sim-0" in bench.broker.gone


def test_nobody_there_means_no_deadline(bench: Bench) -> None:
    """A broker without peers and requests need not be woken."""
    assert bench.broker.next_deadline() is None


def test_what_a_lost_neuron_had_returns_or_fails(bench: Bench) -> None:
    """Its assigned requests wait again, ahead of all who came later; its running ones fail retryably."""
    bench.join(m=3)
    for request in ("running", "first", "second"):
        bench.submit(request)
    bench.accept("running")
    bench.submit("later")
    effects = bench.handle(NeuronUnreachable(b"neuron"))
    assert [bench.state(request) for request in ("running", "first", "second")] == [
        "gone",
        "waiting",
        "waiting",
    ]
    assert list(bench.broker.requests.waiting.keys("m")) == [("first", 1), ("second", 1), ("later", 1)]
    (failed,) = [message for message in to_edge(effects) if isinstance(message, m.Failed)]
    assert failed.fault.code is Code.NEURON_LOST
    assert failed.fault.retryable


def test_a_goodbye_is_believed_at_once(bench: Bench) -> None:
    """A neuron that leaves on purpose is gone without missed beats."""
    bench.join(m=1)
    bench.from_neuron(m.Goodbye())
    assert not bench.broker.neurons


def test_a_new_process_on_an_old_route_replaces_it(bench: Bench) -> None:
    """Registering with a new session loses the old incarnation and what it had."""
    bench.join(m=1)
    bench.submit("r")
    bench.register(session=b"reborn!!")
    assert bench.state("r") == "waiting"
    assert bench.broker.neurons[b"neuron"].session == b"reborn!!"


def test_a_namesake_is_asked_whether_it_still_lives(bench: Bench) -> None:
    """A device that died and came back under a new route: the message to the old one finds it gone at once."""
    bench.join(m=1)
    register = m.Register(node="neuron", device=Device(kind="sim"))
    effects = bench.from_neuron(register, b"again", session=b"reborn!!")
    assert to_neuron(effects, b"neuron") == [WELCOME]
    bench.broker.handle(NeuronUnreachable(b"neuron"), bench.now)
    assert list(bench.broker.neurons) == [b"again"]


def test_a_process_that_calls_anew_is_one_device(bench: Bench) -> None:
    """It heard nothing and comes under another route: what it was and what it had there is lost at once."""
    bench.join(m=1)
    bench.submit("r")
    register = m.Register(node="neuron", device=Device(kind="sim"))
    effects = bench.from_neuron(register, b"again", session=session_of(b"neuron"))
    assert to_neuron(effects, b"again") == [WELCOME]
    assert list(bench.broker.neurons) == [b"again"]
    assert bench.state("r") == "waiting"


def test_registering_twice_keeps_what_is_known(bench: Bench) -> None:
    """The same process may register again, as after a new connection, and loses nothing."""
    bench.join(m=1)
    bench.submit("r")
    bench.register()
    assert bench.state("r") == "assigned"


def test_a_restarted_broker_learns_the_fleet_back(bench: Bench) -> None:
    """An empty broker asks whoever beats to register, and then serves who waited meanwhile."""
    fresh = Bench(settled=False)
    assert kinds(to_edge(fresh.submit("r"))) == ["Queued"]
    assert to_neuron(fresh.beat()) == [m.RegisterAgain()]
    fresh.register()
    assert kinds(to_neuron(fresh.ready(m=1))) == ["Generate"]


def test_an_older_word_on_residency_is_ignored(bench: Bench) -> None:
    """A neuron's versions only rise."""
    neuron = bench.join(m=2)
    bench.ready(version=0, m=5)
    assert neuron.models["m"].slots == 2


# ── who serves ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_carries_its_prompt_to_a_neuron(bench: Bench) -> None:
    """The prompt goes along unread, with the edge's route and the time already waited."""
    bench.broker.state.view.known.add("m")
    bench.submit("r")
    bench.now += 0.5
    bench.register()
    (effect,) = [effect for effect in bench.ready(m=1) if isinstance(effect.message, m.Generate)]
    assert effect.payload == PROMPT
    assert effect.message == m.Generate(request="r", attempt=1, edge=b"edge", model="m", wait_ms=500)


def test_the_least_loaded_replica_serves(bench: Bench) -> None:
    """The smallest share of taken slots wins, and among equals the one that was used least."""
    bench.join(b"small", m=1)
    bench.join(b"large", m=4)
    for number in range(5):
        bench.submit(f"r{number}")
    loads = {route: len(neuron.assigned) for route, neuron in bench.broker.neurons.items()}
    assert loads == {b"small": 1, b"large": 4}
    assert kinds(to_edge(bench.submit("r5"))) == ["Queued"]


@pytest.mark.parametrize("obstacle", ["registered", "stalled", "cold", "elsewhere"])
def test_only_a_ready_neuron_with_the_model_hot_serves(bench: Bench, obstacle: str) -> None:
    """A neuron that only registered, stalls, or holds the model cold is not given anything."""
    bench.broker.state.view.known.add("m")
    bench.register()
    if obstacle == "stalled":
        bench.ready(m=1)
        bench.beat(stalled=True)
    elif obstacle == "cold":
        cold = m.Ready(version=1, device=bench.broker.neurons[b"neuron"].device, models=(*models(m=0),))
        bench.from_neuron(cold)
    elif obstacle == "elsewhere":
        bench.ready(other=1)
    assert kinds(to_edge(bench.submit("r"))) == ["Queued"]
    assert bench.state("r") == "waiting"


def test_a_busy_refusal_returns_to_its_place_and_does_not_spin(bench: Bench) -> None:
    """Refused requests wait again in order of arrival, untried until the neuron's next word."""
    bench.join(m=2)
    bench.submit("first")
    bench.submit("second")
    assert not to_neuron(bench.refuse("first"))
    assert not to_neuron(bench.refuse("second"))
    assert list(bench.broker.requests.waiting.keys("m")) == [("first", 1), ("second", 1)]
    assert kinds(to_neuron(bench.beat(after=1.0))) == ["Generate", "Generate"]


def test_refusals_for_two_models_do_not_wake_each_other(bench: Bench) -> None:
    """A refusal for one model does not make the broker try the other one again."""
    bench.join(a=1, b=1)
    bench.submit("for-a", "a")
    bench.submit("for-b", "b")
    assert not to_neuron(bench.refuse("for-a", truth=models(a=1, b=1)))
    assert not to_neuron(bench.refuse("for-b", truth=models(a=1, b=1)))


def test_a_refusal_carries_the_truth(bench: Bench) -> None:
    """What a refusing neuron says it holds is believed, put in the catalogue, and used at once."""
    neuron = bench.join(m=1)
    bench.submit("r")
    bench.edge_beat()
    effects = bench.refuse("r", truth=models(m=1, news=2))
    assert neuron.free("news") == 2
    welcome, queued = to_edge(effects)
    assert queued == m.Queued(request="r", attempt=1)
    assert isinstance(welcome, m.Welcome)
    assert [entry.id for entry in welcome.models or ()] == ["m", "news"]


def test_a_refusal_for_another_reason_ends_the_request(bench: Bench) -> None:
    """Only `busy` is tried elsewhere; anything else is the answer."""
    bench.join(m=1)
    bench.submit("r")
    (refused,) = to_edge(
        bench.refuse("r", fault=Fault(code=Code.CONTEXT_LENGTH_EXCEEDED, message="too long"))
    )
    assert fault_code(refused) is Code.CONTEXT_LENGTH_EXCEEDED
    assert bench.state("r") == "gone"


WAYS_OUT: dict[str, Callable[[Bench], object]] = {
    "finished": lambda bench: bench.finish("r"),
    "failed": lambda bench: bench.fail("r"),
    "refused": lambda bench: bench.refuse("r", fault=Fault(code=Code.INVALID_REQUEST, message="no")),
    "cancelled": lambda bench: (bench.cancel("r"), bench.finish("r", cancelled=True)),
    "edge lost": lambda bench: (bench.handle(EdgeUnreachable(b"edge")), bench.finish("r", cancelled=True)),
}


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("way", WAYS_OUT)
def test_every_way_out_gives_the_slot_to_the_next(bench: Bench, way: str, accepted: bool) -> None:
    """Whichever way a request ends, its slot serves who waits."""
    bench.join(m=1)
    bench.submit("r")
    bench.submit("next", route=b"edge-2")
    if accepted:
        bench.accept("r")
    WAYS_OUT[way](bench)
    assert bench.state("r") == "gone"
    assert bench.state("next") == "assigned"


# ── edges ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_first_beat_is_answered_with_the_catalogue(bench: Bench) -> None:
    """A new edge learns every model; one that has the latest catalogue is only greeted."""
    bench.join(m=1)
    (welcome,) = to_edge(bench.edge_beat())
    assert isinstance(welcome, m.Welcome)
    assert [(entry.id, entry.loaded) for entry in welcome.models or ()] == [("m", True)]
    assert to_edge(bench.edge_beat(catalogue=welcome.catalogue)) == [
        m.Welcome(broker="broker-0", catalogue=welcome.catalogue, neurons=1, settled=False)
    ]
    for _ in range(4):
        bench.beat(after=1.0)
        bench.tick()
        (later,) = to_edge(bench.edge_beat(catalogue=welcome.catalogue))
    assert later.settled, "every neuron has had the time to announce itself"


def test_a_change_of_the_catalogue_is_pushed(bench: Bench) -> None:
    """Edges hear at once what came and what went, once per change."""
    bench.edge_beat()
    bench.register()
    (came,) = to_edge(bench.ready(m=1))
    assert to_edge(bench.ready(m=1)) == []
    (went,) = to_edge(bench.handle(NeuronUnreachable(b"neuron")))
    assert isinstance(came, m.Welcome)
    assert isinstance(went, m.Welcome)
    assert came.models is not None
    assert came.models[0].loaded
    assert went.models is not None
    assert not went.models[0].loaded


def test_the_number_of_another_brokers_catalogue_is_not_believed(bench: Bench) -> None:
    """A broker that restarted counts anew: an edge's number may be the same by chance."""
    bench.join(m=1)
    (welcome,) = to_edge(bench.edge_beat(catalogue=bench.broker.state.listing_version))
    assert isinstance(welcome, m.Welcome)
    assert welcome.models


def test_a_lost_edge_frees_what_it_had(bench: Bench) -> None:
    """Its waiting requests leave, its running ones are cancelled, and nobody is told."""
    bench.join(m=1)
    bench.submit("r1")
    bench.submit("r2")
    effects = bench.handle(EdgeUnreachable(b"edge"))
    assert len(effects) == 1
    assert to_neuron(effects) == [m.Cancel(request="r1", attempt=1)]
    assert (bench.state("r1"), bench.state("r2")) == ("cancelling", "gone")


def test_a_silent_edge_is_gone_after_three_missed_beats(bench: Bench) -> None:
    """An edge that stops beating is lost, and one with a new session on its route replaces it."""
    bench.edge_beat()
    bench.tick(after=liveness.EXPIRY)
    assert not bench.broker.edges
    bench.submit("r")
    bench.handle(FromEdge(b"edge", b"reborn!!", m.EdgeBeat(name="edge-1")))
    assert bench.broker.edges[b"edge"].session == b"reborn!!"
    assert bench.state("r") == "gone"


def test_a_foreign_edge_can_neither_cancel_nor_query(bench: Bench) -> None:
    """To anybody but its own edge a request does not exist."""
    bench.join(m=1)
    bench.submit("r")
    assert bench.cancel("r", b"foreign") == []
    (failed,) = to_edge(bench.query("r", b"foreign"), b"foreign")
    assert fault_code(failed) is Code.UNKNOWN_REQUEST
    assert bench.state("r") == "assigned"


def test_a_query_is_answered_with_where_it_stands(bench: Bench) -> None:
    """Waiting with its position, assigned, running, or unknown."""
    bench.join(m=1)
    bench.submit("r1")
    bench.submit("r2")
    bench.submit("r3")
    assert to_edge(bench.query("r1")) == [m.Queued(request="r1", attempt=1)]
    assert to_edge(bench.query("r3")) == [
        m.Queued(request="r3", attempt=1, position=1, reason="every replica is busy")
    ]
    bench.accept("r1")
    assert to_edge(bench.query("r1")) == [m.Accepted(request="r1", attempt=1)]
    bench.cancel("r1")
    (failed,) = to_edge(bench.query("r1"))
    assert fault_code(failed) is Code.UNKNOWN_REQUEST


def test_a_duplicate_submit_is_not_executed_again(bench: Bench) -> None:
    """A live one is told where it stands, an ended one that it is unknown."""
    bench.join(m=2)
    bench.submit("r")
    assert kinds(to_edge(bench.submit("r"))) == ["Queued"]
    bench.finish("r")
    (failed,) = to_edge(bench.submit("r"))
    assert fault_code(failed) is Code.UNKNOWN_REQUEST


# ── what does not belong ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message", [m.Registered(interval_ms=1), m.StatusQuery(), m.Submit(request="r", attempt=1, model="m")]
)
def test_a_neuron_message_of_the_wrong_kind_is_counted(bench: Bench, message: Struct) -> None:
    """It changes nothing."""
    assert bench.handle(FromNeuron(b"neuron", b"s", message)) == []
    assert bench.broker.dropped == {"unexpected_from_neuron": 1}


@pytest.mark.parametrize(
    "message", [m.Ready(version=1, device=None, models=()), m.Accepted(request="r", attempt=1)]
)
def test_an_edge_message_of_the_wrong_kind_is_counted(bench: Bench, message: Struct) -> None:
    """It does not even make the edge known."""
    assert bench.handle(FromEdge(b"edge", b"s", message)) == []
    assert bench.broker.dropped == {"unexpected_from_edge": 1}
    assert not bench.broker.edges


def test_tokens_pass_only_between_peers_that_are_known(bench: Bench) -> None:
    """The neuron's session and the edge must both be known here."""
    bench.join(m=1)
    bench.edge_beat()
    assert bench.broker.relay(b"neuron", session_of(b"neuron"), b"edge")
    assert not bench.broker.relay(b"neuron", b"previous", b"edge")
    assert not bench.broker.relay(b"stranger", session_of(b"neuron"), b"edge")
    assert not bench.broker.relay(b"neuron", session_of(b"neuron"), b"nobody")
    assert bench.broker.dropped == {"deltas_of_unknown_neuron": 2, "deltas_to_unknown_edge": 1}


def test_losing_whom_nobody_knows_is_nothing(bench: Bench) -> None:
    """The transport may report a peer that is already gone."""
    assert bench.handle(EdgeUnreachable(b"nobody")) == []
    assert bench.handle(NeuronUnreachable(b"nobody")) == []
