"""Vectors from the torch engine: the same as from the model alone, whatever else is in the batch."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from driving import Drive, Heard
from loaded_engines import holding
from transformers import AutoModelForCausalLM, AutoTokenizer

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch import embedding
from cortex.neuron.engine.torch.pooling import Pooling, pooling_of
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Complete, Embed, Sampling

Driving = Callable[..., Drive]
TEXTS = ("the quick brown fox", "a model", "grüße aus köln, 東京", "the lazy dog jumps " * 9, "x")
LONG = tuple(range(20, 250))


def rows(heard: Heard, width: int = 64) -> torch.Tensor:
    """One vector a row; the job must have ended well."""
    assert isinstance(heard.terminal, Finished), heard.terminal
    return torch.frombuffer(bytearray(heard.vectors), dtype=torch.float32).reshape(-1, width)


def alone(directory: Path, text: str | tuple[int, ...], mode: str = "mean", width: int = 64) -> torch.Tensor:
    """The vector that plain transformers makes of one text."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    ids = tokenizer(text)["input_ids"] if isinstance(text, str) else list(text)
    with torch.inference_mode():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
    pooled = {"mean": states.mean(dim=0), "last": states[-1], "cls": states[0]}[mode][:width]
    return pooled / pooled.norm()


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ["qwen3", "llama", "mistral", "gemma", "moe"])
def test_the_same_as_alone(drive: Driving, directory: Callable[[str], Path], family: str) -> None:
    """More inputs than slots, in one job: each vector is what the model gives for that input alone."""
    heard = drive(family).run(Embed(model="m", inputs=TEXTS))
    found = rows(heard)
    assert len(found) == len(TEXTS)
    for row, text in zip(found, TEXTS, strict=True):
        assert same(row, alone(directory(family), text))
    tokenizer = AutoTokenizer.from_pretrained(directory(family))
    usage = heard.terminal.usage
    assert usage.prompt == sum(len(tokenizer(text)["input_ids"]) for text in TEXTS)
    assert (usage.completion, heard.terminal.totals) == (0, ())


@pytest.mark.parametrize("chunk", [1, 7, 512])
def test_beside_others(drive: Driving, directory: Callable[[str], Path], chunk: int) -> None:
    """Neither vectors nor tokens depend on what else is in the batch, or on how a text is cut."""
    answer = Complete(
        model="m", prompt=LONG[:30], sampling=Sampling(temperature=0.0, max_tokens=40, ignore_eos=True)
    )
    undisturbed = drive(chunk=chunk).run(answer, "alone").tokens
    driven = drive(chunk=chunk)
    speaking = driven.submit(answer, "speaking")
    driven.step(3)
    first, second = (driven.submit(Embed(model="m", inputs=(LONG, *TEXTS)), name) for name in "ab")
    driven.finish()
    assert speaking.tokens == undisturbed
    for heard in (first, second):
        assert same(rows(heard)[0], alone(directory("qwen3"), LONG))
        assert same(rows(heard)[4], alone(directory("qwen3"), TEXTS[3]))


def test_streams_go_on(drive: Driving) -> None:
    """However large an embedding is, each step gives a running stream its token."""
    driven = drive(chunk=16)
    sampling = Sampling(temperature=0.0, max_tokens=20, ignore_eos=True)
    speaking = driven.submit(Complete(model="m", prompt=(20, 21), sampling=sampling), "speaking")
    driven.step(1)
    heard = driven.submit(Embed(model="m", inputs=(LONG,) * 8), "large")
    for count in range(len(speaking.tokens[0]) + 1, 21):
        driven.step(1)
        assert len(speaking.tokens[0]) == count
    assert heard.terminal is None
    driven.finish()
    assert len(rows(heard)) == 8


def test_slots_are_left_to_others(drive: Driving) -> None:
    """Between two steps a large embedding has the one slot that it was given; it needs one to be taken at all."""
    driven = drive(slots=2, chunk=32)
    large = driven.submit(Embed(model="m", inputs=(LONG,) * 3), "large")
    sampling = Sampling(temperature=0.0, max_tokens=3, ignore_eos=True)
    for index in range(3):
        driven.step(1)
        driven.submit(Complete(model="m", prompt=(20, 21), sampling=sampling), f"small {index}")
        with pytest.raises(FaultError) as caught:
            driven.submit(Embed(model="m", inputs=("x",)), "another")
        assert caught.value.fault.code is Code.BUSY
        driven.step(4)
        assert driven.heard[f"small {index}", 1].terminal is not None
    driven.finish()
    assert len(rows(large)) == 3


def test_what_is_kept_for_others_is_not_mistaken_for_states(
    drive: Driving, directory: Callable[[str], Path]
) -> None:
    """A text whose beginning is in a slot already is read whole, and leaves nothing behind."""
    driven = drive()
    driven.run(Complete(model="m", prompt=LONG, sampling=Sampling(max_tokens=1)), "before")
    kept = driven.engine._serving["m"].slots.kept
    heard = driven.run(Embed(model="m", inputs=(LONG, LONG[::-1])))
    assert same(rows(heard)[0], alone(directory("qwen3"), LONG))
    assert driven.engine._serving["m"].slots.kept == kept


def test_dimensions(drive: Driving, directory: Callable[[str], Path]) -> None:
    """Fewer numbers are the first ones, at length one again."""
    heard = drive().run(Embed(model="m", inputs=TEXTS[:2], dimensions=10))
    for row, text in zip(rows(heard, 10), TEXTS, strict=False):
        assert same(row, alone(directory("qwen3"), text, width=10))


@pytest.mark.parametrize(
    ("request_", "code", "param"),
    [
        (Embed(model="m", inputs=("x", "")), Code.INVALID_REQUEST, "input[1]"),
        (Embed(model="m", inputs=((5,), ())), Code.INVALID_REQUEST, "input[1]"),
        (Embed(model="m", inputs=("x",), dimensions=65), Code.INVALID_REQUEST, "dimensions"),
        (Embed(model="m", inputs=("x",), dimensions=0), Code.INVALID_REQUEST, "dimensions"),
        (Embed(model="m", inputs=((1, 2), (5_000,))), Code.INVALID_REQUEST, "input[1]"),
        (Embed(model="m", inputs=((1,), (1,) * 513)), Code.CONTEXT_LENGTH_EXCEEDED, "input[1]"),
        (Embed(model="m", inputs=("a", "b c " * 600)), Code.CONTEXT_LENGTH_EXCEEDED, "input[1]"),
        (Embed(model="m", inputs=("a", "b c " * 60_000)), Code.CONTEXT_LENGTH_EXCEEDED, "input[1]"),
        (Embed(model="m", inputs=("x",) * 32_769), Code.REQUEST_TOO_LARGE, "input"),
    ],
)
def test_refused(drive: Driving, request_: Embed, code: Code, param: str) -> None:
    """What can never be embedded is refused with its place, and the engine goes on."""
    with pytest.raises(FaultError) as caught:
        drive().submit(request_)
    assert (caught.value.fault.code, caught.value.fault.param) == (code, param)
    assert len(rows(drive().run(Embed(model="m", inputs=((1,) * 512,))))) == 1


def test_too_many(drive: Driving) -> None:
    """A refusal for the size of the answer says how many would fit."""
    with pytest.raises(FaultError, match="send at most 32768 at a time with vectors of 64 numbers"):
        drive().submit(Embed(model="m", inputs=("x",) * 32_769))


def test_found_later(drive: Driving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts become tokens as the job goes on: one that is too long fails its own job alone, with its place."""
    monkeypatch.setattr(embedding, "AHEAD", 1)
    driven = drive()
    bad = driven.submit(Embed(model="m", inputs=("x", "y", "b c " * 600)), "bad")
    good = driven.submit(Embed(model="m", inputs=TEXTS), "good")
    driven.finish()
    assert isinstance(bad.terminal, Failed)
    assert (bad.terminal.fault.code, bad.terminal.fault.param) == (Code.CONTEXT_LENGTH_EXCEEDED, "input[2]")
    assert len(rows(good)) == len(TEXTS)


def test_cancelled(drive: Driving) -> None:
    """It ends at the next step, without vectors, and its slots are free."""
    driven = drive(chunk=16)
    heard = driven.submit(Embed(model="m", inputs=(LONG,) * 4))
    driven.step(2)
    driven.engine.cancel(("r", 1))
    driven.step(1)
    assert heard.terminal.cancelled
    assert heard.vectors == b""


def test_one_breaks(drive: Driving, monkeypatch: pytest.MonkeyPatch) -> None:
    """States that are no numbers fail the job that they belong to, and no other."""
    add = Pooling.add

    def poisoned(self: Pooling, so_far: torch.Tensor | None, states: torch.Tensor) -> torch.Tensor:
        return add(self, so_far, states) * (torch.nan if len(states) == 230 else 1)

    monkeypatch.setattr(Pooling, "add", poisoned)
    driven = drive()
    bad = driven.submit(Embed(model="m", inputs=("x", LONG)), "bad")
    good = driven.submit(Embed(model="m", inputs=TEXTS), "good")
    driven.finish()
    assert isinstance(bad.terminal, Failed)
    assert bad.terminal.fault.code is Code.ENGINE_FAILED
    assert torch.isfinite(rows(good)).all()


@pytest.mark.parametrize("chunk", [7, 64])
def test_little_memory(tight: Driving, directory: Callable[[str], Path], chunk: int) -> None:
    """A text that gives way to an answer that grows is read again, and its vector is what it would have been."""
    driven = tight(320, chunk=chunk, context=256)
    answer = Complete(
        model="m", prompt=LONG[:10], sampling=Sampling(temperature=0.0, max_tokens=100, ignore_eos=True)
    )
    speaking = driven.submit(answer, "speaking")
    driven.step(2)
    heard = driven.submit(Embed(model="m", inputs=(LONG[:120], *TEXTS, LONG[:100]) * 4))
    driven.finish()
    assert speaking.terminal.totals == (100,)
    found = rows(heard)
    assert len(found) == 28
    for index, text in enumerate((LONG[:120], *TEXTS, LONG[:100])):
        wanted = alone(directory("qwen3"), text)
        assert all(same(row, wanted) for row in found[index::7])


def test_preempted(tight: Driving, directory: Callable[[str], Path]) -> None:
    """What was made of a text before it gave way counts no more."""
    driven = tight(256, chunk=16, context=256)
    heard = driven.submit(Embed(model="m", inputs=(LONG,)))
    driven.step(3)
    serving = driven.engine._serving["m"]
    [(_, one)] = serving._owners.values()
    serving._room._preempt(one.sequence)
    driven.finish()
    assert same(rows(heard)[0], alone(directory("qwen3"), LONG))


# ── how it is pooled ─────────────────────────────────────────────────────────────────────────────────────────────


def layout(directory: Path, pooling: dict[str, object], *more: str) -> Path:
    """Write the files of sentence-transformers."""
    types = ["Transformer", "Pooling", *more]
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": f"{index}_{kind}" if index else "",
            "type": f"st.models.{kind}",
        }
        for index, kind in enumerate(types)
    ]
    (directory / "1_Pooling").mkdir(parents=True, exist_ok=True)
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (directory / "modules.json").write_text(json.dumps(modules))
    return directory


@pytest.mark.parametrize(
    ("pooling", "more", "found"),
    [
        ({"pooling_mode_mean_tokens": True}, ("Normalize",), Pooling("mean")),
        (
            {"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False},
            (),
            Pooling("last", normalize=False),
        ),
        ({"pooling_mode": "cls"}, ("Normalize",), Pooling("cls")),
        ({}, (), Pooling("mean", normalize=False)),
        ({"pooling_mode_max_tokens": True}, (), Pooling(normalize=False, unknown="its kind of pooling")),
        ({}, ("Dense", "Normalize"), Pooling(unknown="a module of type Dense")),
        (
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            ("Normalize",),
            Pooling(unknown="its kind of pooling"),
        ),
    ],
)
def test_layout(tmp_path: Path, pooling: dict[str, object], more: tuple[str, ...], found: Pooling) -> None:
    """The kind of pooling is what the model's files say."""
    assert pooling_of(layout(tmp_path, pooling, *more)) == found


def test_no_layout(tmp_path: Path) -> None:
    """Without such files it is the mean at length one; with broken ones there are no vectors."""
    assert pooling_of(tmp_path) == Pooling("mean")
    (tmp_path / "modules.json").write_text("[")
    assert pooling_of(tmp_path).unknown


@pytest.mark.parametrize("mode", ["last", "cls"])
def test_other_pooling(
    drive: Driving, directory: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """The last or the first state, in pieces or whole."""
    driven = drive(chunk=7)
    loaded = driven.engine._serving["m"]._loaded
    changed = type(loaded)(
        **{**{name: getattr(loaded, name) for name in loaded.__slots__}, "pooling": Pooling(mode)}
    )
    monkeypatch.setattr(driven.engine._serving["m"], "_loaded", changed)
    heard = driven.run(Embed(model="m", inputs=TEXTS))
    for row, text in zip(rows(heard), TEXTS, strict=True):
        assert same(row, alone(directory("qwen3"), text, mode))


def test_a_model_that_needs_more(tmp_path: Path, directory: Callable[[str], Path]) -> None:
    """A model whose vectors go through layers that are not computed says so, and speaks all the same."""
    for path in directory("qwen3").iterdir():
        (tmp_path / path.name).symlink_to(path)
    layout(tmp_path, {}, "Dense")
    driven = Drive(holding(ModelSettings(id="m", source=str(tmp_path), dtype="float32", slots=1)))
    with pytest.raises(FaultError, match="a module of type Dense"):
        driven.submit(Embed(model="m", inputs=("x",)))
    assert driven.run(Complete(model="m", prompt=(5,), sampling=Sampling(max_tokens=1))).terminal is not None
