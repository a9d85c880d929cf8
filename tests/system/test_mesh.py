"""Two brokers, real processes: one owner per model, either answers an operator, and either may be killed."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet
from fleet_client import Answer, ask

from cortex.protocol.kit.paths import Planes
from cortex.protocol.messages import Status
from cortex.protocol.owner import owner

pytestmark = pytest.mark.system

MODELS = [f"m{number}" for number in range(6)]
SLOTS = 4
DEVICES = 2


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    sim = {"devices": DEVICES, "slots": SLOTS, "tokens_per_s": 100, "load_s": 0.3, "memory_bytes": 24 * 2**30}
    models = [{"id": name, "source": f"/models/{name}", "vram_mb": 7000} for name in MODELS]
    with Fleet(tmp_path / "f", brokers=2, hosts={"host": sim}, models=models) as running:
        yield running


def ctl(fleet: Fleet, broker: int, *words: str) -> subprocess.CompletedProcess[str]:
    """cortex-ctl, asked of one broker."""
    command = [sys.executable, "-P", "-m", "cortex.broker.ctl", "--endpoint"]
    endpoint = Planes.under(fleet.homes[broker]).ctl
    return subprocess.run(
        [*command, endpoint, *words], capture_output=True, text=True, timeout=60, check=False
    )


def told(report: Status) -> object:
    """What both brokers must agree on."""
    neurons = [(n.node, n.device.index, n.state, n.load, n.models) for n in report.neurons]
    return neurons, sorted((b.name, b.running, b.waiting) for b in report.brokers)


def test_both_brokers_see_one_fleet_and_share_its_models(fleet: Fleet) -> None:
    """Every model has one owner, both own some, and they agree on neurons, models and who lives."""
    owners = fleet.owners(0)
    assert fleet.owners(1) == owners
    assert set(owners.values()) == {"broker-0", "broker-1"}
    answers = asyncio.run(several(fleet, MODELS))
    assert all(answer.is_right for answer in answers), answers
    fleet.wait_for(lambda: told(fleet.status(0)) == told(fleet.status(1)), 5, "they never agreed")


def test_either_broker_passes_an_operators_word_to_the_owner(fleet: Fleet) -> None:
    """explain and load give the same answer at both; the model is loaded once."""
    for broker in (0, 1):
        explained = ctl(fleet, broker, "explain", "m0")
        assert explained.returncode == 0, explained.stderr
        assert "would load it on host/sim-" in explained.stdout
        assert f"Broker {fleet.owners()['m0']} keeps its queue" in explained.stdout
    for broker in (0, 1):
        loaded = ctl(fleet, broker, "load", "m0")
        assert loaded.returncode == 0, loaded.stderr
    held = [m.id for n in fleet.status().neurons for m in n.models if m.state == "hot"]
    assert held == ["m0"]
    assert ctl(fleet, 1, "load", "nonsense").returncode == 1


async def several(fleet: Fleet, names: list[str], **options: int) -> list[Answer]:
    return list(await asyncio.gather(*(ask(fleet.port, name, **options) for name in names)))


async def kill_while_they_wait(fleet: Fleet) -> list[Answer]:
    """200 requests, more than run at once; one broker dies while most of them wait; some come after that."""
    names = [MODELS[number % len(MODELS)] for number in range(200)]
    tasks = [asyncio.create_task(ask(fleet.port, name, max_tokens=30)) for name in names[:150]]
    for first in islice(asyncio.as_completed(tasks), 10):
        await first
    fleet.processes["broker-1"].send_signal(signal.SIGKILL)
    tasks += [asyncio.create_task(ask(fleet.port, name, max_tokens=30)) for name in names[150:]]
    return list(await asyncio.gather(*tasks))


def test_what_had_not_started_is_served_through_the_other_broker(fleet: Fleet) -> None:
    """kill -9 of a broker under 200 requests: only what ran through it at that moment may fail, retryably."""
    owners = fleet.owners()
    answers = asyncio.run(kill_while_they_wait(fleet))
    failed = [answer for answer in answers if answer.status != 200]
    lost = {answer.model for answer in failed}
    print(Counter((answer.status, answer.code) for answer in answers))
    assert all(answer.is_right for answer in answers if answer.status == 200)
    assert {answer.code for answer in failed} <= {"broker_lost"}, fleet.logs()
    assert all(owners[model] == "broker-1" for model in lost), "a model of the other broker was hurt"
    assert len(failed) <= SLOTS * sum(owner == "broker-1" for owner in owners.values())
    fleet.wait_for(lambda: set(fleet.owners().values()) == {"broker-0"}, 5, "its models never moved")
    again = asyncio.run(several(fleet, MODELS))
    assert all(answer.is_right for answer in again), again


def test_a_broker_that_returns_learns_the_fleet_and_takes_its_models_back(fleet: Fleet) -> None:
    """Killed and started again, it knows neurons, models and its peer within a few beats, and both agree."""
    before = fleet.owners()
    fleet.processes["broker-1"].kill()
    fleet.processes["broker-1"].wait()
    fleet.wait_for(lambda: set(fleet.owners().values()) == {"broker-0"}, 8, "its models never moved")
    home = fleet.homes[1]
    fleet.run("broker-1", "broker", home / "cortex.toml", home)
    fleet.wait_for(lambda: fleet.owners() == before, 10, "its models never came back")
    fleet.wait_for(
        lambda: (there := fleet.try_status(1)) is not None and told(fleet.status(0)) == told(there),
        10,
        "they never agreed",
    )
    answers = asyncio.run(several(fleet, MODELS))
    assert all(answer.is_right for answer in answers), answers


def responses(fleet: Fleet, **asked: Any) -> Iterator[dict[str, Any]]:
    """The events of a streamed response, as they come."""
    body = {"model": next(name for name, whose in fleet.owners().items() if whose == "broker-0"), **asked}
    with closing(HTTPConnection("127.0.0.1", fleet.port, timeout=20)) as connection:
        connection.request("POST", "/v1/responses", json.dumps(body), {"Content-Type": "application/json"})
        with connection.getresponse() as reply:
            for line in reply:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])


def test_a_response_whose_owner_dies_before_it_is_kept_is_kept_by_the_other(fleet: Fleet) -> None:
    """It runs through one broker and would be kept by the one that is killed: it is found at once, and gone on from."""
    asked = {"input": "x", "stream": True, "max_output_tokens": 80}
    list(responses(fleet, **asked))  # the model is loaded
    for _ in range(40):
        running = responses(fleet, **asked)
        made = next(running)["response"]["id"]
        if owner(made, ("broker-0", "broker-1")) == "broker-1":
            break
        running.close()
    fleet.processes["broker-1"].kill()
    last = list(running)[-1]
    assert last["type"] in {"response.completed", "response.incomplete"}
    with closing(HTTPConnection("127.0.0.1", fleet.port, timeout=20)) as connection:
        connection.request("GET", f"/v1/responses/{made}")
        with connection.getresponse() as reply:
            assert (reply.status, json.loads(reply.read())["id"]) == (200, made), fleet.logs()
    again = list(responses(fleet, **asked, previous_response_id=made))
    assert again[-1]["response"]["previous_response_id"] == made
