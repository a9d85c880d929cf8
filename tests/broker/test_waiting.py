"""The waiting queue: fairness, priority, and what it costs to look."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.broker import shares
from cortex.broker.shares import IDLE, MOST_DEBT, NEWCOMERS, QUANTUM, Line
from cortex.broker.waiting import KEPT, KEPT_PLACES, Place, Waiting

COSTS = st.integers(1, 6 * QUANTUM)


def filled(*requests: tuple[str, int, int]) -> Waiting:
    """(principal, cost, priority) each, numbered from 1, all for the model m; the key names the number."""
    waiting = Waiting()
    for number, (principal, cost, priority) in enumerate(requests, 1):
        waiting.add(
            "m", (f"r{number}", 1), 30.0, number, principal=principal, cost=cost, priority=priority, since=1.0
        )
    return waiting


def served(waiting: Waiting) -> list[int]:
    """Take everybody; answers the numbers."""
    order = []
    while (key := waiting.first("m")) is not None:
        waiting.take("m", key)
        order.append(int(key[0][1:]))
    return order


def test_a_queue_tells_its_state_in_one_line() -> None:
    """Its repr names models and how many wait for each."""
    waiting = Waiting()
    assert repr(waiting) == "<Waiting nobody>"
    waiting.add("m", ("r1", 1), 5.0, 1)
    waiting.add("m", ("r2", 1), 5.0, 2)
    assert repr(waiting) == "<Waiting m:2>"


# ── order ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_principal_with_many_requests_does_not_hold_up_one_with_few() -> None:
    """With requests of a quantum each, they take turns."""
    waiting = filled(*[("many", QUANTUM, 0)] * 4, *[("few", QUANTUM, 0)] * 2)
    assert served(waiting) == [1, 5, 2, 6, 3, 4]


def test_a_higher_class_is_served_first() -> None:
    """However dear it is and however late it came."""
    waiting = filled(("p", 1, 0), ("p", 100_000, 5), ("q", 1, 0), ("q", 1, 5))
    order = served(waiting)
    assert set(order[:2]) == {2, 4}


@given(st.lists(st.tuples(st.sampled_from("pqr"), COSTS, st.sampled_from((0, 1, 7))), max_size=30))
def test_there_is_no_priority_inversion_and_a_principal_keeps_its_order(
    requests: list[tuple[str, int, int]],
) -> None:
    """Classes are served from the highest down; within one, a principal's requests as they came."""
    order = [(requests[number - 1], number) for number in served(filled(*requests))]
    assert len(order) == len(requests)
    assert [request[2] for request, _ in order] == sorted((cost[2] for cost in requests), reverse=True)
    for principal in "pqr":
        for priority in (0, 1, 7):
            mine = [number for (who, _, of), number in order if (who, of) == (principal, priority)]
            assert mine == sorted(mine)


@given(st.lists(COSTS, min_size=2, max_size=25), st.integers(2, 4))
def test_equal_demand_is_served_equally(costs: list[int], count: int) -> None:
    """Over any interval all have waited in, two principals differ by less than one maximum and a quantum."""
    principals = "pqrs"[:count]
    requests = [(principal, cost, 0) for principal in principals for cost in costs]
    order = served(filled(*requests))
    for one, other in pairwise(principals):
        difference = [0]
        done = {one: 0, other: 0}
        for number in order:
            principal, cost, _ = requests[number - 1]
            if principal in done:
                done[principal] += 1
                difference.append(difference[-1] + (cost if principal == one else -cost))
            if len(costs) in done.values():
                break
        assert max(difference) - min(difference) < max(costs) + QUANTUM


@given(st.lists(COSTS, min_size=1, max_size=25), st.lists(COSTS, min_size=1, max_size=25))
def test_unequal_requests_are_served_by_cost_not_by_count(mine: list[int], yours: list[int]) -> None:
    """From the start, within a maximum and a quantum; over any interval, within two maxima and a quantum."""
    requests = [("p", cost, 0) for cost in mine] + [("q", cost, 0) for cost in yours]
    left = {"p": len(mine), "q": len(yours)}
    steps = []
    for number in served(filled(*requests)):
        principal, cost, _ = requests[number - 1]
        left[principal] -= 1
        steps.append(cost if principal == "p" else -cost)
        if 0 in left.values():
            break
    difference = [0, *accumulate(steps)]
    most = max(mine + yours)
    assert all(abs(one) < most + QUANTUM for one in difference)
    assert max(difference) - min(difference) < 2 * most + QUANTUM


def test_nobody_waits_for_ever_behind_newcomers() -> None:
    """However many new names send however small requests, a large one is served within bounded rounds."""
    waiting = filled(("big", 10 * QUANTUM, 0))
    for number in range(2, 5000):
        waiting.add("m", (f"r{number}", 1), 30.0, number, principal=f"new{number}", cost=1)
        key = waiting.first("m")
        assert key is not None
        waiting.take("m", key)
        if key == ("r1", 1):
            break
    assert number <= 11 * (NEWCOMERS + 1) + 1


def test_whoever_comes_and_goes_gets_no_more_turns_than_whoever_stays() -> None:
    """A principal that always sends its next request after the last was taken has one turn a round."""
    waiting = filled(*[("stays", QUANTUM, 0)] * 30, ("returns", QUANTUM, 0))
    number = 100
    order = []
    for _ in range(40):
        key = waiting.first("m")
        assert key is not None
        waiting.take("m", key)
        order.append("stays" if int(key[0][1:]) <= 30 else "returns")
        if order[-1] == "returns":
            number += 1
            waiting.add("m", (f"r{number}", 1), 30.0, number, principal="returns", cost=QUANTUM)
    assert order == ["stays", "returns"] * 20


def test_one_that_comes_back_unserved_is_first_again() -> None:
    """With what it was charged: its principal has not lost its turn."""
    waiting = filled(("p", 5 * QUANTUM, 0), ("q", 6 * QUANTUM, 0), ("q", 1, 0))
    assert waiting.first("m") == ("r1", 1)
    charged = waiting.take("m", ("r1", 1))
    assert charged == 5 * QUANTUM
    waiting.add("m", ("r1", 1), 30.0, 1, principal="p", cost=5 * QUANTUM, charged=charged)
    assert served(waiting) == [1, 2, 3]


def test_what_comes_back_pays_for_those_before_it() -> None:
    """The charge returned is the principal's, and its requests still go by number."""
    waiting = filled(("p", 9 * QUANTUM, 0), ("p", 9 * QUANTUM, 0), ("q", QUANTUM, 0), ("q", QUANTUM, 0))
    waiting.remove("m", ("r2", 1))
    waiting.add("m", ("r2", 1), 30.0, 2, principal="p", cost=9 * QUANTUM, charged=9 * QUANTUM)
    assert next(iter(waiting.keys("m"))) == waiting.first("m") == ("r1", 1)
    assert served(waiting) == [1, 3, 4, 2]


def test_looking_changes_nothing() -> None:
    """However often and at whatever one looks."""
    waiting = filled(*[("p", 700, 0), ("q", 9000, 0), ("r", 20, 1)] * 5)
    seen = []
    for _ in range(3):
        keys = list(waiting.keys("m"))
        seen.append(
            (waiting.first("m"), keys, [waiting.position("m", key) for key in keys], waiting.oldest("m"))
        )
    assert seen[0] == seen[1] == seen[2]
    assert [int(key[0][1:]) for key in seen[0][1]] == served(waiting)


# ── settling ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_long_answers_are_paid_for_afterwards() -> None:
    """A principal whose request turned out dearer waits for as many rounds."""
    waiting = filled(*[("p", QUANTUM, 0)] * 3, *[("q", QUANTUM, 0)] * 6)
    waiting.take("m", ("r1", 1))
    waiting.settle("m", "p", QUANTUM, 4 * QUANTUM)
    assert served(waiting) == [4, 5, 6, 7, 2, 8, 3, 9]


def test_an_idle_principal_keeps_its_debt() -> None:
    """Otherwise whoever sends one request at a time would never pay for long answers."""
    waiting = filled(("p", QUANTUM, 0), *[("q", QUANTUM, 0)] * 6)
    waiting.take("m", ("r1", 1))
    waiting.settle("m", "p", QUANTUM, 3 * QUANTUM)
    waiting.add("m", ("r9", 1), 30.0, 9, principal="p", cost=QUANTUM)
    assert served(waiting) == [2, 3, 4, 9, 5, 6, 7]


def test_whoever_was_idle_has_saved_up_nothing() -> None:
    """Rounds that passed without a principal are not made up for."""
    waiting = filled(("p", QUANTUM, 0), *[("q", QUANTUM, 0)] * 9)
    for number in range(1, 7):
        waiting.take("m", (f"r{number}", 1))
    for number in (11, 12, 13):
        waiting.add("m", (f"r{number}", 1), 30.0, number, principal="p", cost=QUANTUM)
    assert served(waiting) == [11, 7, 12, 8, 13, 9, 10]


def test_debt_is_worked_off_while_idle() -> None:
    """By a quantum a round, as if it waited."""
    waiting = filled(("p", QUANTUM, 0), *[("q", QUANTUM, 0)] * 6)
    waiting.take("m", ("r1", 1))
    waiting.settle("m", "p", QUANTUM, 3 * QUANTUM)
    for number in (2, 3):
        waiting.take("m", (f"r{number}", 1))
    waiting.add("m", ("r9", 1), 30.0, 9, principal="p", cost=QUANTUM)
    assert served(waiting) == [4, 9, 5, 6, 7]


def test_debt_is_bounded_and_forgotten_when_nobody_waits() -> None:
    """However dear a request was, it delays by so many rounds at most; and there is a fresh start."""
    waiting = filled(("p", 1, 0), *[("q", QUANTUM, 0)] * 100)
    waiting.settle("m", "p", 1, 10**9)
    assert waiting.position("m", ("r1", 1)) == MOST_DEBT // QUANTUM
    served(waiting)
    waiting.settle("m", "p", 1, 10**9)
    waiting.add("m", ("r1", 1), 30.0, 1, principal="p")
    waiting.add("m", ("r2", 1), 30.0, 2, principal="q")
    assert served(waiting) == [1, 2]


def test_credit_is_bounded_and_does_not_outlive_waiting() -> None:
    """One quantum may be saved up; an idle principal has nothing."""
    waiting = filled(*[("p", QUANTUM, 0)] * 6, *[("q", QUANTUM, 0)] * 6)
    waiting.take("m", ("r1", 1))
    waiting.settle("m", "p", 50 * QUANTUM, 0)
    assert served(waiting) == [2, 7, 3, 8, 4, 9, 5, 10, 6, 11, 12]
    waiting = filled(("p", QUANTUM, 0), *[("q", QUANTUM, 0)] * 3)
    waiting.take("m", ("r1", 1))
    waiting.settle("m", "p", 50 * QUANTUM, 0)
    waiting.add("m", ("r5", 1), 30.0, 5, principal="p", cost=2 * QUANTUM)
    assert served(waiting) == [2, 3, 5, 4]


def test_what_was_saved_up_for_a_large_request_is_not_for_small_ones() -> None:
    """Leaving with it leaves no more than a quantum."""
    waiting = filled(("p", 50 * QUANTUM, 0), *[("p", QUANTUM, 0)] * 5, *[("q", QUANTUM, 0)] * 45)
    for number in range(7, 47):
        waiting.take("m", (f"r{number}", 1))
    waiting.remove("m", ("r1", 1))
    assert served(waiting)[:8] == [2, 3, 47, 4, 48, 5, 49, 6]


# ── deadlines, ages, places ──────────────────────────────────────────────────────────────────────────────────────


def test_a_deadline_can_be_moved() -> None:
    """Both ways; the old one is forgotten."""
    waiting = filled(("p", 1, 0), ("q", 1, 0))
    waiting.set_deadline(("r1", 1), 600.0)
    waiting.set_deadline(("r2", 1), 5.0)
    assert list(waiting.overdue(4.0)) == []
    assert waiting.next_deadline() == 5.0
    waiting.remove("m", ("r2", 1))
    assert waiting.next_deadline() == 600.0


def test_a_kept_place_is_taken_once_and_by_the_same_request_only() -> None:
    """Model, principal and digest must be the same; the second one to ask comes too late."""
    waiting = filled(("p", 1, 0), ("p", 1, 0))
    waiting.keep("m", ("r1", 1), b"digest", "p", 100.0)
    assert list(waiting.keys("m")) == [("r2", 1)]
    for model, principal, digest in (("n", "p", b"digest"), ("m", "q", b"digest"), ("m", "p", b"other")):
        assert waiting.reclaim(model, principal, digest, 101.0) is None
    assert waiting.reclaim("m", "p", b"digest", 101.0) == Place(number=1, since=1.0)
    assert waiting.reclaim("m", "p", b"digest", 101.0) is None


def test_of_two_alike_the_older_place_is_kept() -> None:
    """Whichever left first; unless the older one's time is over."""
    for first, second in ((1, 2), (2, 1)):
        waiting = filled(("p", 1, 0), ("p", 1, 0))
        waiting.keep("m", (f"r{first}", 1), b"digest", "p", 100.0)
        waiting.keep("m", (f"r{second}", 1), b"digest", "p", 101.0)
        assert waiting.reclaim("m", "p", b"digest", 101.0 + KEPT / 2) == Place(1, 1.0)
    waiting = filled(("p", 1, 0), ("p", 1, 0))
    waiting.keep("m", ("r1", 1), b"digest", "p", 100.0)
    waiting.keep("m", ("r2", 1), b"digest", "p", 100.0 + KEPT)
    assert waiting.reclaim("m", "p", b"digest", 101.0 + KEPT) == Place(2, 1.0)


def test_the_oldest_is_who_waits_now() -> None:
    """Not who left, nor a wait that ended and began anew."""
    waiting = filled(("p", 1, 0), ("p", 1, 0))
    waiting.add("m", ("r3", 1), 30.0, 3, since=5.0)
    assert waiting.oldest("m") == 1.0
    waiting.remove("m", ("r1", 1))
    waiting.remove("m", ("r2", 1))
    waiting.add("m", ("r1", 1), 30.0, 4, since=7.0)
    assert waiting.oldest("m") == 5.0
    waiting.remove("m", ("r3", 1))
    assert waiting.oldest("m") == 7.0
    assert waiting.oldest("n") is None


def test_kept_places_lapse_and_are_bounded() -> None:
    """After their time, or when there are too many: the oldest first."""
    waiting = filled(*[("p", 1, 0)] * (KEPT_PLACES + 2))
    for number in range(1, KEPT_PLACES + 2):
        waiting.keep("m", (f"r{number}", 1), b"%d" % number, "p", 100.0)
    assert waiting.reclaim("m", "p", b"1", 100.0) is None
    assert waiting.reclaim("m", "p", b"2", 100.0 + KEPT / 2) == Place(2, 1.0)
    assert waiting.reclaim("m", "p", b"3", 100.0 + KEPT) is None
    assert len(waiting) == 1


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_memory_is_bounded_by_who_waits() -> None:
    """Neither passing requests nor passing principals leave anything behind, while one waits on."""
    waiting = filled(("patient", 10**9, 0))
    for number in range(2, 5000):
        waiting.add("m", (f"r{number}", 1), 30.0 + number, number, principal=f"p{number}", cost=10)
        assert waiting.oldest("m") is not None
        waiting.take("m", (f"r{number}", 1))
    [line] = waiting._lines["m"]
    assert len(line._idle) <= IDLE
    assert len(line._active) == 1
    assert len(line._turns) + len(waiting._deadlines) + len(waiting._ages["m"]) < 400
    waiting.remove("m", ("r1", 1))
    assert not waiting._lines
    assert not waiting._ages


def test_a_long_queue_costs_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serving one of 4,096, of however many quanta, looks at a few turns, not at all principals or rounds."""
    waiting = filled(*[(f"p{index % 512}", 1 + (index * 7919) % 10**6, 0) for index in range(4096)])
    looks = 0
    turn = Line._turn

    def counted(self: Line, share: shares.Share, cost: int) -> int:
        nonlocal looks
        looks += 1
        return turn(self, share, cost)

    monkeypatch.setattr(Line, "_turn", counted)
    assert len(served(waiting)) == 4096
    assert looks <= 2 * 4096
