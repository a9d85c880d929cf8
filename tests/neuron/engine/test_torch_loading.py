"""Loading and unloading while the device works: what is told, what is estimated, what is given back."""

import json
import struct
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import checkpoints
import pytest
import torch
from driving import Drive
from loaded_engines import Threads, engine, holding, settled

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadAdvanced, LoadDone, LoadFailed, Order, Output, Unloaded
from cortex.neuron.engine.torch import engine as torch_engine
from cortex.neuron.engine.torch import files, linear
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.neuron.engine.torch.reading import Task
from cortex.protocol.deltas import Delta
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Complete, Sampling

CPU = torch.device("cpu")
Directory = Callable[[str], Path]


def order(source: Path | str, model: str = "m", quantization: str = "", **settings: object) -> Order:
    return Order(ModelSettings(id=model, source=str(source), **settings), quantization)


def refused(engine: TorchEngine, wanted: Order) -> tuple[Code, str]:
    with pytest.raises(FaultError) as caught:
        engine.footprint(wanted)
    return caught.value.fault.code, caught.value.fault.message


class Later(Threads):
    """Readers that begin when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[tuple[Task, Connection]] = []

    def begin(self, task: Task) -> Connection:
        ours, theirs = Pipe()
        self.tasks.append((task, theirs))
        return ours

    def finish(self) -> None:
        self._read(*self.tasks[0])

    def die(self) -> None:
        self.tasks[0][1].close()


def paused() -> tuple[TorchEngine, Later]:
    readers = Later()
    return engine(readers), readers


# ── what a load tells ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_load_is_told_from_beginning_to_end(directory: Directory) -> None:
    """Growing percentages, then what the model is and takes."""
    made = engine()
    made.load(order(directory("qwen3"), context=100), 10**7, 0.0)
    *progress, done = settled(made)
    percents = [one.percent for one in progress if isinstance(one, LoadAdvanced)]
    assert len(percents) == len(progress) > 2
    assert percents == sorted(percents)
    assert isinstance(done, LoadDone)
    assert (done.slots, done.context, done.capabilities) == (
        files.SLOTS,
        100,
        ("chat", "reasoning", "text", "tools"),
    )
    assert 0 <= progress[-1].bytes <= done.bytes
    assert done.bytes > 100_000
    assert made.due(0.0) is None
    made.close()


def test_a_load_that_fails_says_why_and_others_go_on(tmp_path: Path, directory: Directory) -> None:
    """One model's files do not trouble another's requests."""
    broken = checkpoints.save(tmp_path)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"model_type": "nobody-knows"}))
    made = holding(ModelSettings(id="good", source=str(directory("llama"))))
    made.load(order(broken, "bad"), 0, 0.0)
    failed = settled(made)[-1]
    assert isinstance(failed, LoadFailed)
    assert "nobody-knows" in failed.detail
    heard = Drive(made).run(Complete(model="good", prompt="x", sampling=Sampling(max_tokens=2)))
    assert heard.terminal.totals == (2,)
    made.close()


def test_a_tokenizer_that_cannot_be_read_fails_the_load(tmp_path: Path) -> None:
    """The text side is prepared elsewhere, and its failure is the load's."""
    broken = checkpoints.save(tmp_path)
    (broken / "tokenizer.json").write_text("{")
    made = engine()
    made.load(order(broken), 0, 0.0)
    assert isinstance(settled(made)[-1], LoadFailed)
    assert made.due(0.0) is None


def test_a_device_without_models_is_open() -> None:
    """It knows its memory, and has nothing to do."""
    made = engine()
    assert made.device.name == "here"
    assert made.free_bytes > 0
    assert made.due(0.0) is None


def test_loads_come_one_after_the_other(directory: Directory) -> None:
    """The second begins when the first has ended; one that waits can be given up at once."""
    made, readers = paused()
    for model in "abc":
        made.load(order(directory("llama"), model), 0, 0.0)
    assert [task.settings.id for task, _ in readers.tasks] == ["a"]
    made.unload("b", 0.0)
    assert made.due(0.0) == 0
    assert made.step(0.0) == [Unloaded("b")]
    readers.finish()
    assert isinstance(settled(made)[-1], LoadDone)
    assert [task.settings.id for task, _ in readers.tasks] == ["a", "c"]
    made.close()


def test_a_load_that_was_given_up_ends_unseen(directory: Directory) -> None:
    """Its reader hears of it, and nobody hears of the load any more, until its memory is back."""
    made, readers = paused()
    made.load(order(directory("llama"), "a"), 0, 0.0)
    made.unload("a", 0.0)
    assert made.step(0.0) == []
    assert made.due(0.0) == 0.05
    assert readers.tasks[0][1].poll(5), "the reader's end of the connection says that nobody listens"
    readers.finish()
    assert settled(made) == [Unloaded("a")]
    with pytest.raises(FaultError):
        Drive(made).submit(Complete(model="a", prompt="x"))
    assert made.due(0.0) is None


def test_a_reader_that_dies_fails_its_load(directory: Directory) -> None:
    """And the next model is loaded."""
    made, readers = paused()
    made.load(order(directory("llama"), "a"), 0, 0.0)
    readers.die()
    failed = settled(made)[-1]
    assert isinstance(failed, LoadFailed)
    assert "ended without a word" in failed.detail
    assert made.due(0.0) is None


def test_weights_are_taken_in_pieces_between_the_steps_of_those_who_speak(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream goes on through the whole of another model's load: a token, a piece, a token, a piece."""
    monkeypatch.setattr(linear, "BLOCK", 2**15)
    monkeypatch.setattr(torch_engine, "SHARE", 0.0)
    made = holding(ModelSettings(id="speaks", source=str(directory("qwen3"))))
    speech = Complete(model="speaks", prompt="the quick", sampling=Sampling(max_tokens=400, ignore_eos=True))
    Drive(made).submit(speech)
    made.load(order(directory("wide"), "m", dtype="float32"), 0, 0.0)
    told: list[Output] = []
    spoken = 0
    while not any(isinstance(one, LoadDone | LoadFailed) for one in told):
        outputs = made.step(0.0)
        assert sum(isinstance(one, Delta) for one in outputs) == 1, "a token with every step"
        told += outputs
        spoken += 1
    weights = made._serving["m"]._loaded.model
    blocks = sum(len(one._blocks) for one in weights.modules() if isinstance(one, linear.PackedLinear))
    assert spoken >= blocks > 20
    made.close()


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
    assert isinstance(settled(made)[-1], LoadDone)
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
    assert abs(real + files.UNTOLD - estimate) < 2**16, "whole pages, and no file tells of the buffers"
    full = made.footprint(order(directory("qwen3")))
    half = made.footprint(order(directory("qwen3"), dtype="bfloat16"))
    double = 2 * half - files.UNTOLD
    assert made.footprint(order(directory("qwen3"), dtype="float32")) == double
    assert made.footprint(order(directory("qwen3"), quantization="bf16")) == half
    assert full == (half if linear.is_fast(torch.bfloat16) else double)
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
    assert "its header is no JSON object" in refused(made, order(whole))[1]
    (whole / "model.safetensors").write_bytes(weights)
    (whole / "config.json").write_text("[]")
    assert "config.json holds no JSON object" in refused(made, order(whole))[1]
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
