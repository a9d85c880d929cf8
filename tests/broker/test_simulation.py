"""The broker core under a thousand seeded worlds: virtual time, faulty links and peers, an oracle after every event.

Each chunk prints its figures (`pytest -s`). A failure names its seed: `simulate(seed)` replays it exactly.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from simulator.run import Result, simulate

from cortex.broker.core import Broker
from cortex.broker.events import FromNeuron
from cortex.broker.fleet import Neuron
from cortex.broker.requests import Request, Requests
from cortex.broker.waiting import Key
from cortex.protocol import messages as m

CHUNKS = 10
SEEDS_PER_CHUNK = 100
SUPPORT = Path(__file__).parents[1] / "support"

SOMETIMES = (
    {"put back because busy"},
    {"neuron lost while assigned"},
    {"neuron lost while running"},
    {"lost frame found by heartbeats"},
    {"stray cancelled"},
    {"cancelled while waiting"},
    {"cancelled while assigned"},
    {"cancelled while running"},
    {"refused overloaded", "refused no_capacity"},
    {"refused model_not_found"},
    {"duplicate submit of a live attempt"},
    {"duplicate submit of an ended attempt"},
    {"failed stalled"},
    {"edge lost with requests"},
    {"broker restarted"},
    {"told to register again"},
)
"""Branches of which one per set must be taken by at least one seed in a hundred."""


def story(result: Result) -> str:
    return "\n".join([repr(result), *result.tail, f"seed {result.seed}: {result.violation}"])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_thousand_seeds_hold(chunk: int) -> None:
    """No seed violates an invariant, each is large enough, and together they take every interesting branch."""
    seeds = range(chunk * SEEDS_PER_CHUNK, (chunk + 1) * SEEDS_PER_CHUNK)
    taken: Counter[str] = Counter()
    events = []
    started = time.process_time()
    for seed in seeds:
        result = simulate(seed)
        assert not result.violation, story(result)
        assert result.neurons >= 3, story(result)
        assert result.requests >= 100, story(result)
        assert result.events >= 1000, story(result)
        assert result.struck.total() >= 3, story(result)
        taken.update(result.branches.keys())
        events.append(result.events)
    spent = time.process_time() - started
    print(
        f"\nseeds {seeds.start}-{seeds.stop - 1}: {len(seeds) / spent:.1f} seeds/s, {sum(events) / spent:.0f} events/s,"
        f" events per seed min {min(events)} median {statistics.median(events):.0f}, branches {dict(taken)}"
    )
    missing = [names for names in SOMETIMES if max(taken[name] for name in names) < len(seeds) / 100]
    assert not missing, f"the worlds are too tame: {missing}"


def test_the_same_seed_is_the_same_run() -> None:
    """A sample of seeds, run twice, gives the same trace each time, and no two seeds share one."""
    seeds = range(0, CHUNKS * SEEDS_PER_CHUNK, 50)
    first = [simulate(seed).trace for seed in seeds]
    assert first == [simulate(seed).trace for seed in seeds]
    assert len(set(first)) == len(first)


def test_the_same_seed_is_the_same_run_in_another_process() -> None:
    """Nothing of the process leaks into a run, not even the order of its sets."""
    command = "from simulator.run import simulate; print(simulate(7).trace)"
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT), "PYTHONHASHSEED": "4711"}
    environment.pop("PYTHONSAFEPATH", None)
    answer = subprocess.run(
        [sys.executable, "-c", command],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert answer.stdout.strip() == simulate(7).trace


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_world_loses_nothing(seed: int) -> None:
    """Without faults, everything ends as finished, left, refused by the queue, or broken by its own engine."""
    result = simulate(seed, faulty=False)
    assert not result.violation, story(result)
    bad = {"failed neuron_lost", "failed stalled", "request unknown", "call gap", "stray cancelled"}
    assert not bad & result.branches.keys(), story(result)


# ── planted bugs: the simulator must find each ───────────────────────────────────────────────────────────────────


class KeepsTheSlotOfAFailure(Broker):
    """A slot leaks on one way out; the books that `check` reads are blind to it."""

    def _terminal(
        self, neuron: Neuron, message: m.Finished | m.Failed, event: FromNeuron, now: float
    ) -> None:
        model = neuron.assigned.get((message.request, message.attempt))
        super()._terminal(neuron, message, event, now)
        if isinstance(message, m.Failed) and model is not None:
            neuron.load[model] += 1

    def check(self) -> None:
        self.requests.check()


class _ToTheBack(Requests):
    def put_back(self, request: Request) -> None:
        request.number = self.submitted = self.submitted + 1
        super().put_back(request)

    def check(self) -> None:
        pass


class ReturnsToTheBack(Broker):
    """What comes back loses its place in the queue."""

    def __init__(self, name: str, now: float) -> None:
        super().__init__(name, now)
        self.requests = _ToTheBack(self._effects)


class ForgetsToWake(Broker):
    """An answer frees a slot, and nobody who waits is woken."""

    def _terminal(
        self, neuron: Neuron, message: m.Finished | m.Failed, event: FromNeuron, now: float
    ) -> None:
        request = self._of_neuron(neuron, message.request, message.attempt)
        if request is not None:
            self.requests.end(request, message, event.payload)


class _Forgetful(Requests):
    def has_ended(self, key: Key) -> bool:
        return False


class RunsDuplicatesAgain(Broker):
    """A late duplicate of an ended attempt is executed."""

    def __init__(self, name: str, now: float) -> None:
        super().__init__(name, now)
        self.requests = _Forgetful(self._effects)


class BelievesTheDeparted(Broker):
    """A terminal counts whoever sends it."""

    def _of_neuron(self, neuron: Neuron, request: str, attempt: int) -> Request | None:
        found = self.requests.live.get((request, attempt))
        return found if found is not None and found.neuron is not None else None


class RelaysForAnySession(Broker):
    """Token frames pass by their route alone."""

    def relay(self, neuron: bytes, session: bytes, edge: bytes) -> bool:
        return neuron in self.neurons and edge in self.edges


class ClearsEveryRefusal(Broker):
    """A refusal for one model makes the broker forget those for the others: it spins."""

    def _refused(self, neuron: Neuron, message: m.Refused, event: FromNeuron, now: float) -> None:
        neuron.full.clear()
        super()._refused(neuron, message, event, now)


PLANTED: tuple[tuple[type[Broker], str], ...] = (
    (KeepsTheSlotOfAFailure, "slots are taken"),
    (ReturnsToTheBack, "was served before"),
    (ForgetsToWake, "somebody waits beside a free slot"),
    (RunsDuplicatesAgain, "executed after its terminal|ended twice"),
    (BelievesTheDeparted, "that it had left"),
    (RelaysForAnySession, "unknown session"),
    (ClearsEveryRefusal, "spins"),
)


@pytest.mark.parametrize(("broker", "finding"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_bug_is_found(broker: type[Any], finding: str) -> None:
    """Each planted bug is found, by its own symptom, within a hundred seeds."""
    results = (simulate(seed, broker_factory=broker) for seed in range(100))
    found = next((result for result in results if result.violation), None)
    assert found is not None, f"{broker.__name__} was not found"
    print(f"\n{broker.__name__}: seed {found.seed}: {found.violation}")
    assert re.search(finding, found.violation), story(found)
