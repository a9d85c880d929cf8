"""Every state that small worlds round the real broker core can reach: nothing forbidden, and nobody stuck.

Each scene prints its figures (`pytest -s`); a failure tells the shortest way there. The deeper scenes take minutes
each and run by hand: CORTEX_DEEP=1 python -m pytest tests/broker/test_exhaustive.py -n 2 -s --timeout 3600
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import fields, replace
from typing import Any

import pytest
from exhaustive.explore import explore
from exhaustive.scenes import DEEP, LEAVING, SCENES, TURNS
from exhaustive.shape import IGNORED, SEEN, Shaper
from exhaustive.world import STEP, Scene, World
from planted import PLANTED, SIMULATOR, Planted
from simulator.residency import Held

from cortex.broker.fleet import Neuron
from cortex.broker.loads import Placement
from cortex.broker.requests import Request
from cortex.broker.view import View

IS_DEEP = bool(os.environ.get("CORTEX_DEEP"))
STATES = {
    "swap": 18_000,
    "crashing": 1_200,
    "hanging": 4_900,
    "lagging": 5_000,
    "spanning": 4_000,
    "leaving": 2_500,
    "failing": 2_500,
}
"""The least that some scenes must have, or the world has become too tame: together more than 50,000."""


@pytest.mark.timeout(400)  # it counts states, not seconds: a busy machine takes long
@pytest.mark.parametrize("scene", SCENES + (DEEP if IS_DEEP else ()), ids=lambda scene: scene.name)
def test_no_state_is_forbidden_and_from_each_everybody_can_be_served(scene: Scene) -> None:
    """Safety after everything that happens; and from every state a way without faults answers all who wait."""
    started = time.process_time()
    found = explore(scene)
    spent = time.process_time() - started
    print(
        f"\n{found.scene}: {found.states} states, {found.steps} steps, depth {found.depth},"
        f" {spent:.1f} s, {found.states / spent:.0f} states/s"
    )
    assert not found.violation, found.story()
    assert found.states >= STATES.get(scene.name, 500)


@pytest.mark.parametrize("bug", [bug for bug in PLANTED if bug.where != SIMULATOR], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Planted) -> None:
    """Each planted bug of placement is found by its own symptom, in the scene that is named for it."""
    (scene,) = [scene for scene in SCENES if scene.name == bug.where]
    with bug.planted() as broker:
        found = explore(scene, broker)
    print(f"\n{bug.name}: {found.states} states: {found.story()}")
    assert re.search(bug.finding, found.violation), found.story()


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Neuron, "Neuron"), (Placement, "Placement"), (Request, "Request"), (View, "View"), (Held, "Held")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_field_is_in_the_shape_of_a_state_or_ignored_for_a_reason(kind: Any, name: str) -> None:
    """A new field of the books asks for a decision: do two states that differ in it behave alike?"""
    seen, ignored = set(SEEN[name].split()), set(IGNORED.get(name, {}))
    assert not seen & ignored
    assert seen | ignored == {field.name for field in fields(kind)}


def test_a_moment_can_be_returned_to() -> None:
    """Whatever happened since, the world has the same shape again and the same may happen."""
    world = World(LEAVING)
    moments = world.begin()
    world.restore(moments)
    for _ in range(6):
        shape = Shaper(world, STEP).shape()
        actions = [label for label, *_ in world.actions()]
        for number in range(len(actions)):
            world.restore(moments)
            _, call, args, _ = world.actions()[number]
            call(*args)
        world.restore(moments)
        assert Shaper(world, STEP).shape() == shape
        assert [label for label, *_ in world.actions()] == actions
        _, call, args, _ = world.actions()[0]
        call(*args)
        moments = world.capture(moments)
        world.restore(moments)


def test_the_same_scene_has_the_same_states() -> None:
    """Nothing of the process leaks into the exploration."""
    scene = replace(TURNS, arrivals=2)
    first, second = explore(scene), explore(scene)
    assert (first.states, first.steps, first.depth) == (second.states, second.steps, second.depth)
