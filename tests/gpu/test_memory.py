"""What a model took of a GPU comes back when it is unloaded, as torch counts it and as the driver does."""

from collections.abc import Callable
from pathlib import Path

import bench_models
import pytest
import torch
from driving import Drive
from loaded_engines import engine, settled

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadDone, LoadFailed, Order, Unloaded
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.protocol.request import Complete, Sampling

pytestmark = pytest.mark.gpu

MIB = 2**20
KEPT = 64 * MIB
"""What libraries keep for themselves once they have been used: workspaces, kernels."""
ROUNDS = 3


@pytest.fixture(scope="module")
def mid(gpu: torch.device, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 1.2 GB in bfloat16."""
    return bench_models.save(bench_models.MID, tmp_path_factory.mktemp("models"))


def ask(model: str, tokens: int, *, prompt: range = range(1000, 1050)) -> Complete:
    sampling = Sampling(temperature=0.0, max_tokens=tokens, ignore_eos=True)
    return Complete(model=model, prompt=tuple(prompt), sampling=sampling)


def load(engine: TorchEngine, source: Path, model: str = "m", **settings: object) -> LoadDone:
    order = Order(ModelSettings(id=model, source=str(source), **settings))
    engine.load(order, engine.footprint(order), 0.0)
    done = settled(engine)[-1]
    assert isinstance(done, LoadDone), done
    return done


def unload(engine: TorchEngine, model: str = "m") -> None:
    engine.unload(model, 0.0)
    now = 0.0
    while engine.due(now) is not None:
        now += 1.0
        if Unloaded(model) in engine.step(now):
            return
        assert now < 100, "the memory never comes back"
    raise AssertionError("nobody tells that the memory is back")


def test_memory_comes_back(gpu: torch.device, mid: Path) -> None:
    """Three times over: loaded, spoken with by several at once, unloaded, and nothing of it is left."""
    made = engine(kind=gpu.type)
    load(made, mid)
    Drive(made).run(ask("m", 4))
    unload(made)
    allocated, used = torch.cuda.memory_allocated(gpu), torch.cuda.device_memory_used(gpu)
    for turn in range(ROUNDS):
        done = load(made, mid)
        assert done.bytes > 1000 * MIB
        assert torch.cuda.memory_allocated(gpu) - allocated >= done.bytes - KEPT
        driven = Drive(made)
        for number in range(4):
            driven.submit(ask("m", 40), f"r{number}")
        driven.finish()
        unload(made)
        assert torch.cuda.memory_allocated(gpu) - allocated <= MIB, turn
        assert torch.cuda.device_memory_used(gpu) - used <= KEPT, turn
    made.close()


def test_the_estimate_holds(gpu: torch.device, mid: Path) -> None:
    """What is reserved before a load covers what the model takes, with a conversation in each slot."""
    made = engine(kind=gpu.type)
    settings = ModelSettings(id="m", source=str(mid), slots=4)
    estimate = made.footprint(Order(settings))
    before = torch.cuda.memory_allocated(gpu)
    load(made, mid, slots=4)
    driven = Drive(made)
    for number in range(4):
        driven.submit(ask("m", 400, prompt=range(1000 + number, 2500 + number)), f"r{number}")
    while made.phase != "decode":
        driven.step()
    driven.step(10)
    assert torch.cuda.memory_allocated(gpu) - before <= estimate + KEPT
    for number in range(4):
        made.cancel((f"r{number}", 1))
    driven.finish()
    unload(made)
    made.close()


def test_streams_go_on_during_a_load(
    forked: TorchEngine, mid: Path, directory: Callable[[str], Path]
) -> None:
    """While weights are read and moved, others hear token after token, the same as without a load."""
    load(forked, directory("qwen3"), "small", dtype="float32")
    wanted = ask("small", 400, prompt=range(20, 50))
    alone = Drive(forked).run(wanted).tokens[0]
    driven = Drive(forked)
    streams = [driven.submit(wanted, "during-0")]
    order = Order(ModelSettings(id="m", source=str(mid)))
    forked.load(order, forked.footprint(order), 0.0)
    while not any(isinstance(change, LoadDone) for change in driven.changes):
        assert not any(isinstance(change, LoadFailed) for change in driven.changes), driven.changes
        if streams[-1].terminal is not None:
            streams.append(driven.submit(wanted, f"during-{len(streams)}"))
        driven.step()
    heard = sum(len(one.tokens.get(0, ())) for one in streams)
    assert heard > 50, "the load kept them waiting"
    driven.finish()
    assert all(one.tokens[0] == alone for one in streams)
    assert len(driven.run(ask("m", 3), "then").tokens[0]) == 3
    unload(forked)
    unload(forked, "small")
