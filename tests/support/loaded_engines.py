"""Torch engines that load at once, on the caller's thread: nothing to wait for."""

from __future__ import annotations

import torch

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadDone, Order
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.neuron.engine.torch.loading import Loader
from cortex.protocol.values import Device


class InlineLoader(Loader):
    """What a thread would do, done by whoever begins the load."""

    def _start(self, settings: ModelSettings) -> None:
        self._load(settings)


def engine() -> TorchEngine:
    """An open device without a model."""
    made = TorchEngine(Device(kind="cpu", name="here"), 1, InlineLoader(torch.device("cpu")))
    made.start()
    return made


def holding(*models: ModelSettings) -> TorchEngine:
    """An engine that has these models."""
    made = engine()
    for settings in models:
        made.load(Order(settings), 0, 0.0)
        assert isinstance(made.step(0.0)[-1], LoadDone)
    return made
