"""What operators are answered: the pure answers, and the plane that holds, passes on and replies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from fleets import Card, Fleet, profile
from msgspec import Struct

from cortex.broker import control
from cortex.broker.core import Broker
from cortex.broker.ctlplane import CtlPlane, Reply
from cortex.broker.events import Event, FromPeer
from cortex.protocol import messages as m
from cortex.protocol.faults import Code
from cortex.protocol.messages import PeerBeat

# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_fleet_is_told_present_gone_and_absent() -> None:
    """Who is here, who left a while ago, and which hosts are expected and were never heard."""
    fleet = Fleet(profile("m"))
    fleet.card("a", m=8000)
    left = fleet.card("b")
    fleet.from_neuron(m.Goodbye(), left.route)
    fleet.ask("m")
    status = control.status(fleet.broker, fleet.now, expected=("a", "c"))
    assert [(one.node, one.state) for one in status.neurons] == [
        ("a", "ready"),
        ("b", "gone"),
        ("c", "absent"),
    ]
    assert status.neurons[0].load == {"m": 1}
    assert (status.running, status.waiting, status.edges) == (1, 0, 1)
    assert [(one.name, one.state) for one in status.brokers] == [("broker-0", "here")]


def test_a_drained_or_stalled_device_is_told_as_such() -> None:
    """Operators see why nothing goes there."""
    fleet = Fleet()
    fleet.join_card(Card("a", drained=True, cycles=3))
    fleet.pulse(fleet.card("b"), stalled=True)
    told = control.status(fleet.broker, fleet.now).neurons
    assert [(one.state, one.drained, one.cycles) for one in told] == [
        ("ready", True, 3),
        ("stalled", False, 0),
    ]


def test_models_are_told_with_how_busy_they_are() -> None:
    """Replicas, running, waiting, percent of a load, pause after a failure, owner."""
    fleet = Fleet(profile("hot", pinned=True), profile("loading", 6000), profile("broken", 2000, priority=7))
    card = fleet.card(hot=8000)
    for _ in range(5):
        fleet.ask("hot")
    fleet.ask("loading")
    fleet.accept(card)
    news = m.LoadProgress(command=fleet.place(card).command, model="loading", percent=30, detail="reading")
    fleet.from_neuron(news, card.route)
    fleet.ask("broken")
    fleet.accept(card)
    fleet.become(card, "broken", "failed", detail="its file is broken")
    broken, hot, loading = control.models(fleet.broker, fleet.now).models
    assert (hot.entry.id, hot.replicas, hot.running, hot.waiting, hot.pinned) == ("hot", 1, 4, 1, True)
    assert (loading.percent, loading.detail, loading.replicas) == (30, "reading", 1)
    assert loading.footprint_bytes == 6000 * 2**20
    assert (broken.detail, broken.retry_ms, broken.priority) == ("its file is broken", 5000, 7)
    assert hot.owner == "broker-0"


def test_how_a_model_is_served_is_told() -> None:
    """What its device says of it while nothing is being done about it."""
    fleet = Fleet(profile("m"))
    card = fleet.card(m=8000)
    fleet.become(card, "m", "hot", detail="served one sequence at a time")
    (told,) = control.models(fleet.broker, fleet.now).models
    assert (told.detail, told.replicas) == ("served one sequence at a time", 1)


# ── the plane ────────────────────────────────────────────────────────────────────────────────────────────────────


class Settings:
    """Files that a test writes."""

    wrong: str | None = None

    def texts(self) -> dict[str, str]:
        return {"models.toml": "text"}

    def reload(self, now: float) -> str | None:
        return self.wrong


@dataclass
class Desk:
    """An operators' plane, the core behind it, and what was answered and passed on."""

    fleet: Fleet
    reachable: bool = True
    settings: Settings = field(default_factory=Settings)
    answers: list[Any] = field(default_factory=list)
    passed: list[tuple[str, Struct]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plane = CtlPlane(
            self.core, self.settings, self.handle, self.forward, expected=(), wall_offset=1000.0
        )

    @property
    def core(self) -> Broker:
        return self.fleet.broker

    def handle(self, event: Event, now: float) -> None:
        self.fleet.handle(event)

    def forward(self, broker: str, message: Struct, reply: Reply, now: float) -> bool:
        if self.reachable:
            self.passed.append((broker, message))
        return self.reachable

    def ask(self, message: Struct, *, may_forward: bool = True) -> Any:
        """What is answered at once; None if the question is held or passed on."""
        before = len(self.answers)
        self.plane.take(message, self.answers.append, self.fleet.now, may_forward=may_forward)
        return self.answers[-1] if len(self.answers) > before else None

    def tick(self, after: float = 0.0) -> list[Any]:
        """What is answered later."""
        before = len(self.answers)
        self.fleet.now += after
        self.plane.tick(self.fleet.now)
        return self.answers[before:]


@pytest.fixture
def desk() -> Desk:
    return Desk(Fleet(profile("m"), profile("n")))


def beside(desk: Desk) -> tuple[str, str]:
    """Let another broker live; answers a model that it owns, and its name."""
    number = 0
    while all(desk.core.state.mesh.owns(model) for model in ("m", "n")):
        number += 1
        desk.core.state.mesh.peers.clear()
        desk.fleet.handle(FromPeer(PeerBeat(name=f"other-{number}")))
    return next(model for model in ("m", "n") if not desk.core.state.mesh.owns(model)), f"other-{number}"


def test_simple_questions_are_answered_at_once(desk: Desk) -> None:
    """Status, models, settings, an explanation; what is no question is told so."""
    assert isinstance(desk.ask(m.StatusQuery()), m.Status)
    assert isinstance(desk.ask(m.ModelsQuery()), m.Models)
    assert desk.ask(m.ConfigQuery()).files == {"models.toml": "text"}
    assert desk.ask(m.Explain(model="m")).model == "m"
    assert desk.ask(m.Goodbye()).fault.code is Code.UNSUPPORTED_MESSAGE


def test_an_order_is_answered_at_once_and_followed_by_waiting(desk: Desk) -> None:
    """The wait is held until the operation moves, and answered at once when it is over."""
    card = desk.fleet.card()
    assert desk.ask(m.Command(command="c", verb="load", model="m")).state == "running"
    assert desk.ask(m.Wait(command="c")) is None
    assert desk.tick(1.0) == []
    desk.fleet.accept(card)
    desk.fleet.become(card, "m", "hot")
    desk.fleet.live(1.0)
    [operation] = desk.tick()
    assert operation.state == "done"
    assert desk.tick(60.0) == []
    assert desk.ask(m.Wait(command="c")).state == "done"


def test_patience_ends_with_the_state_as_it_is(desk: Desk) -> None:
    """So that a client can tell a broker that lives from one that does not."""
    desk.fleet.card()
    desk.ask(m.Command(command="c", verb="load", model="m"))
    desk.ask(m.Wait(command="c", patience_ms=2000))
    assert desk.tick(1.9) == []
    assert [one.state for one in desk.tick(0.1)] == ["running"]


def test_a_command_that_nobody_gave_cannot_be_waited_for(desk: Desk) -> None:
    """As after a restart of the broker: give it again."""
    answer = desk.ask(m.Wait(command="c"))
    assert answer.fault.code is Code.UNKNOWN_REQUEST
    assert "give it again" in answer.fault.message


def test_decisions_are_followed(desk: Desk) -> None:
    """At once if there are new ones, later if not, and all over again after a restart."""
    desk.fleet.card()
    first = desk.ask(m.EventsSince(since=0))
    assert [one.what for one in first.events] == ["neuron joined"]
    assert desk.ask(m.EventsSince(since=first.next)) is None
    desk.fleet.ask("m")
    [news] = desk.tick()
    assert [one.what for one in news.events] == ["load"]
    assert desk.ask(m.EventsSince(since=news.next, patience_ms=0)).events == ()
    assert len(desk.ask(m.EventsSince(since=4711)).events) == 2


def test_too_many_polls_let_the_oldest_go(desk: Desk) -> None:
    """It is answered as if its patience were over."""
    desk.fleet.card()
    last = desk.core.state.decisions.last
    for _ in range(257):
        desk.ask(m.EventsSince(since=last))
    assert len(desk.tick()) == 1


def test_reload_tells_what_is_in_force_or_what_is_wrong(desk: Desk) -> None:
    """A wrong file fails the operation with its place; nothing changes."""
    assert desk.ask(m.Command(command="c", verb="reload")).detail == "2 profiles in force"
    desk.settings.wrong = "models.toml:3: no such key"
    answer = desk.ask(m.Command(command="d", verb="reload"))
    assert (answer.state, answer.fault.message) == ("failed", "models.toml:3: no such key")


def test_what_concerns_a_model_goes_to_its_owner(desk: Desk) -> None:
    """Explanations, orders, and the waits for these orders; what concerns a node stays here."""
    desk.fleet.card()
    model, owner = beside(desk)
    order = m.Command(command="c", verb="load", model=model)
    for message in (m.Explain(model=model), order, m.Wait(command="c")):
        assert desk.ask(message) is None
        assert desk.passed[-1] == (owner, message)
    assert not desk.core.operations.orders
    assert desk.ask(m.Command(command="d", verb="drain", node="a")).state == "running"


def test_what_was_passed_on_is_answered_here(desk: Desk) -> None:
    """Never passed on again, whoever this broker thinks is the owner."""
    desk.fleet.card()
    model, _ = beside(desk)
    assert desk.ask(m.Explain(model=model), may_forward=False).model == model
    assert desk.ask(m.Command(command="c", verb="load", model=model), may_forward=False).state == "running"
    assert not desk.passed


def test_an_owner_that_cannot_be_reached_is_stood_in_for(desk: Desk) -> None:
    """Any broker can do it; owning is a convenience."""
    desk.fleet.card()
    model, _ = beside(desk)
    desk.reachable = False
    assert desk.ask(m.Explain(model=model)).model == model
    assert desk.ask(m.Command(command="c", verb="load", model=model)).state == "running"
    assert desk.ask(m.Wait(command="c")) is None


def test_while_models_toml_is_wrong_every_answer_that_rests_on_it_says_so(desk: Desk) -> None:
    """Since when and where; of a second mistake the first moment counts, and a good file ends it."""
    core = desk.fleet.broker
    assert desk.ask(m.ModelsQuery()).outdated is None
    core.keep_catalogue("models.toml:3: models[0].idd: unknown key", desk.fleet.now)
    first = desk.ask(m.ModelsQuery()).outdated
    desk.fleet.now += 5.0
    core.keep_catalogue("models.toml:4: models[0].x: unknown key", desk.fleet.now)
    for question in (m.StatusQuery(), m.Explain(model="m"), m.Command(command="l", verb="load", model="m")):
        told = desk.ask(question).outdated
        assert told == m.Outdated(since_ms=first.since_ms, problem="models.toml:4: models[0].x: unknown key")
    core.reload(core.state.catalogue, desk.fleet.now)
    assert desk.ask(m.StatusQuery()).outdated is None


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_a_misspelt_model_is_answered_with_the_nearest(verb: m.Verb) -> None:
    """Ids and other names; `explain` says the same."""
    desk = Desk(Fleet(profile("qwen3-8b", aliases=("fast-one",)), profile("other")))
    for wrong, right in (("qwen3-8", "qwen3-8b"), ("fastone", "fast-one")):
        said = f"The model {wrong!r} does not exist here. Did you mean {right!r}? cortex-ctl models lists"
        ordered = desk.ask(m.Command(command=f"{verb} {wrong}", verb=verb, model=wrong))
        assert ordered.fault.message.startswith(said)
        assert desk.ask(m.Explain(model=wrong)).fault.message.startswith(said)


def test_another_name_will_do() -> None:
    """What is ordered or asked by it is about its model."""
    desk = Desk(Fleet(profile("qwen3-8b", aliases=("fast",))))
    desk.fleet.card()
    assert desk.ask(m.Explain(model="fast")).verdict == "load"
    assert desk.ask(m.Command(command="c", verb="load", model="fast")).state == "running"
    assert desk.core.state.view.underway("qwen3-8b") is not None
