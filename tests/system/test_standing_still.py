"""Processes that stand still for longer than anybody waits for them, and go on: they are heard again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet
from fleet_client import ask
from stack import Stack

pytestmark = pytest.mark.system

STANDS_S = 8.0
"""Their connections end after three to four seconds, and are made again while nobody answers."""
SOON_S = 10.0
"""After they go on; a second on a quiet machine."""
SIM: dict[str, Any] = {"devices": 1, "slots": 8, "tokens_per_s": 20}
MODELS = [f"m{number}" for number in range(4)]


def answer(port: int, method: str, path: str, **asked: object) -> tuple[int, bytes]:
    """One request on a connection of its own, to its end."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=40)) as connection:
        connection.request(method, path, json.dumps(asked), {"Content-Type": "application/json"})
        with connection.getresponse() as response:
            return response.status, response.read()


def end_of_stream(port: int) -> str:
    """Of one that is long enough to be there when all go on: the code of its error, or nothing."""
    messages = [{"role": "user", "content": "x"}]
    asked = {"model": "sim-model", "messages": messages, "stream": True, "max_tokens": 600}
    _, body = answer(port, "POST", "/v1/chat/completions", **asked)
    events = [line[6:] for line in body.splitlines() if line.startswith(b"data: {")]
    return str(json.loads(events[-1]).get("error", {}).get("code", ""))


def is_served(port: int, model: str = "sim-model") -> bool:
    return asyncio.run(ask(port, model, patience=20.0)).is_right


def stored(fleet: Fleet) -> str:
    """The id of a response that the fleet keeps."""
    _, body = answer(fleet.port, "POST", "/v1/responses", model=MODELS[0], input="x", max_output_tokens=16)
    return str(json.loads(body)["id"])


def is_kept(fleet: Fleet, response: str) -> bool:
    return answer(fleet.port, "GET", f"/v1/responses/{response}")[0] == 200


def is_whole(fleet: Fleet) -> bool:
    """Whether edge and brokers see both brokers and the device."""
    known = json.loads(answer(fleet.port, "GET", "/health")[1])["brokers"]
    reports = [fleet.try_status(number) for number in (0, 1)]
    return all(broker["live"] for broker in known) and all(
        report is not None
        and [neuron.state for neuron in report.neurons] == ["ready"]
        and all(broker.state != "gone" for broker in report.brokers)
        for report in reports
    )


def test_whoever_stood_still_is_heard_again_and_everything_goes_on(tmp_path: Path) -> None:
    """The only broker, one of two, a device, an edge worker: streams end with an error, new requests are served."""
    with ExitStack() as running, ThreadPoolExecutor() as threads:
        makers = [
            *(lambda name=name: Stack(tmp_path / name, sim=SIM).__enter__() for name in ("b", "n", "e")),
            lambda: Fleet(
                tmp_path / "f",
                brokers=2,
                hosts={"host": SIM | {"memory_bytes": 64 * 2**30, "tokens_per_s": 200}},
                models=[{"id": name, "source": f"/models/{name}", "vram_mb": 7000} for name in MODELS],
            ).__enter__(),
        ]
        stacks: list[Any] = []
        for one in threads.map(lambda make: make(), makers):
            stacks.append(one)
            running.callback(one.stop)
        alone, device, edge, fleet = stacks
        owned = fleet.owners()
        assert set(owned.values()) == {"broker-0", "broker-1"}
        responses = [stored(fleet) for _ in range(6)]
        ended = threads.map(end_of_stream, [one.port for one in (alone, device, edge)])
        for one in (alone, device, edge):
            one.wait_for(lambda one=one: any(n.load for n in one.status().neurons), 5, "no stream runs")
        stopped = [
            *(
                stack.tree(role)[-1]
                for stack, role in ((alone, "broker"), (device, "neuron"), (edge, "edge"))
            ),
            fleet.tree("broker-1")[-1],
        ]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(STANDS_S)
        assert is_served(fleet.port, next(name for name in MODELS if owned[name] == "broker-1"))
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

        for stack in (alone, device, edge):
            stack.wait_for(lambda stack=stack: stack.get("/readyz")[0] == 200, SOON_S, "it was never ready")
            assert is_served(stack.port), stack.logs()
        fleet.wait_for(lambda: is_whole(fleet), SOON_S, "they never met again")
        fleet.wait_for(lambda: fleet.owners(0) == fleet.owners(1) == owned, SOON_S, "they never agreed")
        assert all(is_kept(fleet, response) for response in responses)
        assert all(is_served(fleet.port, name) for name in MODELS)
        assert list(ended) == ["broker_lost", "neuron_lost", "broker_lost"]
        for stack in (alone, device, edge):
            stack.wait_for(
                lambda stack=stack: not any(neuron.load for neuron in stack.status().neurons),
                SOON_S,
                "a device works for nobody",
            )
