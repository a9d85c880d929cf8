"""Sleep: a model that wakes says what it said before, and what it was read from is looked at again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from driving import Drive
from loaded_engines import engine, holding, settled

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadDone, Order, Slept, Unloaded
from cortex.neuron.engine.torch import moving
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.neuron.engine.torch.loading import Loader
from cortex.neuron.engine.torch.sleeping import Sleeper
from cortex.protocol.faults import FaultError
from cortex.protocol.request import Chat, Complete, ResponseFormat, Sampling, Text, Turn

Directory = Callable[[str], Path]
CPU = torch.device("cpu")
WORDS = Complete(model="m", prompt="the quick", sampling=Sampling(max_tokens=12, ignore_eos=True))


def settings(source: Path, **more: object) -> ModelSettings:
    return ModelSettings(id="m", source=str(source), **{"dtype": "float32", **more})


def woken(made: TorchEngine, wanted: ModelSettings, reserved: int = 0) -> LoadDone:
    made.load(Order(wanted), reserved or made.footprint(Order(wanted)), 0.0)
    done = settled(made)[-1]
    assert isinstance(done, LoadDone)
    return done


@pytest.mark.parametrize("family", ["qwen3", "gemma", "moe", "wide"])
def test_a_model_says_the_same_before_and_after_sleep(directory: Directory, family: str) -> None:
    """Greedy and seeded, and held to a form; nothing is read for it."""
    made = holding(settings(directory(family)))
    drive = Drive(made)
    seeded = Complete(model="m", prompt="x", sampling=Sampling(max_tokens=12, temperature=1.0, seed=5))
    before = drive.run(WORDS).tokens, drive.run(seeded).tokens
    held = made._serving["m"]._loaded.bytes
    made.sleep("m", 0.0)
    assert settled(made) == [Slept("m", held)]
    assert made.due(0.0) is None
    with pytest.raises(FaultError):
        drive.submit(WORDS)
    done = woken(made, settings(directory(family)))
    assert (done.woke, done.bytes, done.context) == (True, held, 512)
    assert (drive.run(WORDS).tokens, drive.run(seeded).tokens) == before
    json = Chat(
        model="m",
        turns=(Turn(role="user", parts=(Text(text="x"),)),),
        response_format=ResponseFormat(kind="json_object"),
        sampling=Sampling(max_tokens=4),
    )
    assert drive.run(json).text().lstrip()[:1] in ("{", "")
    made.close()


def test_what_was_computed_before_sleep_is_given_up(directory: Directory) -> None:
    """Keys and values go, for they are the device's."""
    made = holding(settings(directory("qwen3")))
    long = Complete(model="m", prompt="the quick brown fox " * 10, sampling=Sampling(max_tokens=2))
    Drive(made).run(long)
    assert Drive(made).run(long).terminal.usage.cached > 0
    made.sleep("m", 0.0)
    settled(made)
    woken(made, settings(directory("qwen3")))
    assert Drive(made).run(long).terminal.usage.cached == 0
    made.close()


def test_a_model_whose_files_have_changed_is_read_anew(directory: Directory, tmp_path: Path) -> None:
    """Also one that is wanted in another number format or with another context; slots are no reason."""
    source = shutil.copytree(directory("qwen3"), tmp_path / "model")
    made = holding(settings(source))
    for change, woke in (({"slots": 2}, True), ({"context": 100}, False), ({"dtype": "bfloat16"}, False)):
        made.sleep("m", 0.0)
        settled(made)
        assert woken(made, settings(source, **change)).woke == woke
    made.sleep("m", 0.0)
    settled(made)
    shutil.copyfile(directory("llama") / "config.json", source / "config.json")
    shutil.copyfile(directory("llama") / "model.safetensors", source / "model.safetensors")
    assert not woken(made, settings(source, dtype="bfloat16")).woke
    made.close()


def test_who_is_forgotten_in_sleep_is_gone(directory: Directory) -> None:
    """And is read when it is wanted again; to forget who does not sleep does nothing."""
    made = holding(settings(directory("qwen3")))
    made.sleep("m", 0.0)
    settled(made)
    made.forget("m")
    made.forget("nobody")
    assert not woken(made, settings(directory("qwen3"))).woke
    made.close()


def test_a_context_that_was_cut_grows_with_what_is_reserved(directory: Directory) -> None:
    """Each time anew: a model that woke with little room is not small for ever."""
    made = holding(settings(directory("qwen3")))
    contexts = []
    for reserved in (1, 0):
        made.sleep("m", 0.0)
        settled(made)
        contexts.append(woken(made, settings(directory("qwen3")), reserved).context)
    assert contexts == [256, 512]
    made.close()


def test_who_is_not_there_cannot_sleep(directory: Directory) -> None:
    """A load that is under way is given up instead."""
    made = engine()
    made.load(Order(settings(directory("qwen3"))), 0, 0.0)
    made.sleep("m", 0.0)
    assert settled(made)[-1] == Unloaded("m")
    made.close()


def test_a_waking_model_does_not_wait_for_one_that_is_read(directory: Directory) -> None:
    """However slow the disk is."""
    made = holding(settings(directory("qwen3")))
    made.sleep("m", 0.0)
    settled(made)
    made._loader._rate = 0.01
    made.load(Order(ModelSettings(id="slow", source=str(directory("llama")))), 0, 0.0)
    assert woken(made, settings(directory("qwen3"))).woke
    made.close()


@pytest.mark.parametrize("family", ["qwen3", "moe"])
def test_weights_that_were_laid_down_for_sleep_come_back_whole(
    directory: Directory, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a device that has memory of its own, here from memory to memory, in small pieces."""
    monkeypatch.setattr(moving, "PIECE", 5000)
    monkeypatch.setattr("cortex.neuron.engine.torch.linear.TINY", 2**40)  # nothing is packed on such a device
    made = holding(settings(directory(family)))
    before = Drive(made).run(WORDS).tokens
    serving = made._serving.pop("m")
    loaded = serving.rest()
    expected = {name: one.clone() for name, one in loaded.model.state_dict().items()}
    arena, pieces = moving.lay_down(loaded.model)
    assert sum(1 for _ in pieces) > 10
    for name, one in loaded.model.state_dict().items():
        assert arena.end_of(one), f"{name} is not in the arena"
        assert torch.equal(one, expected[name])
    sleeper = Sleeper(serving.settings, loaded, (), arena)
    loader = Loader(CPU, lambda _: pytest.fail("nothing is read"))
    loader.wake(sleeper)
    events = [event for _ in range(3) for event in loader.poll(1.0)]
    made._serving["m"] = type(serving)(serving.settings, events[-1].loaded, 10**9)
    assert events[-1].woke
    assert Drive(made).run(WORDS).tokens == before
    made.close()
