"""A real device process with the torch engine, placed upon by a broker that this test plays on a ROUTER socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import checkpoints
import msgspec
import pytest
import zmq
from msgspec import Struct

from cortex.neuron.config import HostSettings, ModelSettings, NeuronSettings
from cortex.neuron.discover import cpu
from cortex.neuron.engine.torch.files import footprint
from cortex.protocol import messages as m
from cortex.protocol.codec import decode, encode_request
from cortex.protocol.deltas import Deltas
from cortex.protocol.faults import Code
from cortex.protocol.frames import pack, unpack
from cortex.protocol.kit.sockets import Plane, bind, new_context, open_socket
from cortex.protocol.request import Complete, Sampling
from cortex.protocol.values import Model

pytestmark = pytest.mark.system

SESSION = b"broker-1"
PATIENCE_S = 60.0
SLOW_S = 1.0
MIB = 2**20
T = TypeVar("T", bound=Struct)


class Device:
    """A device process and the only broker that it knows."""

    def __init__(self, directory: Path, settings: NeuronSettings, asleep_bytes: int = 0) -> None:
        directory.chmod(0o700)
        endpoint = f"ipc://{directory}/n"
        self.context = new_context()
        self.socket = open_socket(self.context, zmq.ROUTER, Plane.NEURON)
        bind(self.socket, endpoint)
        host = msgspec.structs.replace(settings.neuron, brokers=(endpoint,))
        spec = {
            "settings": msgspec.structs.replace(settings, neuron=host),
            "device": cpu(),
            "asleep_bytes": asleep_bytes,
            "parent": os.getpid(),
        }
        self.log = directory / "device.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cortex.neuron.device"],
                env={**os.environ, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
            assert self.process.stdin is not None
            with self.process.stdin as told:
                told.write(msgspec.json.encode(spec))
        self.route = b""
        self.ready = m.Ready(version=-1, device=spec["device"], models=())
        self.beat: m.Heartbeat | None = None
        self.progress: list[m.LoadProgress] = []
        self.tokens: dict[str, list[tuple[float, int]]] = {}
        self.ended: dict[str, m.Finished | m.Failed] = {}
        self.said: list[Struct] = []

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)
        self.context.destroy(linger=0)

    # ── listening ────────────────────────────────────────────────────────────────────────────────────────────────

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, f"the device ended\n{self.log.read_text()[-3000:]}"
            assert time.monotonic() < end, f"{what}: {self.ready}\n{self.log.read_text()[-3000:]}"
            if self.socket.poll(100):
                self._take(self.socket.recv_multipart())

    def _take(self, frames: list[bytes]) -> None:
        route, *rest = frames
        envelope = unpack(rest)
        # Before the deltas themselves comes the edge that they are for.
        body = envelope.attachments[0] if envelope.kind == m.Kind.DELTAS else envelope.body
        message = decode(envelope.kind, body)
        match message:
            case m.Register():
                self.route = route
                self.say(m.Registered(interval_ms=1000))
            case m.Ready():
                self.ready = message
            case m.Heartbeat():
                self.beat = message
            case m.LoadProgress():
                self.progress.append(message)
            case Deltas():
                for delta in message.items:
                    heard = self.tokens.setdefault(delta.request, [])
                    assert delta.seq == len(heard), "no gap, nothing twice"
                    heard += [(time.monotonic(), token) for token in delta.tokens]
            case m.Finished() | m.Failed():
                assert message.request not in self.ended
                self.ended[message.request] = message
            case _:
                self.said.append(message)

    def state(self, model: str) -> str:
        return next((one.state for one in self.ready.models if one.id == model), "unknown")

    def model(self, name: str) -> Model:
        return next(one for one in self.ready.models if one.id == name)

    # ── speaking ─────────────────────────────────────────────────────────────────────────────────────────────────

    def say(self, message: Struct, *payload: bytes) -> None:
        self.socket.send_multipart([self.route, *pack(message, SESSION, list(payload))])

    def answer(self, message: Struct, kind: type[T]) -> T:
        """Send, and wait for the one answer."""
        self.said.clear()
        self.say(message)
        self.until(lambda: self.said, f"an answer to {message}")
        [answer] = self.said
        assert isinstance(answer, kind), answer
        return answer

    def place(self, command: str, kind: type[T], load: m.LoadSpec | None, **more: object) -> T:
        return self.answer(m.Place(command=command, version=self.ready.version, load=load, **more), kind)

    def generate(self, request: str, model: str, max_tokens: int) -> None:
        wanted = Complete(
            model=model,
            prompt="the quick brown",
            sampling=Sampling(max_tokens=max_tokens, ignore_eos=True, temperature=0.0),
        )
        self.say(m.Generate(request=request, attempt=1, edge=b"e", model=model), encode_request(wanted))

    def run(self, request: str, model: str, max_tokens: int = 8) -> list[int]:
        """One request from start to end; its tokens."""
        self.generate(request, model, max_tokens)
        self.until(lambda: request in self.ended, f"the end of {request}")
        assert isinstance(self.ended[request], m.Finished), self.ended[request]
        return [token for _, token in self.tokens[request]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of the same shape, larger than a MiB with their caches, that say different things."""
    root = tmp_path_factory.mktemp("models")
    return {name: checkpoints.save(root / name, name, layers=8) for name in ("qwen3", "llama")}


def sized(source: Path) -> int:
    import torch

    return footprint(ModelSettings(id="x", source=str(source)), torch.device("cpu"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    started: list[Device] = []

    def get(
        *models: ModelSettings, memory_mb: int = 0, load_mb_s: float = 0.0, asleep_bytes: int = 0
    ) -> Device:
        host = HostSettings(name="host", threads=1, memory_mb=memory_mb, load_mb_s=load_mb_s)
        device = Device(tmp_path, NeuronSettings(neuron=host, models=models), asleep_bytes)
        started.append(device)
        device.until(lambda: device.ready.version >= 0, "the device is never ready")
        return device

    yield get
    for device in started:
        device.close()


def test_one_model_makes_room_for_another(checkpoint: dict[str, Path], start: Callable[..., Device]) -> None:
    """With memory for one: A is placed and used, B is refused beside it, B replaces it, and its memory came back."""
    sizes = {name: sized(path) for name, path in checkpoint.items()}
    memory_mb = max(sizes.values()) // MIB + 1
    assert sum(sizes.values()) > memory_mb * MIB, "the budget holds only one"
    device = start(
        *(ModelSettings(id=name, source=str(path)) for name, path in checkpoint.items()), memory_mb=memory_mb
    )
    device.until(lambda: device.state("qwen3") == "hot", "the first of the file is loaded")
    assert device.state("llama") == "cold"
    assert device.model("llama").footprint_bytes == sizes["llama"]
    assert device.ready.device.budget_bytes == memory_mb * MIB
    assert device.ready.device.free_bytes == memory_mb * MIB - sizes["qwen3"]
    said = device.run("a1", "qwen3")

    b = m.LoadSpec(model="llama")
    refused = device.place("c1", m.PlaceRefused, b)
    assert refused.fault.code is Code.NO_CAPACITY
    device.place("c2", m.Placed, b, evict=("qwen3",))
    device.until(lambda: device.state("llama") == "hot", "B is loaded")
    assert device.state("qwen3") == "cold"
    assert device.ready.device.free_bytes == memory_mb * MIB - sizes["llama"]
    assert device.model("llama").load_ms > 0
    assert device.progress[-1].command == "c2"
    assert device.run("b1", "llama") != said

    device.place("c3", m.Placed, m.LoadSpec(model="qwen3"), evict=("llama",))
    device.until(lambda: device.state("qwen3") == "hot", "A is loaded again")
    assert device.run("a2", "qwen3") == said
    assert device.ready.cycles == 3


def test_streams_go_on_while_another_model_is_loaded(
    checkpoint: dict[str, Path], start: Callable[..., Device]
) -> None:
    """B comes from a disk that takes its time; A's tokens keep coming, none is lost, and then both are served."""
    mib = (checkpoint["llama"] / "model.safetensors").stat().st_size / MIB
    device = start(
        ModelSettings(id="a", source=str(checkpoint["qwen3"])), memory_mb=200, load_mb_s=mib / SLOW_S
    )
    device.until(lambda: device.state("a") == "hot", "A is loaded")
    device.generate("stream", "a", 480)
    device.until(lambda: len(device.tokens.get("stream", ())) >= 5, "A speaks")
    placed_at = time.monotonic()
    device.place("c", m.Placed, m.LoadSpec(model="b", source=str(checkpoint["llama"])))
    device.until(lambda: device.state("b") == "hot", "B is loaded")
    hot_at = time.monotonic()
    during = [at for at, _ in device.tokens["stream"] if placed_at < at < hot_at]
    assert hot_at - placed_at >= SLOW_S
    assert during
    assert during[0] - placed_at < SLOW_S / 2, "nothing waits for the disk"
    device.generate("one", "a", 20)
    device.generate("two", "b", 20)
    device.until(lambda: {"stream", "one", "two"} <= device.ended.keys(), "all come to their end")
    assert all(isinstance(end, m.Finished) for end in device.ended.values())
    assert len(device.tokens["stream"]) == 480
    device.until(lambda: device.beat and device.beat.use.keys() == {"a", "b"}, "the beat tells of both")
    assert device.beat is not None
    assert device.beat.free_bytes == device.ready.device.free_bytes > 0


def test_a_victim_sleeps_and_wakes_faster_than_it_was_read(
    checkpoint: dict[str, Path], start: Callable[..., Device]
) -> None:
    """At least five times, and it says what it said."""
    memory_mb = max(sized(path) for path in checkpoint.values()) // MIB + 1
    device = start(
        *(ModelSettings(id=name, source=str(path)) for name, path in checkpoint.items()),
        memory_mb=memory_mb,
        asleep_bytes=100 * MIB,
    )
    device.until(lambda: device.state("qwen3") == "hot", "the first of the file is loaded")
    said = device.run("a1", "qwen3")
    device.place("c1", m.Placed, m.LoadSpec(model="llama"), evict=("qwen3",), sleep=True)
    device.until(lambda: device.state("llama") == "hot", "B is loaded")
    assert device.state("qwen3") == "asleep"
    device.place("c2", m.Placed, m.LoadSpec(model="qwen3"), evict=("llama",), sleep=True)
    device.until(lambda: device.state("qwen3") == "hot", "A is awake")
    awake = device.model("qwen3")
    assert 0 < 5 * awake.wake_ms < awake.load_ms
    assert device.run("a2", "qwen3") == said


def test_a_broken_model_fails_and_the_device_serves(
    checkpoint: dict[str, Path], start: Callable[..., Device], tmp_path: Path
) -> None:
    """Refused where its files say so, failed where the load finds out; nothing is left reserved."""
    device = start(ModelSettings(id="a", source=str(checkpoint["qwen3"])), memory_mb=200)
    device.until(lambda: device.state("a") == "hot", "A is loaded")
    free = device.ready.device.free_bytes
    nowhere = device.place("c1", m.PlaceRefused, m.LoadSpec(model="x", source=str(tmp_path / "nowhere")))
    assert nowhere.fault.code is Code.LOAD_FAILED
    broken = checkpoints.save(tmp_path / "broken")
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"model_type": "nobody-knows"}))
    unknown = device.place("c2", m.PlaceRefused, m.LoadSpec(model="x", source=str(broken)))
    assert "nobody-knows" in unknown.fault.message
    (broken / "config.json").write_text(json.dumps(config | {"intermediate_size": 97}))
    device.place("c3", m.Placed, m.LoadSpec(model="x", source=str(broken)))
    device.until(lambda: device.state("x") == "failed", "the load fails")
    assert device.model("x").detail
    assert device.ready.device.free_bytes == free
    device.run("r", "a")


def test_a_drained_process_leaves_to_be_started_afresh(
    checkpoint: dict[str, Path], start: Callable[..., Device]
) -> None:
    """It ends what runs, refuses what comes, says goodbye, and its exit code asks the supervisor for a fresh one."""
    device = start(ModelSettings(id="a", source=str(checkpoint["qwen3"])), memory_mb=200)
    device.until(lambda: device.state("a") == "hot", "A is loaded")
    device.generate("r", "a", 300)
    device.until(lambda: device.tokens.get("r"), "A speaks")
    device.answer(m.Drain(command="d", restart=True), m.Placed)
    device.until(lambda: any(isinstance(one, m.Goodbye) for one in device.said), "it leaves")
    assert isinstance(device.ended["r"], m.Finished)
    assert len(device.tokens["r"]) == 300
    assert device.process.wait(10) == 75
