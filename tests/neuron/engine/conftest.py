from collections.abc import Callable, Iterator
from pathlib import Path

import checkpoints
import pytest
from driving import Drive
from loaded_engines import holding

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch import cache, room
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.neuron.engine.torch.serving import Serving


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A checkpoint of a family, made once."""
    return checkpoints.shelf(tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def started(directory: Callable[[str], Path]) -> Callable[..., TorchEngine]:
    """An engine that holds model "m"; one for each kind of settings."""
    made: dict[tuple[object, ...], TorchEngine] = {}

    def get(
        family: str = "qwen3", *, slots: int = 4, chunk: int = 512, context: int = 512, tool_calls: str = ""
    ) -> TorchEngine:
        key = (family, slots, chunk, context, tool_calls)
        if key not in made:
            settings = ModelSettings(
                id="m",
                source=str(directory(family)),
                slots=slots,
                chunk=chunk,
                context=context,
                dtype="float32",
                tool_calls=tool_calls,
            )
            made[key] = holding(settings)
        return made[key]

    return get  # and nothing is closed: each would search the whole heap, and the process is about to end


@pytest.fixture
def drive(started: Callable[..., TorchEngine]) -> Iterator[Callable[..., Drive]]:
    """A driven engine that must be left idle, with every slot and every byte free."""
    used: list[TorchEngine] = []

    def get(family: str = "qwen3", **settings: int | str) -> Drive:
        engine = started(family, **settings)
        used.append(engine)
        return Drive(engine)

    yield get
    for engine in used:
        assert engine.due(0.0) is None
        for serving in engine._serving.values():
            require_idle(serving)


@pytest.fixture
def tight(
    started: Callable[..., TorchEngine], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Drive]]:
    """A driven engine with keys and values for so many positions; slots have 16, 32, 64, ... and are promised 8 ahead."""
    monkeypatch.setattr(cache, "FIRST", 16)
    monkeypatch.setattr(room, "AHEAD", 8)
    own: list[tuple[TorchEngine, Serving]] = []

    def get(positions: int, family: str = "qwen3", **settings: int) -> Drive:
        engine = started(family, **settings)
        roomy = engine._serving["m"]
        own.append((engine, roomy))
        loaded = roomy._loaded
        reserved = loaded.bytes + positions * roomy._runner.cache.position_bytes
        engine._serving["m"] = Serving(roomy.settings, loaded, reserved)
        return Drive(engine)

    yield get
    used = [engine._serving["m"] for engine, _ in own]
    for engine, roomy in reversed(own):
        engine._serving["m"] = roomy
    for serving in used:
        require_idle(serving)


def require_idle(serving: Serving) -> None:
    """Nothing is left of any request."""
    assert not serving.busy
    assert serving.slots.free == serving.settings.slots
    serving.slots.forget()
    assert serving._runner.cache.free == serving.settings.slots
    assert serving._runner.cache.bytes == 0
    assert not serving._owners
    assert not serving._room._live
    assert not serving._room.waiting
