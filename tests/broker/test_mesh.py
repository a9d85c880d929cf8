"""The other brokers: who lives, and who owns what."""

from __future__ import annotations

from fleets import Fleet, profile

from cortex.broker.events import FromPeer
from cortex.broker.mesh import Mesh
from cortex.protocol.messages import PeerBeat

MODELS = [f"m{number}" for number in range(200)]


def heard(mesh: Mesh, name: str, now: float) -> None:
    mesh.heard(PeerBeat(name=name, running=1, waiting=2, served=3, owns=4), now)
    mesh.refresh(now)


def test_a_broker_alone_owns_everything() -> None:
    """Nobody else is asked."""
    mesh = Mesh("b0")
    assert all(mesh.owns(model) for model in MODELS)
    assert mesh.statuses() == ()


def test_two_brokers_agree_on_every_owner() -> None:
    """Each from its own view, and each owns a fair share."""
    one, two = Mesh("b0"), Mesh("b1")
    heard(one, "b1", 0.0)
    heard(two, "b0", 0.0)
    assert all(one.owner_of(model) == two.owner_of(model) for model in MODELS)
    assert 60 < sum(one.owns(model) for model in MODELS) < 140


def test_only_the_models_of_a_dead_broker_move() -> None:
    """After three missed beats, each to the next in its rank; when it returns, they do."""
    mesh = Mesh("b0")
    for name in ("b1", "b2"):
        heard(mesh, name, 0.0)
    before = {model: mesh.owner_of(model) for model in MODELS}
    mesh.heard(PeerBeat(name="b1"), 2.0)
    assert mesh.refresh(2.9) == frozenset()
    assert mesh.refresh(3.0) == {"b2"}
    after = {model: mesh.owner_of(model) for model in MODELS}
    assert {model for model in MODELS if before[model] != after[model]} == {
        model for model in MODELS if before[model] == "b2"
    }
    heard(mesh, "b2", 3.5)
    assert {model: mesh.owner_of(model) for model in MODELS} == before


def test_our_own_name_is_ourselves() -> None:
    """A beat that comes back, or a twin, is no peer."""
    mesh = Mesh("b0")
    heard(mesh, "b0", 0.0)
    assert mesh.live == {"b0"}


def test_a_broker_that_left_is_shown_for_a_while() -> None:
    """As gone, with what it last said; then forgotten."""
    mesh = Mesh("b0")
    heard(mesh, "b1", 0.0)
    [status] = mesh.statuses()
    assert (status.state, status.running, status.waiting, status.served, status.owns) == ("live", 1, 2, 3, 4)
    mesh.refresh(10.0)
    assert mesh.statuses()[0].state == "gone"
    mesh.refresh(601.0)
    assert mesh.statuses() == ()


def test_what_is_placed_unasked_is_placed_by_its_owner() -> None:
    """The other broker leaves it alone until the owner is gone."""
    fleet = Fleet(profile("kept", pinned=True), name="b0")
    rank = Mesh("b0")
    other = next(name for name in ("b1", "b2", "b3", "b4", "b5") if not _owns(rank, name))
    fleet.card()
    fleet.handle(FromPeer(PeerBeat(name=other)))
    fleet.live(2.5)
    assert not fleet.places()
    fleet.live(2.0)
    assert fleet.places()
    words = [entry.what for entry in fleet.broker.state.decisions.since(0)]
    assert words.index("broker joined") < words.index("broker gone")


def _owns(mesh: Mesh, other: str) -> bool:
    """Whether the model `kept` stays ours beside this other one."""
    fresh = Mesh(mesh.name)
    heard(fresh, other, 0.0)
    return fresh.owns("kept")


def test_a_broker_tells_the_others_how_busy_it_is() -> None:
    """In its beat: running, waiting, served, owned."""
    fleet = Fleet(profile("m"))
    fleet.card(m=8000)
    for _ in range(5):
        fleet.ask("m")
    beat = fleet.broker.beat()
    assert (beat.name, beat.running, beat.waiting, beat.owns) == ("broker-0", 4, 1, 1)
