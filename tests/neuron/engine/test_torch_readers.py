"""Readers as the processes that they are: what is forked, what dies with whom, and what is told of it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driving import Drive
from loaded_engines import holding, settled

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadAdvanced, LoadDone, LoadFailed, Order, Unloaded
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.neuron.engine.torch.readers import Readers
from cortex.protocol.request import Complete, Sampling
from cortex.protocol.values import Device

Directory = Callable[[str], Path]
SLOW = 0.01
"""MiB a second: a load that would take longer than any test."""
WORDS = Complete(model="m", prompt="the quick", sampling=Sampling(max_tokens=8, ignore_eos=True))


@pytest.fixture
def forking() -> Iterator[Callable[..., TorchEngine]]:
    """Engines with readers of their own."""
    made: list[TorchEngine] = []

    def get(rate: float = 0.0) -> TorchEngine:
        engine = TorchEngine(Device(kind="cpu"), 1, Readers(), rate)
        made.append(engine)
        before = children(os.getpid())
        engine.start()
        engine.template = (children(os.getpid()) - before).pop()
        return engine

    yield get
    for engine in made:
        engine.close()
        os.waitpid(engine.template, 0)


def children(process: int) -> set[int]:
    """The processes that a process has started, and that are there."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return {int(word) for task in tasks for word in task.read_text().split()}


def reader_of(engine: TorchEngine) -> int:
    """The reader at work, once it works."""
    until = time.monotonic() + 30
    while not children(engine.template):
        assert time.monotonic() < until
        time.sleep(0.005)
    return children(engine.template).pop()


def order(source: Path, model: str = "m") -> Order:
    return Order(ModelSettings(id=model, source=str(source), dtype="float32"))


@pytest.mark.parametrize("family", ["qwen3", "gemma", "moe", "wide"])
def test_a_model_read_by_another_process_says_the_same(
    directory: Directory, forking: Callable[..., TorchEngine], family: str
) -> None:
    """What came through shared memory, packed between steps, is the model."""
    engine = forking()
    engine.load(order(directory(family)), 0, 0.0)
    assert isinstance(settled(engine)[-1], LoadDone)
    expected = Drive(holding(order(directory(family)).settings)).run(WORDS)
    assert Drive(engine).run(WORDS).tokens == expected.tokens


def test_a_reader_that_is_killed_fails_its_load_alone(
    directory: Directory, forking: Callable[..., TorchEngine]
) -> None:
    """The reason names the signal, and another model can be loaded."""
    engine = forking(SLOW)
    engine.load(order(directory("qwen3")), 0, 0.0)
    os.kill(reader_of(engine), signal.SIGKILL)
    failed = settled(engine)[-1]
    assert isinstance(failed, LoadFailed)
    assert "SIGKILL" in failed.detail
    engine.load(order(directory("llama"), "n"), 0, 0.0)
    assert reader_of(engine)


def test_a_load_that_is_given_up_takes_its_reader_with_it(
    directory: Directory, forking: Callable[..., TorchEngine]
) -> None:
    """At once, however slow the disk is."""
    engine = forking(SLOW)
    engine.load(order(directory("qwen3")), 0, 0.0)
    reader = reader_of(engine)
    engine.unload("m", 0.0)
    told = settled(engine)
    assert [one for one in told if not isinstance(one, LoadAdvanced)] == [Unloaded("m")]
    assert not Path(f"/proc/{reader}").exists()


def test_readers_end_with_their_engine(directory: Directory, forking: Callable[..., TorchEngine]) -> None:
    """Nobody is left behind, and no socket of ours is kept open by them."""
    engine = forking(SLOW)
    engine.load(order(directory("qwen3")), 0, 0.0)
    reader = reader_of(engine)
    opened = [str(link.readlink()) for link in Path(f"/proc/{reader}/fd").iterdir() if link.exists()]
    assert sum(name.startswith("socket:") for name in opened) <= 1 + 3, "its connection and standard streams"
    engine.close()
    until = time.monotonic() + 30
    while Path(f"/proc/{reader}").exists():
        assert time.monotonic() < until
        time.sleep(0.005)
