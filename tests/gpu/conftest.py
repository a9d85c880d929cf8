"""These need an NVIDIA device: `.venv/bin/python -m pytest -m gpu -n 0 tests/gpu`. Their models are made on the spot."""

from collections.abc import Callable, Iterator
from pathlib import Path

import checkpoints
import pytest
import torch
from loaded_engines import holding

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.protocol.values import Device

CUDA = torch.device("cuda", 0)


@pytest.fixture(scope="session", autouse=True)
def forked() -> Iterator[TorchEngine]:
    """An engine whose readers are processes, as in service: they are forked here, before the device is opened."""
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    made = TorchEngine(Device(kind=CUDA.type), 0)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="session")
def gpu(forked: TorchEngine) -> torch.device:
    return CUDA


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A checkpoint of a family, made once."""
    return checkpoints.shelf(tmp_path_factory.mktemp)


@pytest.fixture
def started(gpu: torch.device, directory: Callable[[str], Path]) -> Iterator[Callable[..., TorchEngine]]:
    """Makes engines that hold model "m" on the GPU; they are closed after the test."""
    made: list[TorchEngine] = []

    def get(family: str = "qwen3", **settings: object) -> TorchEngine:
        wanted = {"dtype": "float32", "slots": 6, "context": 512} | settings
        made.append(holding(ModelSettings(id="m", source=str(directory(family)), **wanted), kind=gpu.type))
        return made[-1]

    yield get
    for engine in made:
        engine.close()
