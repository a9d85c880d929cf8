"""Waiting clients are told why, when that changes, and not faster than once a second."""

from __future__ import annotations

from fleets import Fleet, messages_to, profile

from cortex.protocol import messages as m


def reasons(effects: list[object]) -> list[str]:
    return [one.reason for one in messages_to(effects, m.Queued)]  # type: ignore[arg-type]


def test_who_waits_for_room_is_told_who_stands_there() -> None:
    """At once and in the words of `explain`; told again when the reason is another one."""
    fleet = Fleet(profile("m", 20_000), profile("old", 20_000, min_residency=10.0))
    fleet.card(old=20_000)
    sent = fleet.ask("m")
    [why] = reasons(sent)
    assert "old was loaded only 0 s ago and stays for 10 s" in why
    discreet = fleet.broker.requests.reasons["m"].discreet
    assert discreet == why.replace("old was", "another model was")
    assert [one.discreet for one in messages_to(sent, m.Queued)] == [discreet]  # type: ignore[attr-defined]
    fleet.ask("old")
    said = reasons(fleet.live(11.0))
    assert "old is busy with 1 request" in said[-1]
    assert len(said) <= 4, "what only counts seconds is not told each second"


def test_who_waits_for_a_slot_is_told_so_once() -> None:
    """Nothing changes, and nothing is said again."""
    fleet = Fleet(profile("m"))
    fleet.card(m=8000)
    asked = [reasons(fleet.ask("m")) for _ in range(6)]
    assert asked[4:] == [["every replica is busy"], ["every replica is busy"]]
    assert reasons(fleet.tick(1.0)) == []
