"""What the torch engine is worth to a client: beside `transformers serve --continuous-batching`, and to the memory's floor.

`make bench-engine` runs it. Measured, never asserted; both sides stream the same number of tokens, or nothing is told.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from bench_models import MID, TINY, read_per_step
from figures import Figures
from memory_speed import MemoryReader
from versus import MODELS, Middle, Versus

from cortex.neuron.engine.torch import files

pytestmark = pytest.mark.bench

THREADS = int(os.environ.get("BENCH_THREADS") or len(os.sched_getaffinity(0)))
"""Of each side's arithmetic: all cores, as both take by themselves."""


@pytest.fixture(scope="module")
def figures() -> Iterator[Figures]:
    torch.set_num_threads(THREADS)
    packages = ("torch", "transformers", "tokenizers", "pyzmq", "falcon", "gunicorn", "uvloop")
    collected = Figures("engine", packages)
    collected.about["threads"] = f"{THREADS} on each side"
    # Of others: where cores are shared, threads that wait for one another wait long.
    collected.about["load_before"] = os.getloadavg()[0]
    yield collected
    collected.write()


def add(figures: Figures, name: str, clients: int, ours: Middle, peer: Middle) -> None:
    """The ratio, and what it is made of."""
    figures.add(f"{name}_ratio_{clients}", ours.tokens_per_s / peer.tokens_per_s, "tokens/s, cortex to peer")
    for side, one in (("cortex", ours), ("peer", peer)):
        figures.add(f"{name}_{side}_tokens_per_s_{clients}", one.tokens_per_s, f"{clients} clients")
        figures.add(f"{name}_{side}_ttft_ms_{clients}", 1000 * one.ttft_s, "p50")
        figures.add(f"{name}_{side}_gap_ms_{clients}", 1000 * one.gap_s, "p50 from token to token")


def nothing() -> None:
    """There is nothing to measure between two rounds."""


def test_tiny(figures: Figures, tmp_path: Path) -> None:
    """A model so small that what is around it counts; float32 on both sides, as in its files."""
    figures.about["tiny_computed_in"] = "float32 on both sides"
    with Versus(TINY, tmp_path, dtype="float32", dtypes=("float32",), slots=32, threads=THREADS) as versus:
        for clients, rounds in ((1, 25), (8, 15), (32, 9)):
            ours, peer = versus.compare(clients, rounds, nothing)
            add(figures, "tiny", clients, ours, peer)
            if clients == 8:
                figures.add("ttft_ratio_8", ours.ttft_s / peer.ttft_s, "p50, cortex to peer")


def test_mid(figures: Figures, tmp_path: Path) -> None:
    """A model that memory holds back, in what cortex chooses for this processor; and the peer's own choice too."""
    chosen = str(files.dtype("auto", torch.device("cpu"))).removeprefix("torch.")
    dtypes = tuple(dict.fromkeys((chosen, MID.dtype)))
    figures.about["mid_computed_in"] = (
        f"{chosen} on both sides; its files are {MID.dtype}, the peer's default"
    )
    reader, speeds = MemoryReader(), []
    with Versus(MID, tmp_path, dtype="auto", dtypes=dtypes, slots=8, threads=THREADS) as versus:
        for clients, rounds in ((1, 9), (8, 5)):
            ours, *peers = versus.compare(clients, rounds, lambda: speeds.append(reader.best(3)))
            add(figures, "mid", clients, ours, peers[0])
            if len(peers) > 1:
                ratio = ours.tokens_per_s / peers[1].tokens_per_s
                figures.add(f"mid_ratio_{clients}_peer_{MID.dtype}", ratio, "the peer in its own default")
            if clients == 1:
                add_floor(figures, chosen, ours, speeds)


def add_floor(figures: Figures, dtype: str, ours: Middle, speeds: list[float]) -> None:
    """How near one stream's step comes to reading every weight once (the head is the embedding, and is read whole)."""
    weights = read_per_step(MODELS / MID.name) * getattr(torch, dtype).itemsize
    speed = statistics.median(speeds)
    figures.add(
        "memory_gb_per_s", speed / 1e9, f"read by torch between the rounds; up to {max(speeds) / 1e9:.1f}"
    )
    figures.add("weights_gb", weights / 1e9, f"mid in {dtype}")
    figures.add(
        "floor_fraction_1", weights / speed / ours.gap_s, "weights / memory speed / one stream's p50 gap"
    )
