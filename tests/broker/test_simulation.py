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

import pytest
from planted import PLANTED, SIMULATOR, Planted
from simulator.run import Result, simulate

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
    {"took its waiting place"},
    {"load"},
    {"load over two devices"},
    {"another replica"},
    {"evicted"},
    {"evicted while it worked"},
    {"unloaded"},
    {"restarted for defragmentation"},
    {"refused load_failed"},
    {"refused does_not_fit"},
    *({f"operator {verb}"} for verb in ("load", "unload", "pin", "unpin", "drain", "resume")),
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
    seeds = range(0, CHUNKS * SEEDS_PER_CHUNK, 100)
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


# ── planted bugs: the simulator must find these ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bug", [bug for bug in PLANTED if bug.where == SIMULATOR], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Planted) -> None:
    """Each planted bug is found, by its own symptom, within a hundred seeds."""
    with bug.planted() as broker:
        results = (simulate(seed, broker_factory=broker) for seed in range(100))
        found = next((result for result in results if result.violation), None)
    assert found is not None, f"{bug.name} was not found"
    print(f"\n{bug.name}: seed {found.seed}: {found.violation}")
    assert re.search(bug.finding, found.violation), story(found)
