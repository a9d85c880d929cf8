"""The record of decisions: bounded, numbered, and readable from any number on."""

from __future__ import annotations

from fleets import Fleet, profile

from cortex.broker import control
from cortex.broker.decisions import KEPT, Decisions


def test_numbers_begin_at_one_and_go_on() -> None:
    """Nothing is told twice to who asks for what came after the last."""
    decisions = Decisions()
    decisions.note(1.0, "load", "m on a", "why")
    decisions.note(2.0, "evict", "n on a")
    assert [(one.number, one.what) for one in decisions.since(0)] == [(1, "load"), (2, "evict")]
    assert [one.number for one in decisions.since(1)] == [2]
    assert decisions.since(2) == []


def test_only_the_latest_are_kept() -> None:
    """The oldest go first; numbers stay."""
    decisions = Decisions()
    for number in range(KEPT + 10):
        decisions.note(0.0, f"w{number}", "")
    kept = decisions.since(0)
    assert (len(kept), kept[0].number, kept[-1].number) == (KEPT, 11, KEPT + 10)


def test_a_number_of_another_brokers_life_begins_anew() -> None:
    """After a restart the numbers are small again: who asks from a larger one gets all there is."""
    decisions = Decisions()
    decisions.note(0.0, "load", "m")
    assert len(decisions.since(4711)) == 1


def test_events_are_told_in_pages() -> None:
    """A thousand at most, and from where to ask on; an empty page repeats the number."""
    fleet = Fleet(profile("m"))
    core = fleet.broker
    assert control.events(core, 0, 0.0).next == core.state.decisions.last
    for number in range(1500):
        core.state.decisions.note(2.0, f"w{number}", "x")
    page = control.events(core, 0, wall_offset=1000.0)
    assert len(page.events) == 1000
    assert page.events[-1].at_ms == 1_002_000
    rest = control.events(core, page.next, 0.0)
    assert rest.events[-1].number == core.state.decisions.last == rest.next
    assert control.events(core, rest.next, 0.0).events == ()
    assert control.events(core, rest.next, 0.0).next == rest.next


def test_what_is_committed_is_noted_with_its_reason() -> None:
    """Who came, what was evicted and loaded for whom, how it ended."""
    fleet = Fleet(profile("m", 24_000), profile("old", 24_000))
    card = fleet.card(old=24_000)
    fleet.ask("m")
    fleet.accept(card)
    fleet.now += 2.0
    fleet.become(card, "m", "hot")
    told = [(one.what, one.subject, one.reason) for one in fleet.broker.state.decisions.since(0)]
    assert told == [
        ("neuron joined", "a/sim-0", ""),
        ("evict", "old on a/sim-0", "request r1 wants m"),
        ("load", "m on a/sim-0", "request r1 wants m"),
        ("load done", "m", "after 2.0 s"),
    ]
