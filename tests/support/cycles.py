"""Run in a process of its own: loads, uses, lets sleep, wakes and unloads a model again and again; tells the memory.

    python cycles.py DIRECTORY CYCLES

prints, after each cycle, the bytes that the process has in memory, one number per line.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from driving import Drive
from loaded_engines import settled

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadDone, Order, Slept, Unloaded
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.protocol.request import Complete, Sampling
from cortex.protocol.values import Device


def resident_bytes() -> int:
    """What this process has in memory (RSS)."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cycle(engine: TorchEngine, order: Order) -> None:
    """One life of a model."""
    words = Complete(model="m", prompt="the quick brown fox " * 8, sampling=Sampling(max_tokens=8, n=2))
    engine.load(order, engine.footprint(order), 0.0)
    assert isinstance(settled(engine)[-1], LoadDone)
    Drive(engine).run(words)
    engine.sleep("m", 0.0)
    assert isinstance(settled(engine)[-1], Slept)
    engine.load(order, engine.footprint(order), 0.0)
    assert isinstance(settled(engine)[-1], LoadDone)
    Drive(engine).run(words)
    engine.unload("m", 0.0)
    assert isinstance(settled(engine, time.monotonic())[-1], Unloaded)


def main(directory: str, cycles: int) -> None:
    engine = TorchEngine(Device(kind="cpu"), 1)
    engine.start()
    order = Order(ModelSettings(id="m", source=directory, dtype="float32"))
    for _ in range(cycles):
        cycle(engine, order)
        print(resident_bytes(), flush=True)
    engine.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
