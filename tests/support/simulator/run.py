"""One seed, one run: draw a world, let it live, judge it."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from cortex.broker.catalogue import Catalogue, Profile, Replicas
from cortex.broker.core import Broker
from cortex.broker.view import Policy
from simulator.edge_model import EdgeModel
from simulator.faults import Faults
from simulator.neuron_model import NeuronModel
from simulator.oracle import Oracle
from simulator.world import BrokerFactory, Spec, World

ARRIVALS_END = 30.0
FAULTS_END = 35.0
HEALED = FAULTS_END + 15.0
"""By then the last fault is over, whatever it was."""
QUIET_AT_MOST = 120.0
PLACING = 0.6
UNIT_MB = 1024
SETTLING = 6.0
"""After the last answer, views must agree within this long."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run was and how it ended; `violation` is empty when all held."""

    seed: int
    trace: str
    events: int
    neurons: int
    requests: int
    seconds: float
    struck: Counter[str]
    branches: Counter[str]
    violation: str = ""
    tail: tuple[str, ...] = field(default=(), repr=False)
    """The last lines of the trace."""


def simulate(seed: int, *, broker_factory: BrokerFactory = Broker, faulty: bool = True) -> Result:
    """Run one seed to its end or to its first violation."""
    run = _Run(seed, broker_factory, faulty=faulty)
    violation = ""
    try:
        run.live()
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        violation = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    return Result(
        seed=seed,
        trace=run.oracle.trace,
        events=run.oracle.events,
        neurons=len(run.neurons),
        requests=len(run.oracle.calls),
        seconds=run.world.now,
        struck=run.faults.struck if run.faults is not None else Counter(),
        branches=run.oracle.branches,
        violation=violation,
        tail=tuple(run.oracle.tail),
    )


class _Run:
    """Everything that a seed decides."""

    def __init__(self, seed: int, broker_factory: BrokerFactory, *, faulty: bool) -> None:
        rng = self.rng = Random(seed)
        self.places = rng.random() < PLACING
        """Whether models are placed by the broker, or stand where they are from the start."""
        world = self.world = World(rng, broker_factory)
        self.oracle = world.oracle = Oracle(world)
        self.models = [f"m{number}" for number in range(rng.randint(2, 5))]
        latency = rng.choice([0.001, 0.01, 0.1])
        step = rng.choice([0.1, 0.2, 0.3])
        self.neurons = [
            NeuronModel(
                world,
                f"node-{number // 2 if self.places else number}",
                {} if self.places else self._slots(number),
                latency,
                step,
                index=number % 2 if self.places else 0,
                budget=rng.choice([3, 4, 6]) if self.places else 0,
            )
            for number in range(rng.randint(3, 6))
        ]
        if self.places:
            self._draw_catalogue()
        self.edges = [EdgeModel(world, f"edge-{number}", latency) for number in range(rng.randint(2, 3))]
        self.faults = Faults(world, self.neurons, self.edges, FAULTS_END, self.models) if faulty else None
        self._draw_arrivals(rng.randint(180, 220))

    def _slots(self, number: int) -> dict[str, int]:
        """Every model is somewhere, the first one everywhere it can be."""
        rng = self.rng
        held = {self.models[number % len(self.models)], *rng.sample(self.models, rng.randint(1, 2))}
        return {model: rng.randint(1, 8) for model in sorted(held)}

    def _draw_catalogue(self) -> None:
        """Models of all sizes, more than fit; some pinned, some with a time to live, one that fits nowhere."""
        rng = self.rng
        profiles = []
        for name in self.models:
            spans = rng.random() < 0.15
            size = rng.choice([2, 4]) if spans else rng.choice([1, 1, 2, 3])
            profiles.append(
                Profile(
                    id=name,
                    source=f"/models/{name}",
                    vram_mb=size * UNIT_MB,
                    min_devices=2 if spans else 1,
                    priority=rng.choice([100, 100, 100, 200]),
                    pinned=rng.random() < 0.08,
                    ttl=rng.choice([0.0, 0.0, 1.0, 4.0]),
                    min_residency=rng.choice([0.0, 1.0, 3.0]),
                    load_deadline=rng.choice([4.0, 10.0]),
                    replicas=Replicas(min=0, max=rng.choice([1, 1, 2])),
                )
            )
        profiles.append(Profile(id="giant", source="/models/giant", vram_mb=99 * UNIT_MB))
        self.world.catalogue = Catalogue(models=tuple(profiles))
        self.world.policy = Policy(
            strategy=rng.choice(["lru", "priority", "cost"]),
            turn_s=rng.choice([0.5, 2.0, 5.0]),
            defrag_after_cycles=rng.choice([0, 0, 3, 6]),
        )
        for neuron in self.neurons:
            neuron.fate.load_s = rng.choice([0.3, 1.0, 2.5])

    def _draw_arrivals(self, count: int) -> None:
        rng = self.rng
        longest = rng.choice([20, 40, 90])
        held = sorted({model for neuron in self.neurons for model in neuron.slots})
        if self.places:
            held = [*self.models, "giant"]
        shared = rng.random() < 0.5
        for number in range(count):
            model = "unheard-of" if rng.random() < 0.02 else held[int(len(held) * rng.random() ** 2)]
            spec = Spec(
                request=f"r{number}",
                model=model,
                totals=tuple(rng.randint(1, longest) for _ in range(2 if rng.random() < 0.1 else 1)),
                base=rng.randrange(50021),
                queue_ms=rng.choice([1500, 5000, 12000]),
                fails_at=rng.randint(0, 6) if rng.random() < 0.02 else None,
                principal=f"p{rng.randint(0, 3)}" if shared else "",
            )
            patience = rng.uniform(0.0, 6.0) if rng.random() < 0.12 else None
            if (
                patience is not None and rng.random() < 0.5
            ):  # its client sends the same again, sooner or later
                spec.digest = b"digest of %d" % number
                again = replace(spec, request=f"r{number}b", base=rng.randrange(50021))
                self.world.specs[again.request] = again
                self.world.at(ARRIVALS_END * rng.random() + patience, self._arrive, (again, None))
            self.world.specs[spec.request] = spec
            burst = rng.random() < 0.3
            when = rng.choice([3.0, 11.0, 19.0]) + rng.random() if burst else rng.uniform(0.5, ARRIVALS_END)
            self.world.at(when, self._arrive, (spec, patience))

    def _arrive(self, spec: Spec, patience: float | None) -> None:
        """A client comes to any edge that listens."""
        listening = [edge for edge in self.edges if edge.alive and not edge.paused]
        if listening:
            self.oracle.calls.append(self.rng.choice(listening).arrive(spec, patience))
        else:
            self.world.after(0.5, self._arrive, (spec, patience))

    def live(self) -> None:
        """Start everybody, let faults and arrivals happen, then wait until all is quiet and look."""
        world = self.world
        world.start_broker()
        for neuron in self.neurons:
            neuron.start()
        for edge in self.edges:
            edge.start()
        moment = 0.0
        while moment < HEALED or not self.oracle.is_quiet(self.neurons):
            moment += 1.0
            self.oracle.require(moment < QUIET_AT_MOST, "it never became quiet")
            world.run_until(moment)
            self.oracle.watch()
        world.run_until(moment + SETTLING)
        self.oracle.quiescent(self.neurons, self.edges)
