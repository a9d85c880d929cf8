"""What is wrong with a model's files is told in one sentence that names the file, the key or the tensor."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import checkpoints
import pytest
import torch
from safetensors.torch import load_file, save_file

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadFailed
from cortex.neuron.engine.torch import files
from cortex.neuron.engine.torch.complaints import require_whole, sentence
from cortex.neuron.engine.torch.loader import complete, read
from cortex.neuron.engine.torch.reading import Task, send_model
from cortex.neuron.engine.torch.template import render
from cortex.protocol.faults import Code, FaultError, fault
from cortex.protocol.request import Chat, Complete, Text, Turn

CPU = torch.device("cpu")
DOWN = "model.layers.1.mlp.down_proj.weight"
Copy = Callable[[], Path]


class Told:
    """What a reader says, in place of its connection."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def send(self, told: object) -> None:
        self.said.append(told)


@pytest.fixture
def copy(directory: Callable[[str], Path], tmp_path: Path) -> Copy:
    """A checkpoint that may be damaged."""

    def make() -> Path:
        return shutil.copytree(directory("qwen3"), tmp_path / "m", dirs_exist_ok=True)

    return make


def refusal(where: Path) -> str:
    """Why a checkpoint is not loaded, found before it is read or while a reader reads it."""
    settings = ModelSettings(id="m", source=str(where))
    try:
        files.footprint(settings, CPU)
    except FaultError as error:
        return error.fault.message
    told = Told()
    send_model(Task(settings, "cpu"), told)  # type: ignore[arg-type]
    failed = told.said[-1]
    assert isinstance(failed, LoadFailed)
    return failed.detail


def reweighed(where: Path, **changes: torch.Tensor | None) -> Path:
    """The checkpoint with other weights; None takes one away."""
    path = where / "model.safetensors"
    weights = load_file(path) | changes
    save_file(
        {name: tensor for name, tensor in weights.items() if tensor is not None},
        path,
        metadata={"format": "pt"},
    )
    return where


def test_a_missing_weight_is_named(copy: Copy) -> None:
    """It would be random."""
    where = reweighed(copy(), **{DOWN: None})
    assert refusal(where) == f"{DOWN} is missing from the checkpoint; fetch the model's files again."


def test_a_weight_of_another_shape_is_named(copy: Copy) -> None:
    """With the shape that it has and the one that config.json asks for."""
    assert f"{DOWN} has the shape [3, 5] in the checkpoint, and config.json asks for [64, 96];" in refusal(
        reweighed(copy(), **{DOWN: torch.zeros(3, 5)})
    )


def test_experts_that_do_not_fit_together(tmp_path: Path) -> None:
    """Also where transformers makes one tensor of many."""
    name = "model.layers.1.mlp.experts.0.down_proj.weight"
    where = checkpoints.save(tmp_path / "moe", "moe")
    assert "experts have different shapes" in refusal(reweighed(where, **{name: torch.zeros(3, 5)}))


def test_weights_that_nobody_asks_for_are_let_be(copy: Copy) -> None:
    """Many checkpoints have some."""
    where = reweighed(copy(), surplus=torch.zeros(3))
    model, _ = read(ModelSettings(id="m", source=str(where)), CPU, lambda _: None)
    assert not hasattr(model, "surplus")


def test_tied_weights_are_not_missed(directory: Callable[[str], Path]) -> None:
    """A head that is the embedding is in no file."""
    where = directory("llama")
    assert "lm_head.weight" not in load_file(where / "model.safetensors")
    read(ModelSettings(id="m", source=str(where)), CPU, lambda _: None)


def test_many_weights_are_counted() -> None:
    """A few are named, for people must be able to read it."""
    with pytest.raises(FaultError, match=r"^a, b, c and 2 more are missing from"):
        require_whole({"missing_keys": set("abcde")})


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
)
def test_a_file_that_is_cut_short_is_named(copy: Copy, name: str) -> None:
    """Whichever it is, and before the weights are read."""
    where = copy()
    text = (where / name).read_bytes()
    (where / name).write_bytes(text[: len(text) // 2])
    assert refusal(where).startswith(f"{name} is no valid JSON (")


def test_weights_whose_header_is_cut_short(copy: Copy) -> None:
    """The file is named, and how much there should be."""
    path = copy() / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    assert refusal(path.parent).startswith("model.safetensors is truncated: its header alone has ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": "big"}, "config.json: hidden_size is 'big', and must be a whole number."),
        (
            {"num_hidden_layers": 3},
            "config.json: `num_hidden_layers` (3) must be equal to the number of `layer_types` (2).",
        ),
        ({"hidden_act": "odd"}, "config.json asks for a model that cannot be built: 'odd' is not known."),
    ],
)
def test_a_key_that_is_wrong_is_named(copy: Copy, changes: dict[str, object], said: str) -> None:
    """In one line, and without the names of exceptions."""
    path = copy() / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert refusal(path.parent) == said


def test_a_source_that_is_relative_tells_to_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for where the neuron was started."""
    monkeypatch.chdir(tmp_path)
    assert f"There is no 'models/x' in '{tmp_path}', where this neuron was started" in refusal(
        Path("models/x")
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("all\n  of it!."), "RuntimeError: all of it."),
        (fault(Code.LOAD_FAILED, "It is so."), "It is so."),
        (MemoryError(), "MemoryError."),
    ],
)
def test_exceptions_become_one_sentence(error: Exception, said: str) -> None:
    """One line, one full stop."""
    assert sentence(error) == said


@pytest.mark.parametrize(
    ("template", "detail", "code", "said"),
    [
        ("", "no chat template: completes and embeds only", Code.UNSUPPORTED, "add chat_template.jinja"),
        (
            "{% if",
            "its chat template cannot be compiled (line 1: unexpected 'end of template'): completes and embeds only",
            Code.LOAD_FAILED,
            "mend the template and load the model again",
        ),
    ],
)
def test_who_cannot_chat_says_so(copy: Copy, template: str, detail: str, code: Code, said: str) -> None:
    """When it is loaded, and to who chats; it completes all the same, and the messages are not to blame."""
    where = copy()
    (where / "chat_template.jinja").unlink()
    if template:
        (where / "chat_template.jinja").write_text(template)
    settings = ModelSettings(id="m", source=str(where))
    model, facts = read(settings, CPU, lambda _: None)
    loaded = complete(settings, facts, model, CPU, 0)
    assert (loaded.capabilities, loaded.words) == (("text",), detail)
    assert render(Complete(model="m", prompt="x"), loaded.tokenizer, 512).ids
    with pytest.raises(FaultError) as caught:
        render(Chat(model="m", turns=(Turn(role="user", parts=(Text(text="x"),)),)), loaded.tokenizer, 512)
    assert caught.value.fault.code is code
    assert said in caught.value.fault.message
