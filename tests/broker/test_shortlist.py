"""The placement that is found without looking at every device is the one that looking at every device finds."""

from __future__ import annotations

import pytest
from drawn_fleets import draw, draw_full
from fleets import Fleet

from cortex.broker.placement import looks, plan
from cortex.broker.shortlist import best
from cortex.broker.view import Strategy

SEEDS = 240


def compare(fleet: Fleet) -> int:
    """Every model, every way of asking. Answers how many of them were placements that evict."""
    view, evicting = fleet.view, 0
    strategies: tuple[Strategy, ...] = ("lru", "priority", "cost")
    for strategy in strategies:
        view.policy.strategy = strategy
        for name in (*view.profiles, "bare"):
            profile = view.profile(name)
            for drain in (False, True):
                for only in ("", "h1", "h0/sim-1"):
                    slow = plan(
                        view, profile, looks(view, profile, fleet.now, drain=drain, only=only), drain=drain
                    )
                    assert best(view, profile, fleet.now, drain=drain, only=only) == slow
                    evicting += slow is not None and bool(slow.victims)
            idle = plan(view, profile, looks(view, profile, fleet.now), idle=True)
            assert best(view, profile, fleet.now, idle=True) == idle
    return evicting


@pytest.mark.parametrize("part", range(4))
def test_the_short_way_finds_what_the_long_way_finds(part: int) -> None:
    """Over fleets that some life has gone through, for all strategies: the same device, the same victims."""
    evicting = sum(compare(draw(seed)) for seed in range(part, SEEDS, 4))
    assert evicting > 150, "the fleets drawn leave too little to decide"


@pytest.mark.parametrize("strategy", ["lru", "priority", "cost"])
def test_among_full_devices_the_same_one_is_found(strategy: Strategy) -> None:
    """Devices full of models that differ in age, size, priority, price, copies and work."""
    evicting = 0
    for seed in range(100):
        fleet = draw_full(seed)
        view, wanted = fleet.view, fleet.profile("cold")
        view.policy.strategy = strategy
        for drain in (False, True):
            slow = fleet.plan("cold", drain=drain)
            assert best(view, wanted, fleet.now, drain=drain) == slow, seed
            evicting += slow is not None
    assert evicting > 150, "the fleets drawn leave too little to decide"
