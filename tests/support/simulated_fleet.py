"""A small simulated fleet that a test drives by hand: devices of a few units of memory, one edge, the oracle watching."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from simulator.edge_model import Call, EdgeModel
from simulator.neuron_model import NeuronModel
from simulator.oracle import Oracle
from simulator.residency import Held
from simulator.world import Spec, World

from cortex.broker.catalogue import Catalogue, Profile
from cortex.broker.core import Broker
from cortex.broker.view import Policy

LATENCY = 0.001
SOON = 0.1
"""Seconds in which messages have arrived, and nothing else has happened."""


def model(name: str, units: int, **more: object) -> Profile:
    settings: dict[str, object] = {"min_residency": 0.0, "load_deadline": 10.0} | more
    return Profile(id=name, source=f"/models/{name}", vram_mb=units * 1024, **settings)  # type: ignore[arg-type]


@dataclass
class Fleet:
    """A small world: `budgets` gives each device its units of memory, `steps` counts what its loads take."""

    profiles: tuple[Profile, ...]
    budgets: tuple[int, ...] = (3,)
    load_s: float = 1.0
    policy: Policy = field(default_factory=lambda: Policy(turn_s=2.0))
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = self.world = World(Random(4711), Broker)
        world.oracle = Oracle(world)
        world.catalogue, world.policy = Catalogue(models=self.profiles), self.policy
        self.devices = [
            NeuronModel(world, "node", {}, LATENCY, 0.05, index=index, budget=budget)
            for index, budget in enumerate(self.budgets)
        ]
        self.edge = EdgeModel(world, "edge", LATENCY)
        world.start_broker()
        for device in self.devices:
            device.fate.load_s = self.load_s
            device.start()
        self.edge.start()
        self.run(5.0)

    @property
    def broker(self) -> Broker:
        assert self.world.broker is not None
        return self.world.broker

    def run(self, seconds: float) -> None:
        """Let time pass, under the eyes of the oracle."""
        end = self.world.now + seconds
        while self.world.now + 1.0 < end:
            self.world.run_until(self.world.now + 1.0)
            self.world.oracle.watch()
        self.world.run_until(end)

    def ask(
        self, name: str, *, tokens: int = 2, queue_s: float = 30.0, patience: float | None = None
    ) -> Call:
        number = len(self.calls)
        spec = Spec(f"r{number}", name, (tokens,), number, int(1000 * queue_s), None)
        self.world.specs[spec.request] = spec
        call = self.edge.arrive(spec, patience)
        self.calls.append(call)
        self.world.oracle.calls.append(call)
        return call

    def held(self, name: str, device: int = 0) -> Held | None:
        return self.devices[device].shelf.models.get(name)

    def states(self, device: int = 0) -> dict[str, str]:
        return {name: held.state for name, held in self.devices[device].shelf.models.items()}

    def warm(self, *names: str) -> None:
        """Have models loaded and idle."""
        for name in names:
            call = self.ask(name)
            self.run(self.load_s + 1.0)
            assert call.outcome == "finished"

    def quiet(self, seconds: float = 20.0) -> None:
        """After a while nothing is left over anywhere."""
        self.run(seconds)
        self.world.oracle.quiescent(self.devices, [self.edge])

    @property
    def loads(self) -> int:
        """Loads that began, on all devices and in all their lives."""
        return sum(one.loads + (one.shelf.loads if one.alive else 0) for one in self.devices)


def outcomes(calls: list[Call]) -> list[str]:
    return sorted({call.outcome for call in calls})
