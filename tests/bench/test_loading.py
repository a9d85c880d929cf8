"""What those who speak notice of another model's load from a slow disk, and what sleep saves.

`make bench-engine` runs it. The engine is driven as its device thread drives it, with a real reader process; tokens come
with steps, so the time from one to the next is the time from step to step. Measured, never asserted.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bench_models import MID, TINY, save
from figures import BUILD, Figures

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import Job, LoadDone, LoadFailed, Order, Output, Slept
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.protocol.deltas import Delta
from cortex.protocol.messages import Finished
from cortex.protocol.request import Complete, Sampling
from cortex.protocol.values import Device

pytestmark = pytest.mark.bench

MODELS = BUILD / "models"
STREAMS = 4
QUIET_S = 10.0
DISK_MIB_S = 150.0
"""A network drive, or an old disk."""


class Speaking:
    """Streams of one model that never end, and the time of each step that brought tokens."""

    def __init__(self, engine: TorchEngine, model: str) -> None:
        self._engine = engine
        self._model = model
        self._number = 0
        self.times: list[float] = []
        for _ in range(STREAMS):
            self._ask()

    def _ask(self) -> None:
        self._number += 1
        prompt = f"stream number {self._number} " * 8
        sampling = Sampling(max_tokens=1500, ignore_eos=True, temperature=0.0)
        request = Complete(model=self._model, prompt=prompt, sampling=sampling)
        self._engine.admit(Job((f"r{self._number}", 1), request), time.monotonic())

    def until(self, over: Callable[[list[Output]], bool]) -> list[float]:
        """Step until then; the seconds between tokens."""
        self.times = [time.perf_counter()]
        while True:
            outputs = self._engine.step(time.monotonic())
            if any(isinstance(one, Delta) for one in outputs):
                self.times.append(time.perf_counter())
            for one in outputs:
                if isinstance(one, Finished):
                    self._ask()
            if over(outputs):
                return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def ended(outputs: list[Output]) -> bool:
    assert not any(isinstance(one, LoadFailed) for one in outputs), outputs
    return any(isinstance(one, LoadDone | Slept) for one in outputs)


def alone(engine: TorchEngine) -> None:
    """Step while nobody speaks."""
    while not ended(engine.step(time.monotonic())):
        time.sleep(0.001)


def load_s(engine: TorchEngine, settings: ModelSettings) -> float:
    began = time.perf_counter()
    engine.load(Order(settings), engine.footprint(Order(settings)), time.monotonic())
    alone(engine)
    return time.perf_counter() - began


def quiet() -> Callable[[list[Output]], bool]:
    until = time.monotonic() + QUIET_S
    return lambda _: time.monotonic() >= until


def test_streams_beside_a_load() -> None:
    engine = TorchEngine(Device(kind="cpu"), len(os.sched_getaffinity(0)))
    engine.start()  # before anything is computed here: it forks
    figures = Figures("loading", ("torch", "transformers", "tokenizers", "llguidance"))
    figures.about["threads"] = str(torch.get_num_threads())
    figures.about["load_before"] = os.getloadavg()[0]
    MODELS.mkdir(parents=True, exist_ok=True)
    tiny = ModelSettings(id="tiny", source=str(save(TINY, MODELS)), dtype="float32")
    mid = ModelSettings(id="mid", source=str(save(MID, MODELS)))
    load_s(engine, tiny)
    gc.freeze()
    speaking = Speaking(engine, "tiny")
    before = speaking.until(quiet())
    size = (Path(mid.source) / "model.safetensors").stat().st_size / 2**20
    engine._loader._rate = DISK_MIB_S
    began = time.perf_counter()
    engine.load(Order(mid), engine.footprint(Order(mid)), time.monotonic())
    during = speaking.until(ended)
    took = time.perf_counter() - began
    after = speaking.until(quiet())
    calm = before + after
    note = f"{len(during)} steps of {STREAMS} streams of tiny while {size:.0f} MiB load at {DISK_MIB_S:.0f} MiB/s"
    figures.add("gap_p99_ratio", percentile(during, 0.99) / percentile(calm, 0.99), note)
    figures.add("gap_p50_ratio", percentile(during, 0.5) / percentile(calm, 0.5), "the same, median")
    figures.add("gap_p99_ms", 1000 * percentile(during, 0.99), f"calm: {1000 * percentile(calm, 0.99):.1f}")
    figures.add("longest_gap_ms", 1000 * max(during), f"calm: {1000 * max(calm):.1f}")
    figures.add("load_s", took, "beside the streams, from the slow disk")
    engine._loader._rate = 0.0
    wake(engine, mid, figures)
    engine.close()
    figures.write()


def test_fifty_lives() -> None:
    """Loaded, used, asleep, awake, used, unloaded: how the process has grown since it had done so three times."""
    support = Path(__file__).parents[1] / "support"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    told = subprocess.run(
        [sys.executable, str(support / "cycles.py"), str(save(TINY, MODELS)), "50"],
        env=environment | {"PYTHONPATH": str(support), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    sizes = [int(line) for line in told.stdout.split()]
    figures = Figures("lives", ("torch", "transformers", "tokenizers", "llguidance"))
    figures.add("resident_mib", sizes[2] / 2**20, "of the device's process, after three lives of tiny")
    figures.add("growth_50", sizes[-1] / sizes[2], "after fifty, to after three")
    figures.write()


def wake(engine: TorchEngine, settings: ModelSettings, figures: Figures) -> None:
    """The streams are over; how much faster is waking than a load whose files lie in the system's cache?"""
    for number in range(1, 2000):
        engine.cancel((f"r{number}", 1))
    engine.step(time.monotonic())
    engine.unload(settings.id, time.monotonic())
    while engine.due(time.monotonic()) is not None:
        engine.step(time.monotonic())
        time.sleep(0.001)
    cold = load_s(engine, settings)
    learnt = engine._serving[settings.id]._loaded.grammars._tokens
    if learnt is not None:
        learnt.result()  # what is prepared after a load has nothing to do with waking
    engine.sleep(settings.id, time.monotonic())
    alone(engine)
    awake = load_s(engine, settings)
    figures.add("cold_load_s", cold, f"{settings.id}, files in the system's cache, nobody speaks")
    figures.add("wake_s", awake, "the same model, from sleep")
    figures.add("wake_ratio", cold / awake, "how many times faster")
