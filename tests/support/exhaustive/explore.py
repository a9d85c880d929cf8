"""Breadth first through every state, then backwards from those in which all is done: whoever is not reached is stuck.

A safety violation and a stuck state come with the shortest trace that leads there.
"""

from __future__ import annotations

import traceback
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.residency import Shelf

from cortex.broker.core import Broker
from exhaustive.memory import Moment
from exhaustive.shape import Shaper
from exhaustive.world import STEP, Scene, World

MOST = 5_000_000


@dataclass(slots=True)
class Found:
    """What an exploration found: `violation` is empty if all holds everywhere; `trace` is the way there."""

    scene: str
    states: int = 0
    steps: int = 0
    depth: int = 0
    violation: str = ""
    trace: tuple[str, ...] = field(default=(), repr=False)

    def story(self) -> str:
        return "\n".join([f"{self.scene}: {self.violation}", *(f"  {line}" for line in self.trace)])


def explore(
    scene: Scene, broker: Callable[..., Broker] = Broker, shelf: type[Shelf] = Shelf, most: int = MOST
) -> Found:
    """Explore a scene to its end, or to the first violation."""
    return Explorer(scene, World(scene, broker, shelf), most).run()


class Explorer:
    """The graph: states are numbers in the order in which they were found."""

    def __init__(self, scene: Scene, world: World, most: int) -> None:
        self.world = world
        self.most = most
        self.found = Found(scene.name)
        self.numbers: dict[int, int] = {}
        self.parents = array("q")
        self.depths = array("H")
        self.labels: list[str] = []
        self.names: dict[str, str] = {}
        self.done: list[int] = []
        self.sources = array("q")
        self.targets = array("q")
        """The steps that are nobody's free choice, by which the work goes on."""
        self.frontier: deque[tuple[int, list[Moment]]] = deque()

    def run(self) -> Found:
        world, found = self.world, self.found
        first = world.begin()
        self._reach(-1, "", first)
        while self.frontier:
            number, moments = self.frontier.popleft()
            world.restore(moments)
            for label, call, args, is_sure in world.actions():
                world.restore(moments)
                found.steps += 1
                try:
                    call(*args)
                except Exception as error:
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    found.violation = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
                    found.trace = (*self._trace(number), label)
                    return self._counted()
                target = self._reach(number, label, moments)
                if is_sure and target != number:
                    self.sources.append(number)
                    self.targets.append(target)
            if len(self.numbers) > self.most:
                found.violation = f"more than {self.most} states"
                return self._counted()
        self._nobody_is_stuck()
        return self._counted()

    def _counted(self) -> Found:
        self.found.states = len(self.numbers)
        self.found.depth = max(self.depths)
        return self.found

    def _reach(self, parent: int, label: str, before: list[Moment]) -> int:
        """The number of the state that the world is in; a new one is to be explored."""
        world = self.world
        shape = hash(Shaper(world, STEP).shape())
        number = self.numbers.get(shape)
        if number is None:
            number = self.numbers[shape] = len(self.numbers)
            self.parents.append(parent)
            self.depths.append(self.depths[parent] + 1 if parent >= 0 else 0)
            self.labels.append(self.names.setdefault(label, label))
            if world.judge.is_done():
                self.done.append(number)
            self.frontier.append((number, world.capture(before)))
        return number

    def _trace(self, number: int) -> tuple[str, ...]:
        lines = []
        while number > 0:
            lines.append(self.labels[number])
            number = self.parents[number]
        return tuple(reversed(lines))

    def _nobody_is_stuck(self) -> None:
        """From every state some way without a fault leads to one in which everybody is answered."""
        before: list[list[int]] = [[] for _ in range(len(self.numbers))]
        for source, target in zip(self.sources, self.targets, strict=True):
            before[target].append(source)
        reached = bytearray(len(self.numbers))
        todo = list(self.done)
        for number in todo:
            reached[number] = 1
        while todo:
            for number in before[todo.pop()]:
                if not reached[number]:
                    reached[number] = 1
                    todo.append(number)
        stuck = reached.find(0)
        if stuck >= 0:
            count = len(reached) - sum(reached)
            self.found.violation = f"{count} states are stuck: whatever happens, somebody waits for ever"
            self.found.trace = self._trace(stuck)
