"""What is said of a directory that cannot be loaded: what is wrong with it, and what would do instead."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch import files
from cortex.protocol.faults import Code, FaultError


def said(source: Path) -> str:
    """The refusal, without the source's own name."""
    with pytest.raises(FaultError) as caught:
        files.footprint(ModelSettings(id="m", source=str(source)), torch.device("cpu"))
    assert caught.value.fault.code is Code.LOAD_FAILED
    return caught.value.fault.message


@pytest.fixture
def copy(directory: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """A checkpoint of its own, with these changes to its configuration."""

    def make(**changes: Any) -> Path:
        target = tmp_path / "model"
        shutil.copytree(directory("qwen3"), target)
        config = json.loads((target / "config.json").read_text())
        (target / "config.json").write_text(json.dumps(config | changes))
        return target

    return make


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_there(tmp_path: Path) -> None:
    """A path that does not exist, an empty directory, and a file."""
    assert "There is no '/nowhere' on this host" in said(Path("/nowhere"))
    assert "There is no config.json" in said(tmp_path)
    (tmp_path / "m.safetensors").touch()
    assert "is a file; name the directory" in said(tmp_path / "m.safetensors")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth"])
def test_pickled_weights(copy: Callable[..., Path], name: str) -> None:
    """Named, with what would do."""
    target = copy()
    (target / "model.safetensors").rename(target / name)
    assert f"only {name}; convert these to safetensors" in said(target)


def test_gguf(tmp_path: Path) -> None:
    """Named."""
    (tmp_path / "model-q8.gguf").touch()
    assert "model-q8.gguf" in said(tmp_path)
    assert "GGUF is not loaded" in said(tmp_path)


def test_an_adapter(tmp_path: Path) -> None:
    """Its base model is named."""
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    (tmp_path / "adapter_model.safetensors").touch()
    assert "only an adapter of 'org/base'" in said(tmp_path)


def test_one_level_too_high(copy: Callable[..., Path]) -> None:
    """The directory below that holds the model is named."""
    target = copy()
    assert f"name '{target}'" in said(target.parent)


@pytest.mark.parametrize("has_ref", [True, False])
def test_the_cache_of_the_hub(copy: Callable[..., Path], tmp_path: Path, *, has_ref: bool) -> None:
    """The snapshot is named, of several the current one."""
    snapshots = tmp_path / "models--org--name" / "snapshots"
    shutil.copytree(copy(), snapshots / "0c0c")
    if has_ref:
        shutil.copytree(snapshots / "0c0c", snapshots / "0a0a")
        (snapshots.parent / "refs").mkdir()
        (snapshots.parent / "refs" / "main").write_text("0c0c")
    assert said(snapshots.parent).endswith(f"; name '{snapshots / '0c0c'}'.")


def test_missing_shards(copy: Callable[..., Path]) -> None:
    """Some are named, the others counted."""
    target = copy()
    shards = {f"w{number}": f"model-{number}.safetensors" for number in range(5)}
    (target / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (target / "model-0.safetensors").touch()
    assert "model-1.safetensors, model-2.safetensors, model-3.safetensors and 1 more are missing" in said(
        target
    )


# ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_kind(copy: Callable[..., Path]) -> None:
    """The version is named, and what it knows that is spelled alike."""
    message = said(copy(model_type="qwen33"))
    assert f"transformers {transformers.__version__} does not know the model_type 'qwen33'" in message
    assert "qwen3" in message.partition("closest")[2]


def test_a_kind_like_no_other(copy: Callable[..., Path]) -> None:
    """Nothing is suggested."""
    assert "closest" not in said(copy(model_type="0000000000"))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "an encoder (BertForMaskedLM)"),
        ({"model_type": "modernbert", "architectures": ["ModernBertModel"]}, "an encoder (ModernBertModel)"),
        ({"model_type": "vit", "architectures": ["ViTModel"]}, "a model of images (ViTModel)"),
        ({"model_type": "llava", "architectures": None}, "a model of images and texts (llava)"),
        ({"architectures": ["Qwen3ForSequenceClassification"]}, "a classifier (Qwen3For"),
        (
            {"model_type": "bart", "architectures": ["BartModel"], "is_encoder_decoder": True},
            "an encoder with a decoder (BartModel)",
        ),
    ],
)
def test_other_kinds(copy: Callable[..., Path], changes: dict[str, Any], what: str) -> None:
    """What it is is said."""
    assert f"It is {what}" in said(copy(**changes))


@pytest.mark.parametrize("changes", [{"architectures": ["Qwen3Model"]}, {"architectures": None}])
def test_what_says_little_may_be_loaded(copy: Callable[..., Path], changes: dict[str, Any]) -> None:
    """A decoder without a head, such as models for embeddings are, and one that does not say what it is."""
    assert files.footprint(ModelSettings(id="m", source=str(copy(**changes))), torch.device("cpu"))


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "mxfp4"])
def test_quantized_weights(copy: Callable[..., Path], method: str) -> None:
    """Which, and what would do."""
    message = said(copy(quantization_config={"quant_method": method}))
    assert f"quantized ({method})" in message
    assert "bfloat16" in message


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ((), "fetch tokenizer.json and tokenizer_config.json"),
        (("vocab.json",), "merges.txt is missing"),
        (("merges.txt",), "vocab.json is missing"),
    ],
)
def test_missing_tokenizer(copy: Callable[..., Path], kept: tuple[str, ...], told: str) -> None:
    """Which file."""
    target = copy()
    (target / "tokenizer.json").unlink()
    for name in kept:
        (target / name).touch()
    assert told in said(target)


@pytest.mark.parametrize("names", [("tokenizer.model",), ("vocab.json", "merges.txt"), ("qwen.tiktoken",)])
def test_other_tokenizers(copy: Callable[..., Path], names: tuple[str, ...]) -> None:
    """Any form will do here."""
    target = copy()
    (target / "tokenizer.json").unlink()
    for name in names:
        (target / name).touch()
    assert files.footprint(ModelSettings(id="m", source=str(target)), torch.device("cpu"))
