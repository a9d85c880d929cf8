from collections.abc import Callable, Iterator
from pathlib import Path

import checkpoints
import pytest
from driving import Drive
from loaded_engines import holding

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch.engine import TorchEngine


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A checkpoint of a family, made once."""
    made: dict[str, Path] = {}

    def get(family: str) -> Path:
        if family not in made:
            made[family] = checkpoints.save(tmp_path_factory.mktemp(family), family)
        return made[family]

    return get


@pytest.fixture(scope="session")
def started(directory: Callable[[str], Path]) -> Callable[..., TorchEngine]:
    """An engine that holds model "m"; one for each kind of settings."""
    made: dict[tuple[object, ...], TorchEngine] = {}

    def get(family: str = "qwen3", *, slots: int = 4, chunk: int = 512, context: int = 512) -> TorchEngine:
        key = (family, slots, chunk, context)
        if key not in made:
            settings = ModelSettings(
                id="m",
                source=str(directory(family)),
                slots=slots,
                chunk=chunk,
                context=context,
                dtype="float32",
            )
            made[key] = holding(settings)
        return made[key]

    return get  # and nothing is closed: each would search the whole heap, and the process is about to end


@pytest.fixture
def drive(started: Callable[..., TorchEngine]) -> Iterator[Callable[..., Drive]]:
    """A driven engine that must be left idle, with every slot and every byte free."""
    used: list[TorchEngine] = []

    def get(family: str = "qwen3", **settings: int) -> Drive:
        engine = started(family, **settings)
        used.append(engine)
        return Drive(engine)

    yield get
    for engine in used:
        assert engine.due(0.0) is None
        for serving in engine._serving.values():
            assert serving.slots.free == serving.settings.slots
            serving.slots.forget()
            assert serving._runner.cache.free == serving.settings.slots
            assert serving._runner.cache.bytes == 0
            assert not serving._owners
