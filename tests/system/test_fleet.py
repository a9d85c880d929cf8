"""A small fleet under random traffic for a minute: three hosts of different memory, more models than fit."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from fleet import Fleet
from fleet_client import Answer, ask
from prometheus_client.parser import text_string_to_metric_families

from cortex.protocol.kit.paths import Planes
from cortex.protocol.messages import Status

pytestmark = pytest.mark.system

SECONDS = 60.0
GIB = 2**30
HOSTS = {
    "small": {"memory_bytes": 8 * GIB, "load_s": 0.2, "tokens_per_s": 100, "slots": 4},
    "middle": {"memory_bytes": 16 * GIB, "load_s": 0.3, "tokens_per_s": 200, "slots": 4},
    "large": {"memory_bytes": 24 * GIB, "load_s": 0.4, "tokens_per_s": 300, "slots": 8},
}
MODELS = [
    {
        "id": f"m{number}",
        "source": f"/models/m{number}",
        "vram_mb": 1024 * (2 + number % 6),
        "min_residency": 0.5,
        "pinned": number == 0,
        "ttl": 3.0 if number % 4 == 1 else 0.0,
    }
    for number in range(12)
]
# No restarts for defragmentation in the minute of traffic: a fresh process begins its own count anew.
SETTINGS = {"queue": {"turn_s": 2.0}, "eviction": {"strategy": "cost", "defrag_after_cycles": 0}}


async def client(fleet: Fleet, number: int, until: float, answers: list[Answer]) -> None:
    """One after another, sometimes a pause, now and then a model that does not exist."""
    rng = random.Random(number)
    while time.monotonic() < until:
        model = "nonsense" if rng.random() < 0.02 else f"m{int(12 * rng.random() ** 1.5)}"
        answers.append(await ask(fleet.port, model, max_tokens=rng.randint(1, 30), key=f"user-{number % 5}"))
        if rng.random() < 0.3:
            await asyncio.sleep(rng.random())


async def watch(fleet: Fleet, until: float, reports: list[Status]) -> None:
    while time.monotonic() < until:
        report = await asyncio.to_thread(fleet.try_status)
        if report is not None:
            reports.append(report)
        await asyncio.sleep(0.2)


async def traffic(fleet: Fleet) -> tuple[list[Answer], list[Status]]:
    until = time.monotonic() + SECONDS
    answers: list[Answer] = []
    reports: list[Status] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(watch(fleet, until, reports))
        for number in range(10):
            group.create_task(client(fleet, number, until, answers))
    return answers, reports


def over_capacity(report: Status) -> list[str]:
    """Devices on which what is hot or draining takes more than the budget."""
    return [
        neuron.node
        for neuron in report.neurons
        if sum(m.footprint_bytes for m in neuron.models if m.state in {"hot", "draining"})
        > neuron.device.budget_bytes
    ]


def evictions(fleet: Fleet) -> dict[tuple[str, str], float]:
    """The neurons' own count, as far as they have any."""
    return {
        (n.node, f"{n.device.kind}-{n.device.index}"): float(n.evictions)
        for n in fleet.status().neurons
        if n.evictions
    }


def series(text: str, name: str) -> dict[tuple[str, str], float]:
    """A counter of devices, summed over its other labels."""
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                found[sample.labels["node"], sample.labels["device"]] += sample.value
    return dict(found)


@pytest.mark.timeout(240)
def test_a_minute_of_random_traffic(tmp_path: Path) -> None:
    """Every request ends once and right, no ledger is overdrawn, models are evicted, and all counts agree."""
    with Fleet(tmp_path / "f", hosts=HOSTS, models=MODELS, settings=SETTINGS) as fleet:
        answers, reports = asyncio.run(traffic(fleet))
        verdicts = Counter((answer.status, answer.code) for answer in answers)
        print(verdicts, f"slowest {max(answer.seconds for answer in answers):.1f} s")
        unknown = [answer for answer in answers if answer.model == "nonsense"]
        # In its first seconds a broker cannot tell yet that there is no such model.
        assert {answer.code for answer in unknown[10:]} == {"model_not_found"}, verdicts
        assert {answer.code for answer in unknown} <= {"model_not_found", "broker_lost"}, verdicts
        known = [answer for answer in answers if answer.model != "nonsense"]
        assert all(answer.is_right for answer in known), [a for a in known if not a.is_right][:5]
        assert len(known) > 200, verdicts
        assert [over for report in reports if (over := over_capacity(report))] == []

        fleet.wait_for(lambda: not fleet.status().running, 10, "something still runs")
        assert sum(evictions(fleet).values()) > 10
        # Idle models still reach the end of their time to live, and the exporter is a second behind.
        fleet.wait_for(
            lambda: series(fleet.metrics(), "cortex_evictions_total") == evictions(fleet),
            15,
            "broker and neurons count differently",
        )
        final = fleet.status()
        pinned = [m.id for n in final.neurons for m in n.models if m.pinned and m.state == "hot"]
        assert pinned == ["m0"], "the pinned model was evicted, or never loaded"
        served = sum(answer.status == 200 for answer in answers)
        assert final.served == served


def process_of(fleet: Fleet, host: str) -> str:
    """The device process of a host, by its number."""
    pid = fleet.processes[host].pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()


def hot(fleet: Fleet) -> set[tuple[str, bool]]:
    return {(m.id, m.pinned) for n in fleet.status().neurons for m in n.models if m.state == "hot"}


def test_a_worn_device_is_restarted_and_gets_its_pins_back(tmp_path: Path) -> None:
    """After three loads the idle device process is replaced; what an operator pinned there is loaded and pinned again."""
    models = [{"id": name, "source": f"/{name}", "vram_mb": 3000, "min_residency": 0.0} for name in "abc"]
    hosts = {"one": {"memory_bytes": 8 * GIB, "load_s": 0.2, "tokens_per_s": 300}}
    with Fleet(
        tmp_path / "f", hosts=hosts, models=models, settings={"eviction": {"defrag_after_cycles": 3}}
    ) as fleet:
        before = process_of(fleet, "one")
        pinned = ctl(fleet, "pin", "a")
        assert pinned.returncode == 0, pinned.stderr
        assert hot(fleet) == {("a", True)}
        for model in ("b", "c"):
            assert asyncio.run(ask(fleet.port, model)).is_right
        fleet.wait_for(lambda: process_of(fleet, "one") not in ("", before), 15, "it was never restarted")
        fleet.wait_for(lambda: hot(fleet) == {("a", True)}, 15, "its pin never came back")
        assert asyncio.run(ask(fleet.port, "b")).is_right
        told = ctl(fleet, "events").stdout
        assert "3 load cycles; its memory is to be whole again" in told
        assert "it was pinned on one/sim-0 before its process ended" in told


def test_a_herd_on_a_cold_model_is_one_load(tmp_path: Path) -> None:
    """A thousand clients at once: all are served, and the model is loaded once."""
    hosts = {"one": {"memory_bytes": 8 * GIB, "load_s": 1.0, "tokens_per_s": 2000, "slots": 64}}
    models = [{"id": "m", "source": "/m", "vram_mb": 3000}]

    async def herd(port: int) -> list[Answer]:
        return await asyncio.gather(*[ask(port, "m", key=f"user-{number % 10}") for number in range(1000)])

    with Fleet(tmp_path / "f", hosts=hosts, models=models) as fleet:
        answers = asyncio.run(herd(fleet.port))
        assert Counter((one.status, one.code) for one in answers) == {(200, ""): 1000}
        assert all(one.is_right for one in answers)
        told = json.loads(ctl(fleet, "--json", "events").stdout)
        loads = [one for one in told["events"] if one["what"] == "load"]
        assert len(loads) == 1, loads


def test_what_no_device_takes_is_told_at_once(tmp_path: Path) -> None:
    """An engine that no host runs: the client and the operator read the reason, and nobody waits."""
    hosts = {"one": {"memory_bytes": 8 * GIB}}
    models = [{"id": "m", "source": "/m", "vram_mb": 3000, "engine": "torch"}]
    with Fleet(tmp_path / "f", hosts=hosts, models=models) as fleet:
        answer = asyncio.run(ask(fleet.port, "m"))
        assert (answer.status, answer.code) == (503, "load_failed")
        assert answer.seconds < 5
        ordered = ctl(fleet, "load", "m")
        assert ordered.returncode == 1
        assert "this device runs 'sim'" in ordered.stderr


def ctl(fleet: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "cortex.broker.ctl",
        "--endpoint",
        Planes.under(fleet.homes[0]).ctl,
    ]
    return subprocess.run([*command, *words], capture_output=True, text=True, timeout=60, check=False)
