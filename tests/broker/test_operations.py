"""What operators order is pursued until it is reached, or refused with what to do."""

from __future__ import annotations

import pytest
from fleets import Card, Fleet, messages_to, profile

from cortex.protocol import messages as m
from cortex.protocol.faults import Code


def failed(operation: m.Operation) -> Code:
    assert operation.state == "failed"
    assert operation.fault is not None
    return operation.fault.code


@pytest.mark.parametrize(
    ("verb", "model", "node", "code", "text"),
    [
        ("load", "nobody", "", Code.MODEL_NOT_FOUND, "'nobody' does not exist here"),
        ("load", "", "", Code.INVALID_REQUEST, "Name a model"),
        ("load", "m", "z", Code.INVALID_REQUEST, "no node 'z'; these are here: a"),
        ("unload", "nobody", "", Code.MODEL_NOT_FOUND, "does not exist"),
        ("pin", "m", "a/sim-7", Code.INVALID_REQUEST, "no node 'a/sim-7'"),
        ("drain", "", "", Code.INVALID_REQUEST, "Name a node"),
        ("resume", "", "z", Code.INVALID_REQUEST, "no node 'z'"),
        ("reload", "m", "", Code.UNSUPPORTED_MESSAGE, "does not know how to reload"),
        ("load", "giant", "", Code.DOES_NOT_FIT, "giant fits nowhere: a/sim-0: it needs 99000 MiB"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    verb: m.Verb, model: str, node: str, code: Code, text: str
) -> None:
    """The fault names what is wrong, and what there is."""
    fleet = Fleet(profile("m"), profile("giant", 99_000))
    fleet.card()
    operation = fleet.order(verb, model, node)
    assert failed(operation) is code
    assert text in operation.fault.message  # type: ignore[union-attr]


def test_a_load_is_done_when_the_model_is_hot() -> None:
    """On the way there it tells how far it is."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    operation = fleet.order("load", "m", command="c")
    assert (operation.state, operation.detail) == ("running", "loading on a/sim-0")
    fleet.accept(card)
    news = m.LoadProgress(command=fleet.place(card).command, model="m", percent=60, detail="reading")
    fleet.from_neuron(news, card.route)
    fleet.live(1.0)
    assert (fleet.operation("c").percent, fleet.operation("c").detail) == (60, "reading")
    fleet.become(card, "m", "hot")
    fleet.live(1.0)
    assert fleet.operation("c") == m.Operation(
        command="c", state="done", percent=100, detail="m is hot on a/sim-0"
    )


def test_the_same_command_is_carried_out_once() -> None:
    """A client that asks again after a lost answer gets the answer, not another load."""
    fleet = Fleet(profile("m"))
    fleet.card("a")
    fleet.card("b")
    first = fleet.order("load", "m", "b", command="c")
    assert fleet.order("load", "m", "a", command="c") == first
    assert len(fleet.places()) == 1
    assert len(fleet.broker.operations.orders) == 1


def test_a_load_goes_to_the_node_that_is_named() -> None:
    """Though another one has room; a copy elsewhere is not enough."""
    fleet = Fleet(profile("m"), profile("old", 24_000))
    fleet.card("a", m=8000)
    card = fleet.card("b", old=24_000)
    operation = fleet.order("load", "m", "b")
    assert operation.detail == "loading on b/sim-0, in place of old"
    fleet.accept(card)
    fleet.become(card, "m", "hot")
    fleet.live(1.0)
    assert fleet.operation("load-m-b").state == "done"


def test_an_operators_load_drains_who_works() -> None:
    """It does not wait for a turn."""
    fleet = Fleet(profile("m", 24_000), profile("old", 24_000))
    card = fleet.card(old=24_000)
    fleet.ask("old")
    fleet.order("load", "m")
    assert fleet.place(card).drain


def test_a_load_that_failed_is_told_and_an_order_forgives_it() -> None:
    """The operation fails with the reason; ordering again does not wait for the pause to end."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    fleet.order("load", "m", command="c1")
    fleet.accept(card)
    fleet.become(card, "m", "failed", detail="its file is broken")
    fleet.live(1.0)
    assert failed(fleet.operation("c1")) is Code.LOAD_FAILED
    assert "its file is broken" in fleet.operation("c1").detail
    fleet.order("load", "m", command="c2")
    assert len({place.command for place in fleet.places()}) == 2


def test_an_unload_waits_for_what_runs() -> None:
    """Drained, not driven out; a model that is nowhere is unloaded already."""
    fleet = Fleet(profile("m"))
    card = fleet.card(m=8000)
    fleet.ask("m")
    operation = fleet.order("unload", "m", command="c")
    assert (operation.state, operation.detail) == ("running", "waiting for 1 running")
    place = fleet.place(card)
    assert (place.evict, place.load, place.drain) == (("m",), None, True)
    fleet.accept(card)
    fleet.live(1.0)
    assert fleet.operation("c").state == "done"
    assert fleet.order("unload", "m", command="again").detail == "it was not loaded"


@pytest.mark.parametrize("node", ["", "a"])
def test_an_unload_gives_a_sleeper_up(node: str) -> None:
    """It takes the host's memory, which is free once the device has forgotten it; with a node or without."""
    fleet = Fleet(profile("m"))
    card = fleet.card("a", m=8000)
    fleet.become(card, "m", "asleep")
    operation = fleet.order("unload", "m", node=node, command="c")
    assert (operation.state, operation.detail) == ("running", "unloading")
    place = fleet.place(card)
    assert (place.evict, place.load, place.sleep) == (("m",), None, False)
    fleet.accept(card)
    fleet.live(1.0)
    operation = fleet.operation("c")
    assert (operation.state, operation.detail) == ("done", "")


@pytest.mark.parametrize("where", ["profile", "device"])
def test_a_pinned_model_is_not_unloaded(where: str) -> None:
    """The fault says what to do first."""
    fleet = Fleet(profile("m", pinned=where == "profile"))
    card = Card("a")
    card.hold("m", pinned=where == "device")
    fleet.join_card(card)
    operation = fleet.order("unload", "m")
    assert failed(operation) is Code.BUSY
    assert "pinned on a/sim-0; cortex-ctl unpin m first" in operation.detail
    assert not fleet.places()


def test_pinning_reaches_the_device_and_is_done_when_it_says_so() -> None:
    """The pin lives there; until it shows, it is asked for again."""
    fleet = Fleet(profile("m"))
    card = fleet.card(m=8000)
    assert fleet.order("pin", "m", command="c").state == "running"
    fleet.live(1.0)
    pins = messages_to(fleet.sent, m.Pin)
    assert len(pins) >= 2
    assert set(pins) == {m.Pin(command="c/a/sim-0", model="m", pinned=True)}
    fleet.become(card, "m", "hot", pinned=True)
    fleet.live(1.0)
    assert fleet.operation("c").detail == "m is pinned on a/sim-0"


def test_pinning_a_cold_model_loads_it_pinned() -> None:
    """One order for both."""
    fleet = Fleet(profile("m"))
    card = fleet.card()
    fleet.order("pin", "m", command="c")
    load = fleet.place(card).load
    assert load is not None
    assert load.pinned
    fleet.accept(card)
    fleet.become(card, "m", "hot")
    fleet.live(1.0)
    assert fleet.operation("c").state == "done"


def test_a_pin_of_the_catalogue_is_taken_out_there() -> None:
    """Unpinning it on a device would not last."""
    fleet = Fleet(profile("m", pinned=True))
    fleet.card(m=8000)
    operation = fleet.order("unpin", "m")
    assert failed(operation) is Code.BUSY
    assert "models.toml" in operation.detail


def test_unpinning_frees_a_model() -> None:
    """Done at once where it is not pinned anyhow."""
    fleet = Fleet(profile("m"))
    card = Card("a")
    card.hold("m", pinned=True)
    fleet.join_card(card)
    fleet.order("unpin", "m", command="c")
    assert messages_to(fleet.sent, m.Pin)[-1] == m.Pin(command="c/a/sim-0", model="m", pinned=False)
    fleet.become(card, "m", "hot", pinned=False)
    fleet.live(1.0)
    assert fleet.operation("c").state == "done"
    assert fleet.order("unpin", "m", command="again").state == "done"


def test_a_drain_waits_for_what_runs_and_a_resume_ends_it() -> None:
    """A host's devices all; nothing new goes there meanwhile."""
    fleet = Fleet(profile("m"))
    cards = [Card("a", index) for index in (0, 1)]
    for card in cards:
        card.hold("m")
        fleet.join_card(card)
    fleet.ask("m")
    fleet.order("drain", node="a", command="c")
    drains = [one for one in fleet.sent if isinstance(one.message, m.Drain)]
    assert {one.route for one in drains} == {card.route for card in cards}
    for card in cards:
        card.drained = True
        fleet.repeat(card)
    fleet.live(1.0)
    assert (fleet.operation("c").state, fleet.operation("c").detail) == ("running", "waiting for 1 running")
    assert not messages_to(fleet.ask("m"), m.Generate)
    [busy] = [neuron for neuron in fleet.broker.neurons.values() if neuron.assigned]
    fleet.from_neuron(m.Finished(request="r1", attempt=1, totals=(1,)), busy.route)
    fleet.live(1.0)
    assert fleet.operation("c").state == "done"
    fleet.order("resume", node="a", command="d")
    for card in cards:
        card.drained = False
        fleet.repeat(card)
    fleet.live(1.0)
    assert fleet.operation("d").state == "done"
    assert messages_to(fleet.sent, m.Generate)[-1].request == "r2"


def test_what_is_not_reached_in_time_has_failed() -> None:
    """With what it waited for."""
    fleet = Fleet(profile("m"))
    fleet.card(m=8000)
    fleet.order("drain", node="a", command="c")
    fleet.live(61.0)
    assert failed(fleet.operation("c")) is Code.DEADLINE
    assert "not reached in time: draining" in fleet.operation("c").detail
