"""Who makes room, and who never does."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.broker.eviction import Resident, Strategy, cost, obstacles, victims

STRATEGIES: tuple[Strategy, ...] = ("lru", "priority", "cost")
NOW = 1000.0
RESIDENTS = st.lists(
    st.builds(
        Resident,
        model=st.just(""),
        footprint=st.sampled_from((0, 1, 2, 5, 5, 10, 10, 20, 40)),
        priority=st.sampled_from((100, 100, 100, 99, 102)),
        last_used=st.integers(900, 1000).map(float),
        since=st.sampled_from((0.0, 990.0, 991.0)),
        load_s=st.integers(0, 60).map(float),
        reuse_per_s=st.sampled_from((0.0, 0.0001, 0.001, 0.01, 1.0)),
        pinned=st.sampled_from((False,) * 5 + (True,)),
        busy=st.sampled_from((0, 0, 0, 1, 3)),
        min_residency=st.sampled_from((0.0, 10.0)),
        extra=st.sampled_from((False, False, True)),
    ),
    max_size=12,
).map(lambda found: [replace(one, model=f"m{index}") for index, one in enumerate(found)])
ASKED = st.integers(-1, 70)
LOADS = st.sampled_from((98, 100, 100, 103))


def free(residents: list[Resident] | tuple[Resident, ...]) -> int:
    return sum(one.footprint for one in residents)


def may_go(one: Resident, priority: int, *, drain: bool) -> bool:
    old_enough = NOW - one.since >= one.min_residency
    return not one.pinned and one.priority <= priority and old_enough and (drain or not one.busy)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(missing=ASKED, residents=RESIDENTS, priority=LOADS, drain=st.booleans())
def test_no_victim_can_be_spared_and_none_is_protected(
    strategy: Strategy, missing: int, residents: list[Resident], priority: int, drain: bool
) -> None:
    """Victims suffice, each is needed, all may go; there are none only if all who may go do not suffice."""
    eligible = [one for one in residents if may_go(one, priority, drain=drain)]
    found = victims(missing, residents, priority=priority, strategy=strategy, now=NOW, drain=drain)
    if found is None:
        assert free(eligible) < missing
        return
    assert set(found) <= set(eligible)
    assert free(found) >= missing
    assert len(set(found)) == len(found)
    if missing <= 0:
        assert found == ()
    assert all(free(found) - one.footprint < missing for one in found)


CANDIDATES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 30), st.integers(0, 2)), max_size=8)


def tier_of(one: Resident) -> int:
    return 2 * bool(one.busy) + (not one.extra)


def prices(chosen: tuple[Resident, ...]) -> list[float]:
    """What a set costs in each tier, the last to be opened first."""
    return [sum(cost(one) for one in chosen if tier_of(one) == tier) for tier in (3, 2, 1, 0)]


@settings(max_examples=200)
@given(missing=st.integers(1, 60), candidates=CANDIDATES)
def test_the_cheapest_set_is_found(missing: int, candidates: list[tuple[int, int, int]]) -> None:
    """No set that opens no further tier costs less: first in busy models, then in last replicas, then in extra ones."""
    residents = [
        Resident(f"m{index}", size, load_s=float(load), reuse_per_s=1.0, busy=tier // 2, extra=tier == 0)
        for index, (size, load, tier) in enumerate(candidates)
    ]
    found = victims(missing, residents, priority=100, strategy="cost", now=NOW, drain=True)
    if found is None:
        return
    opened = max(map(tier_of, found))
    allowed = [one for one in residents if tier_of(one) <= opened]
    sets = (other for size in range(len(allowed) + 1) for other in combinations(allowed, size))
    assert prices(found) == min(prices(other) for other in sets if free(other) >= missing)


def test_one_large_victim_beats_two_that_are_cheaper_by_the_byte() -> None:
    """Price by the byte is where the search begins, not where it ends."""
    residents = [
        Resident(name, size, load_s=load, reuse_per_s=1.0)
        for name, size, load in (("a", 6, 10.0), ("b", 6, 10.0), ("c", 10, 19.0))
    ]
    found = victims(10, residents, priority=100, strategy="cost", now=NOW)
    assert [one.model for one in found or ()] == ["c"]


def test_a_dozen_candidates_and_more_are_no_trouble() -> None:
    """Beyond the exact bound the victims still suffice, and none can be spared."""
    residents = [
        Resident(f"m{index}", 10 + index % 7, reuse_per_s=0.001 * index, load_s=5.0 + index % 3)
        for index in range(60)
    ]
    found = victims(200, residents, priority=100, strategy="cost", now=NOW)
    assert found is not None
    assert all(free(found) - one.footprint < 200 <= free(found) for one in found)


def test_one_trace_three_strategies_three_victims() -> None:
    """Four models were loaded and used; for the fifth, each strategy gives up another one."""
    trace = (
        # at, what, model
        (0.0, "load", "embed"),
        (5.0, "load", "coder"),
        (60.0, "load", "chat"),
        (100.0, "use", "coder"),
        (110.0, "use", "embed"),
        (120.0, "use", "coder"),
        (130.0, "use", "coder"),
        (200.0, "load", "vision"),
        (210.0, "use", "vision"),
        (220.0, "use", "embed"),
        (240.0, "use", "chat"),
        (250.0, "use", "embed"),
        (260.0, "use", "embed"),
    )
    priorities = {"coder": 100, "embed": 100, "chat": 50, "vision": 100}
    load_s = {"coder": 90.0, "embed": 3.0, "chat": 80.0, "vision": 60.0}
    loaded: dict[str, float] = {}
    used: dict[str, list[float]] = {}
    for at, what, model in trace:
        if what == "load":
            loaded[model] = at
            used[model] = [at]
        else:
            used[model].append(at)
    residents = [
        Resident(
            model,
            10,
            priority=priorities[model],
            last_used=used[model][-1],
            since=at,
            load_s=load_s[model],
            reuse_per_s=(len(used[model]) - 1) / (300.0 - at),
            min_residency=10.0,
        )
        for model, at in loaded.items()
    ]
    chosen = {}
    for strategy in STRATEGIES:
        found = victims(10, residents, priority=100, strategy=strategy, now=300.0)
        assert found is not None
        chosen[strategy] = [one.model for one in found]
    assert chosen == {"lru": ["coder"], "priority": ["chat"], "cost": ["embed"]}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_extra_replicas_go_first(strategy: Strategy) -> None:
    """A copy of what is hot elsewhere goes before a last one, however recent, dear and important it is."""
    residents = [
        Resident("last", 10, priority=1, last_used=1.0),
        Resident("extra", 10, priority=100, last_used=999.0, load_s=60.0, reuse_per_s=1.0, extra=True),
    ]
    found = victims(10, residents, priority=100, strategy=strategy, now=NOW)
    assert [one.model for one in found or ()] == ["extra"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_extra_replica_too_small_to_help_is_spared(strategy: Strategy) -> None:
    """If a last replica must go in any case and suffices, the extra one stays."""
    residents = [Resident("small", 5, extra=True), Resident("large", 20)]
    found = victims(20, residents, priority=100, strategy=strategy, now=NOW)
    assert [one.model for one in found or ()] == ["large"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_idle_go_before_the_busy(strategy: Strategy) -> None:
    """Where the device may be drained, a busy model goes only if no idle ones suffice."""
    residents = [
        Resident("busy", 20, priority=1, busy=2, extra=True),
        Resident("idle", 10, last_used=900.0, load_s=60.0, reuse_per_s=1.0),
    ]
    at_once = victims(10, residents, priority=100, strategy=strategy, now=NOW, drain=True)
    assert [one.model for one in at_once or ()] == ["idle"]
    later = victims(15, residents, priority=100, strategy=strategy, now=NOW, drain=True)
    assert [one.model for one in later or ()] == ["busy"]
    assert victims(15, residents, priority=100, strategy=strategy, now=NOW) is None


def test_who_stays_is_told_why() -> None:
    """One line for each that cannot go, none for who can."""
    residents = [
        Resident("kept", 1, pinned=True),
        Resident("vip", 1, priority=200),
        Resident("young", 1, since=997.0, min_residency=10.0),
        Resident("working", 1, busy=1),
        Resident("working-hard", 1, busy=3),
        Resident("idle", 1),
    ]
    assert obstacles(residents, priority=100, now=NOW) == (
        ("kept", "is pinned"),
        ("vip", "has the higher priority 200"),
        ("young", "was loaded only 3 s ago and stays for 10 s"),
        ("working", "is busy with 1 request"),
        ("working-hard", "is busy with 3 requests"),
    )
    assert len(obstacles(residents, priority=100, now=NOW, drain=True)) == 3
