"""What the engine generates on a GPU is what transformers' own `generate` gives there, whatever else runs beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from driving import Drive, Heard
from reference import generated as generated_after
from reference import greedy, prompt
from transformers import AutoModelForCausalLM

from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.protocol.deltas import Score, Scores
from cortex.protocol.request import Complete

pytestmark = pytest.mark.gpu

FAMILIES = ["qwen3", "llama", "mistral", "gemma", "moe", "wide"]
RAGGED = (3, 41, 1, 17, 80, 29)
TOKENS = 24
Started = Callable[..., TorchEngine]


def asking(length: int, **more: object) -> Complete:
    return greedy(prompt(length), TOKENS, **more)


@pytest.fixture(scope="module")
def model(gpu: torch.device, directory: Callable[[str], Path]) -> Callable[..., torch.nn.Module]:
    """A family as transformers runs it."""

    def get(family: str, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
        return AutoModelForCausalLM.from_pretrained(directory(family), dtype=dtype).to(gpu).eval()

    return get


def generated(model: torch.nn.Module, length: int) -> list[int]:
    return generated_after(model, prompt(length), TOKENS)


@pytest.mark.parametrize("family", FAMILIES)
def test_alone_equals_generate(started: Started, model, family) -> None:
    """Alone, with its prompt in chunks of seven, a request gets what `generate` gives."""
    heard = Drive(started(family, chunk=7)).run(asking(50))
    assert heard.tokens[0] == generated(model(family), 50)
    assert heard.finish().reason == "length"


@pytest.mark.parametrize("family", FAMILIES)
def test_mixed_batch_equals_generate(started: Started, model, family) -> None:
    """Ragged prompts that join while others decode, prefilled five tokens at a time, do not touch one another."""
    driven = Drive(started(family, chunk=5))
    heard = {}
    for length in RAGGED:
        heard[length] = driven.submit(asking(length), f"r{length}")
        driven.step(3)
    driven.finish()
    reference = model(family)
    for length in RAGGED:
        assert heard[length].tokens[0] == generated(reference, length), length


def test_a_seed_gives_the_same_text_alone_and_in_a_batch(started: Started) -> None:
    """What is drawn depends on nothing but the seed, the choice and the position."""
    sampled = asking(30, temperature=1.5, seed=42)
    alone = Drive(started()).run(sampled).tokens[0]
    driven = Drive(started(chunk=5))
    driven.submit(asking(41, temperature=1.5, seed=1), "other")
    driven.step(4)
    crowded = driven.submit(sampled, "same")
    driven.finish()
    assert crowded.tokens[0] == alone
    assert alone != Drive(started()).run(asking(30)).tokens[0]


def scores(heard: Heard) -> list[Score]:
    return [score for piece in heard.pieces[0] if isinstance(piece, Scores) for score in piece.scores]


def rated(model: torch.nn.Module, ids: tuple[int, ...], tokens: list[int]) -> torch.Tensor:
    """The log probability of each token after those before it, in one pass."""
    row = torch.tensor([[*ids, *tokens]], device=model.device)
    with torch.inference_mode():
        logits = model(row).logits[0, len(ids) - 1 : -1].float()
    return logits.log_softmax(-1)[range(len(tokens)), tokens].cpu()


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_is_as_exact_as_transformers(started: Started, model, family) -> None:
    """Against float32, in a mixed batch, it errs at most twice as far as transformers does in bfloat16."""
    driven = Drive(started(family, dtype="bfloat16", chunk=5))
    heard = {}
    for length in RAGGED:
        heard[length] = driven.submit(asking(length, logprobs=0), f"r{length}")
        driven.step(3)
    driven.finish()
    exact, rough = model(family), model(family, torch.bfloat16)
    mine, theirs = [], []
    for length, one in heard.items():
        truth = rated(exact, prompt(length), one.tokens[0])
        mine.append(torch.tensor([score.logprob for score in scores(one)]) - truth)
        theirs.append(rated(rough, prompt(length), one.tokens[0]) - truth)
    assert len(torch.cat(mine)) == TOKENS * len(RAGGED)
    assert torch.cat(mine).square().mean().sqrt() <= 2 * torch.cat(theirs).square().mean().sqrt() + 1e-3
