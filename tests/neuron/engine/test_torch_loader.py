"""What is loaded, what is refused, and what an engine does about a model that cannot be loaded."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from driving import Drive
from loaded_engines import holding
from transformers import GenerationConfig
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention

from cortex.neuron.config import ModelSettings
from cortex.neuron.demo import model_path
from cortex.neuron.engine.torch.linear import is_fast
from cortex.neuron.engine.torch.loader import Loaded, _context, complete, read
from cortex.neuron.engine.torch.sampler import Defaults
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Chat, Complete, Sampling, Text, Turn

CPU = torch.device("cpu")


def loaded(directory: Path, **settings: object) -> Loaded:
    model = ModelSettings(id="m", source=str(directory), **settings)
    found, facts = read(model, CPU, lambda _: None)
    return complete(model, facts, found, CPU, 0)


def edited(directory: Path, target: Path, name: str = "config.json", **changes: object) -> Path:
    """A copy of a checkpoint with another configuration."""
    shutil.copytree(directory, target, dirs_exist_ok=True)
    values = json.loads((target / name).read_text()) if (target / name).exists() else {}
    (target / name).write_text(json.dumps(values | changes))
    return target


def refused(directory: Path, **settings: object) -> str:
    with pytest.raises(FaultError) as caught:
        loaded(directory, **settings)
    assert caught.value.fault.code is Code.LOAD_FAILED
    return caught.value.fault.message


def test_facts(directory: Callable[[str], Path]) -> None:
    """Context, vocabulary, size and layers are those of the checkpoint; the number format is what the CPU computes fast."""
    model = loaded(directory("qwen3"))
    assert model.context == 512
    assert model.dtype is (torch.bfloat16 if is_fast(torch.bfloat16) else torch.float32)
    assert loaded(directory("qwen3"), dtype="float32").dtype is torch.float32
    assert model.vocabulary.size == model.model.get_input_embeddings().weight.shape[0]
    assert [(layer.heads, layer.key_dim, layer.value_dim) for layer in model.layers] == [(2, 16, 16)] * 2
    assert loaded(directory("qwen3"), context=100).context == 100
    assert loaded(directory("qwen3"), context=10_000).context == 512
    assert loaded(directory("qwen3"), dtype="bfloat16").dtype is torch.bfloat16


def test_defaults(directory: Callable[[str], Path], tmp_path) -> None:
    """The author's sampling is the default; who says nothing of it samples at 1, and only who says so does not."""
    assert loaded(directory("qwen3")).defaults == Defaults()
    target = edited(directory("qwen3"), tmp_path)
    GenerationConfig(eos_token_id=[1]).save_pretrained(target)
    assert loaded(target).defaults == Defaults(temperature=1.0)
    (target / "generation_config.json").write_text('{"temperature": 0.3, "top_p": 0.9}')
    assert loaded(target).defaults == Defaults(temperature=0.3, top_p=0.9)
    (target / "generation_config.json").unlink()
    assert loaded(target).defaults == Defaults(temperature=1.0)
    GenerationConfig(do_sample=True, temperature=0.6, top_k=20).save_pretrained(target)
    assert loaded(target).defaults == Defaults(temperature=0.6, top_k=20)


def test_nothing_there(tmp_path) -> None:
    """A directory without a model is named."""
    assert str(tmp_path) in refused(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_its_own(directory: Callable[[str], Path], tmp_path, name) -> None:
    """A checkpoint that asks for code of its own is refused before anything of it is loaded."""
    target = edited(directory("qwen3"), tmp_path, name, auto_map={"AutoConfig": "own.Config"})
    (target / "own.py").write_text("raise SystemExit('this must not run')")
    assert "code of its own" in refused(target)


def test_pickled_weights(directory: Callable[[str], Path], tmp_path) -> None:
    """Weights in any form but safetensors are refused."""
    target = edited(directory("qwen3"), tmp_path)
    (target / "model.safetensors").unlink()
    torch.save({}, target / "pytorch_model.bin")
    assert "safetensors" in refused(target)


def test_layers_that_bypass_the_interface(directory: Callable[[str], Path], monkeypatch) -> None:
    """A model whose layers do not attend through our function is served by itself, and says how many do not."""
    own = Qwen3Attention.forward

    def bypass(self, hidden_states, **kwargs):
        return (hidden_states, None) if self.layer_idx else own(self, hidden_states, **kwargs)

    monkeypatch.setattr(Qwen3Attention, "forward", bypass)
    assert "(1 of 2)" in loaded(directory("qwen3")).plain.words


def test_window_that_is_not_told(directory: Callable[[str], Path], tmp_path, monkeypatch) -> None:
    """A model with a layer that leaves it to a mask how far it sees is served by itself: we build no masks."""
    own = Qwen3Attention.forward

    def silent(self, *args, **kwargs):
        self.sliding_window = None
        return own(self, *args, **kwargs)

    windows = {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 24}
    target = edited(directory("qwen3"), tmp_path, use_sliding_window=True, **windows)
    assert loaded(target).layers
    monkeypatch.setattr(Qwen3Attention, "forward", silent)
    assert "kind 'sliding_attention'" in loaded(target).plain.words


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
@pytest.mark.parametrize("family", ["qwen3", "gemma2"])
def test_positions_that_change_with_length(directory: Callable[[str], Path], tmp_path, family, kind) -> None:
    """A context in which what was read would have been read otherwise is refused; a shorter one is served."""
    rope = {"rope_type": kind, "rope_theta": 10_000.0, "factor": 2.0, "original_max_position_embeddings": 128}
    rope |= {"long_factor": [2.0] * 8, "short_factor": [1.0] * 8} if kind == "longrope" else {}
    target = edited(directory(family), tmp_path, rope_parameters=rope)
    assert "set it to 128 tokens or fewer" in refused(target)
    assert loaded(target, context=128).context == 128


def test_two_models(directory: Callable[[str], Path]) -> None:
    """Requests of two models run side by side, each on its own model."""
    engine = holding(*(ModelSettings(id=name, source=str(directory(name))) for name in ("qwen3", "llama")))
    drive = Drive(engine)
    wanted = Sampling(max_tokens=5, ignore_eos=True)
    heard = {}
    for name in ("qwen3", "llama"):
        heard[name] = drive.submit(Complete(model=name, prompt="the quick", sampling=wanted), name)
    drive.step(6)
    assert engine.due(0.0) is None
    assert heard["qwen3"].tokens != heard["llama"].tokens
    engine.close()


@pytest.mark.skipif(not (model_path() / "model.safetensors").exists(), reason="the demo model is not built")
def test_demo_model() -> None:
    """The bundled model loads and answers a greeting in words."""
    engine = holding(ModelSettings(id="cortex-demo", source="demo"))
    turns = (Turn(role="user", parts=(Text(text="hello"),)),)
    heard = Drive(engine).run(Chat(model="cortex-demo", turns=turns, sampling=Sampling(max_tokens=40)))
    assert heard.finish().reason == "stop"
    assert heard.text().strip()
    assert "<" not in heard.text()
    engine.close()


def test_a_context_beyond_what_the_model_was_made_for_is_cut_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One warning tells both numbers; one that fits is taken without any."""
    config = SimpleNamespace(max_position_embeddings=2048, rope_parameters=None)
    with caplog.at_level(logging.WARNING, "cortex.engine"):
        assert _context(ModelSettings(id="m", context=1024), config) == 1024
        assert caplog.messages == []
        assert _context(ModelSettings(id="m", context=99_999), config) == 2048
    assert caplog.messages == ["m: context 99999 is cut to 2048, for which it was made"]
