"""Loading and unloading while the device works: what is told, what is estimated, what is given back."""

import json
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import checkpoints
import pytest
import torch
from driving import Drive
from loaded_engines import engine, holding

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadAdvanced, LoadDone, LoadFailed, Order, Unloaded
from cortex.neuron.engine.torch import files
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.neuron.engine.torch.loading import Loader
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Complete, Sampling
from cortex.protocol.values import Device

CPU = torch.device("cpu")
Directory = Callable[[str], Path]


def order(source: Path | str, model: str = "m", quantization: str = "", **settings: object) -> Order:
    return Order(ModelSettings(id=model, source=str(source), **settings), quantization)


def refused(engine: TorchEngine, wanted: Order) -> tuple[Code, str]:
    with pytest.raises(FaultError) as caught:
        engine.footprint(wanted)
    return caught.value.fault.code, caught.value.fault.message


class Paused(Loader):
    """A thread that runs when the test says so."""

    def __init__(self) -> None:
        super().__init__(CPU)
        self.started: list[ModelSettings] = []

    def _start(self, settings: ModelSettings) -> None:
        self.started.append(settings)

    def finish(self) -> None:
        self._load(self.started.pop(0))


def paused() -> tuple[TorchEngine, Paused]:
    loader = Paused()
    made = TorchEngine(Device(kind="cpu"), 1, loader)
    made.start()
    return made, loader


# ── what a load tells ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_load_is_told_from_beginning_to_end(directory: Directory) -> None:
    """Growing percentages, then what the model is and takes."""
    made = engine()
    made.load(order(directory("qwen3"), context=100), 0, 0.0)
    assert made.due(0.0) == 0
    *progress, done = made.step(0.0)
    percents = [one.percent for one in progress if isinstance(one, LoadAdvanced)]
    assert len(percents) == len(progress) > 2
    assert percents == sorted(percents)
    assert isinstance(done, LoadDone)
    assert (done.slots, done.context, done.capabilities) == (files.SLOTS, 100, ("text", "tools"))
    assert progress[-1].bytes == done.bytes > 100_000
    assert made.due(0.0) is None
    made.close()


def test_a_load_that_fails_says_why_and_others_go_on(tmp_path: Path, directory: Directory) -> None:
    """One model's files do not trouble another's requests."""
    broken = checkpoints.save(tmp_path)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"model_type": "nobody-knows"}))
    made = holding(ModelSettings(id="good", source=str(directory("llama"))))
    made.load(order(broken, "bad"), 0, 0.0)
    failed = made.step(0.0)[-1]
    assert isinstance(failed, LoadFailed)
    assert "nobody-knows" in failed.detail
    heard = Drive(made).run(Complete(model="good", prompt="x", sampling=Sampling(max_tokens=2)))
    assert heard.terminal.totals == (2,)
    made.close()


def test_a_device_without_models_is_open() -> None:
    """It knows its memory, and has nothing to do."""
    made = engine()
    assert made.device.name == "here"
    assert made.free_bytes > 0
    assert made.due(0.0) is None


def test_the_thread_loads_while_others_speak(directory: Directory) -> None:
    """With the real thread: the device thread only looks whether it is done."""
    made = TorchEngine(Device(kind="cpu"), 1)
    made.start()
    made.load(order(directory("qwen3")), 0, 0.0)
    assert made.due(0.0) in {0.0, 0.05}
    for thread in [one for one in threading.enumerate() if one.name == "loader"]:
        thread.join(60)
    assert isinstance(made.step(0.0)[-1], LoadDone)
    made.close()


def test_loads_come_one_after_the_other(directory: Directory) -> None:
    """The second begins when the first has ended; one that waits can be given up at once."""
    made, loader = paused()
    for model in "abc":
        made.load(order(directory("llama"), model), 0, 0.0)
    assert [settings.id for settings in loader.started] == ["a"]
    made.unload("b", 0.0)
    assert made.due(0.0) == 0
    assert made.step(0.0) == [Unloaded("b")]
    loader.finish()
    assert isinstance(made.step(0.0)[-1], LoadDone)
    assert [settings.id for settings in loader.started] == ["c"]
    made.close()


def test_a_load_that_was_given_up_ends_unseen(directory: Directory) -> None:
    """It cannot be interrupted, but nobody hears of it any more, until its memory is back."""
    made, loader = paused()
    made.load(order(directory("llama"), "a"), 0, 0.0)
    made.unload("a", 0.0)
    assert made.step(0.0) == []
    assert made.due(0.0) == 0.05
    loader.finish()
    assert made.step(0.0) == [Unloaded("a")]
    with pytest.raises(FaultError):
        Drive(made).submit(Complete(model="a", prompt="x"))
    assert made.due(0.0) is None


# ── what an unload gives back ────────────────────────────────────────────────────────────────────────────────────


def test_an_unloaded_model_is_gone_from_memory(directory: Directory) -> None:
    """The weights' memory is free when Unloaded is told, and the model can be loaded again."""
    made = holding(ModelSettings(id="m", source=str(directory("qwen3"))))
    Drive(made).run(Complete(model="m", prompt="the quick", sampling=Sampling(max_tokens=3)))
    made.unload("m", 0.0)
    weights = made._leaving["m"]
    assert made.step(0.0) == [Unloaded("m")]
    assert weights() is None
    made.load(order(directory("qwen3")), 0, 0.0)
    assert isinstance(made.step(0.0)[-1], LoadDone)
    made.close()


def test_weights_that_somebody_keeps_are_waited_for(directory: Directory) -> None:
    """Unloaded is the truth: it comes when the last reference is gone, cycles included."""
    made = holding(ModelSettings(id="m", source=str(directory("qwen3"))))
    kept = [made._serving["m"]._loaded.model]
    made.unload("m", 0.0)
    assert made.step(0.0) == []
    assert 0 < made.due(0.5) <= 1
    kept.append(kept)
    del kept
    assert made.step(0.5) == []
    assert made.due(1.0) == 0
    assert made.step(1.0) == [Unloaded("m")]
    assert made.due(1.0) is None


# ── what the files say ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_estimate_is_the_weights_and_a_conversation_in_each_slot(directory: Directory) -> None:
    """In the number format of the load; quantization names it too."""
    made = holding(ModelSettings(id="m", source=str(directory("qwen3")), slots=3, context=100))
    serving = made._serving["m"]
    cache = 3 * 100 * serving._runner.cache.position_bytes
    real = serving._loaded.bytes + cache
    estimate = made.footprint(order(directory("qwen3"), slots=3, context=100))
    assert 0 <= real - estimate < 1024, "no file tells of the buffers"
    full = made.footprint(order(directory("qwen3")))
    assert made.footprint(order(directory("qwen3"), dtype="bfloat16")) == full // 2
    assert made.footprint(order(directory("qwen3"), quantization="bf16")) == full // 2
    made.close()


def test_several_files_count_once_each(tmp_path: Path, directory: Directory) -> None:
    """Those that the index names, and no others that lie beside them."""
    whole = checkpoints.save(tmp_path)
    before = engine().footprint(order(whole))
    (whole / "model.safetensors").rename(whole / "model-00001-of-00001.safetensors")
    (whole / "consolidated.safetensors").write_bytes(b"something else")
    weight_map = {
        "model.embed_tokens.weight": "model-00001-of-00001.safetensors",
        "lm_head.weight": "model-00001-of-00001.safetensors",
    }
    (whole / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert engine().footprint(order(whole)) == before


def test_files_that_cannot_be_loaded_are_refused_before_anything_is(tmp_path: Path) -> None:
    """Nowhere, no weights, cut short, not safetensors, a broken configuration, unknown without a source."""
    made = engine()
    assert refused(made, order(tmp_path / "nowhere"))[0] is Code.LOAD_FAILED
    assert "name its source" in refused(made, order(""))[1]
    whole = checkpoints.save(tmp_path)
    weights = (whole / "model.safetensors").read_bytes()
    (whole / "model.safetensors").write_bytes(weights[:-1])
    assert "truncated" in refused(made, order(whole))[1]
    (whole / "model.safetensors").write_bytes(b"\x00" * 100)
    assert "not a safetensors" in refused(made, order(whole))[1]
    (whole / "model.safetensors").write_bytes(struct.pack("<Q", 20) + b"{" * 20)
    assert "cannot be read" in refused(made, order(whole))[1]
    (whole / "model.safetensors").write_bytes(weights)
    (whole / "config.json").write_text("[]")
    assert "cannot be read" in refused(made, order(whole))[1]
    (whole / "config.json").write_text("{}")
    (whole / "model.safetensors").unlink()
    assert "no safetensors" in refused(made, order(whole))[1]


def test_what_this_engine_cannot_do_is_unsupported(directory: Directory) -> None:
    """A quantization that it does not know, and several devices."""
    made = engine()
    code, message = refused(made, order(directory("llama"), quantization="awq"))
    assert (code, "awq" in message, "bf16" in message) == (Code.UNSUPPORTED, True, True)
    several = Order(ModelSettings(id="m", source=str(directory("llama"))), devices=(0, 1))
    assert refused(made, several)[0] is Code.UNSUPPORTED
