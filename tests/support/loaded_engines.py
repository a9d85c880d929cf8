"""Torch engines whose reader is a thread of this process: what is forked otherwise, without the fork."""

from __future__ import annotations

import threading
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadDone, LoadFailed, Order, Output, Slept, Unloaded
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.neuron.engine.torch.readers import Readers
from cortex.neuron.engine.torch.reading import Task, send_model
from cortex.protocol.values import Device, DeviceKind

PATIENCE_S = 60.0


class Threads(Readers):
    """Each reader is a thread."""

    def start(self) -> None:
        """There is no template."""

    def begin(self, task: Task) -> Connection:
        ours, theirs = Pipe()
        threading.Thread(target=self._read, args=(task, theirs), daemon=True).start()
        return ours

    def _read(self, task: Task, connection: Connection) -> None:
        with connection:
            send_model(task, connection)


def engine(readers: Readers | None = None, kind: DeviceKind = "cpu") -> TorchEngine:
    """An open device without a model."""
    made = TorchEngine(Device(kind=kind, name="here"), 1, readers or Threads())
    made.start()
    return made


def settled(made: TorchEngine, now: float = 0.0) -> list[Output]:
    """All that is told until a load or an unload is over."""
    told: list[Output] = []
    until = time.monotonic() + PATIENCE_S
    while not told or not isinstance(told[-1], LoadDone | LoadFailed | Unloaded | Slept):
        assert time.monotonic() < until, f"it takes too long: {told}"
        told += made.step(now)
        time.sleep(0.0005)
    return told


def holding(*models: ModelSettings, kind: DeviceKind = "cpu") -> TorchEngine:
    """An engine that has these models, each within what its files say that it takes."""
    made = engine(kind=kind)
    for settings in models:
        order = Order(settings)
        made.load(order, made.footprint(order), 0.0)
        assert isinstance(settled(made)[-1], LoadDone)
    return made
