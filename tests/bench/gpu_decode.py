"""How near decoding comes to the memory's speed: the torch engine alone, stepped as its device thread steps it.

    .venv/bin/python tests/bench/gpu_decode.py                            Qwen3-8B's shape on the first GPU
    .venv/bin/python tests/bench/gpu_decode.py --shape tiny --device cpu  a look at whether it works

The model is made of random numbers on the spot. A step reads all weights, and the keys and values of each sequence: the
time which that takes at the speed that torch itself reads memory here, over the time the step takes, is the percentage.
Writes build/bench/gpu_decode.json.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from bench_models import LARGE, MID, TINY, Shape, read_per_step, save
from figures import BUILD, Figures
from memory_speed import MemoryReader

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import Job, LoadAdvanced, LoadDone, Order, Output
from cortex.neuron.engine.torch import files
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.protocol.deltas import Delta
from cortex.protocol.messages import Failed
from cortex.protocol.request import Complete, Sampling
from cortex.protocol.values import Device

SHAPES = {"8b": LARGE, "mid": MID, "tiny": TINY}
WARM = 20
"""Steps before any is measured: kernels are chosen, graphs captured."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="8b")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--dtype", default="auto", help="what to compute in")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--prompt", type=int, default=128, help="tokens of each prompt")
    parser.add_argument("--steps", type=int, default=100, help="steps of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", type=Path, default=BUILD / "models", help="where the model is kept")
    return parser.parse_args()


def held(asked: argparse.Namespace, shape: Shape) -> TorchEngine:
    """An engine with the model. It starts first: its readers are forked before the device is opened."""
    threads = len(os.sched_getaffinity(0)) if asked.device == "cpu" else 0
    made = TorchEngine(Device(kind=asked.device), threads)
    made.start()
    asked.models.mkdir(parents=True, exist_ok=True)
    directory = save(shape, asked.models, asked.device)
    if asked.device == "cuda":
        torch.cuda.empty_cache()
    settings = ModelSettings(id="m", source=str(directory), slots=max(asked.batches), dtype=asked.dtype)
    made.load(Order(settings), made.footprint(Order(settings)), 0.0)
    outputs: list[Output] = []
    while not outputs or isinstance(outputs[-1], LoadAdvanced):
        outputs += made.step(time.monotonic())
        time.sleep(0.001)
    assert isinstance(outputs[-1], LoadDone), outputs[-1]
    print(f"loaded in {outputs[-1].load_ms / 1000:.1f} s", flush=True)
    return made


def heard(made: TorchEngine) -> int:
    """One step: how many tokens it gave."""
    outputs = made.step(time.monotonic())
    failed = [one for one in outputs if isinstance(one, Failed)]
    assert not failed, failed
    return sum(len(one.tokens) for one in outputs if isinstance(one, Delta))


def finish_device(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def measure(made: TorchEngine, asked: argparse.Namespace, shape: Shape, batch: int) -> tuple[float, float]:
    """Seconds from one step to the next, and the positions that each sequence had in the middle of it all."""
    sampling = Sampling(temperature=0.0, ignore_eos=True)
    for number in range(batch):
        # A prompt of its own for each, so that none is spared reading it.
        ids = tuple(random.Random(number).choices(range(300, shape.vocabulary - 100), k=asked.prompt))
        made.admit(Job((f"{batch}-{number}", 1), Complete(model="m", prompt=ids, sampling=sampling)), 0.0)
    while made.phase != "decode":
        heard(made)
    for _ in range(WARM):
        heard(made)
    rounds = []
    for _ in range(asked.rounds):
        finish_device(asked.device)
        began = time.perf_counter()
        given = sum(heard(made) for _ in range(asked.steps))
        finish_device(asked.device)
        rounds.append((time.perf_counter() - began) * batch / given)
    for number in range(batch):
        made.cancel((f"{batch}-{number}", 1))
    while made.due(time.monotonic()) is not None:
        made.step(time.monotonic())
    return statistics.median(rounds), asked.prompt + WARM + asked.rounds * asked.steps / 2


def main() -> None:
    asked = arguments()
    shape = SHAPES[asked.shape]
    assert asked.prompt + asked.rounds * asked.steps + 8 * WARM < shape.context, (
        "that is more than its context"
    )
    figures = Figures("gpu_decode", ("torch", "transformers"))
    made = held(asked, shape)
    dtype = files.dtype(asked.dtype, torch.device(asked.device))
    figures.about["device"] = (
        torch.cuda.get_device_name() if asked.device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    )
    figures.about["model"] = f"{asked.shape} in {dtype}, prompts of {asked.prompt} tokens"
    reader = MemoryReader(asked.device, 4 * 2**30 if asked.device == "cuda" else 2**30)
    weights = read_per_step(asked.models / shape.name) * dtype.itemsize
    figures.add("weights_gb", weights / 1e9, "read by each step")
    for batch in asked.batches:
        speed = reader.best()
        seconds, positions = measure(made, asked, shape, batch)
        speed = max(speed, reader.best())
        read = weights + batch * positions * shape.position_items * dtype.itemsize
        figures.add(f"memory_gb_per_s_{batch}", speed / 1e9, "as torch reads it, before and after")
        figures.add(f"tokens_per_s_{batch}", batch / seconds, f"{batch} sequences")
        figures.add(
            f"step_ms_{batch}",
            1000 * seconds,
            f"reading {read / 1e9:.2f} GB takes {1000 * read / speed:.2f} ms",
        )
        figures.add(f"roofline_percent_{batch}", 100 * read / speed / seconds, "of what memory allows")
    made.close()
    figures.write()


if __name__ == "__main__":
    main()
