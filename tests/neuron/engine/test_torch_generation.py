"""What the torch engine generates: the same as transformers' own `generate`, whatever else runs beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from driving import Drive
from msgspec import structs
from reference import generated, greedy, prompt
from transformers import AutoModelForCausalLM

from cortex.protocol.request import Complete, Sampling

Driving = Callable[..., Drive]
FAMILIES = ["qwen3", "llama", "mistral", "gemma", "moe", "wide"]
RAGGED = (3, 41, 1, 17, 80, 29)


@pytest.fixture(scope="module")
def reference(directory: Callable[[str], Path]) -> Callable[..., list[int]]:
    models = {}

    def generate(ids: tuple[int, ...], tokens: int = 24, family: str = "qwen3") -> list[int]:
        model = models.setdefault(family, AutoModelForCausalLM.from_pretrained(directory(family)))
        return generated(model, ids, tokens)

    return generate


@pytest.mark.parametrize("family", FAMILIES)
def test_alone_equals_generate(drive: Driving, reference, family) -> None:
    """Alone, with its prompt in chunks of seven, a request gets what `generate` gives."""
    heard = drive(family, chunk=7).run(greedy(prompt(50)))
    assert heard.tokens[0] == reference(prompt(50), family=family)
    assert heard.finish().reason == "length"


@pytest.mark.parametrize("family", FAMILIES)
def test_mixed_batch_equals_generate(drive: Driving, reference, family) -> None:
    """Ragged prompts that join while others decode, prefilled five tokens at a time, do not touch one another."""
    driven = drive(family, slots=6, chunk=5)
    heard = {}
    for length in RAGGED:
        heard[length] = driven.submit(greedy(prompt(length)), f"r{length}")
        driven.step(3)
    driven.finish()
    for length in RAGGED:
        assert heard[length].tokens[0] == reference(prompt(length), family=family), length


@pytest.mark.parametrize("family", FAMILIES)
def test_logits(drive: Driving, directory, family, monkeypatch) -> None:
    """In chunks and beside another sequence, each row of logits is that of one pass over its whole sequence."""
    driven = drive(family, chunk=7)
    runner = driven.engine._serving["m"]._runner
    forward, rows = runner.forward, []

    def watched(spans):
        logits = forward(spans)
        mine = [span.sequence for span in spans if span.samples]
        rows.extend((list(one.tokens), row) for one, row in zip(mine, logits, strict=True))
        return logits

    monkeypatch.setattr(runner, "forward", watched)
    driven.submit(greedy(prompt(50), 6), "one")
    driven.step(2)
    driven.submit(greedy(prompt(33), 6), "two")
    driven.finish()
    model = AutoModelForCausalLM.from_pretrained(directory(family))
    assert len(rows) == 12
    with torch.inference_mode():
        for tokens, row in rows:
            assert torch.allclose(row, model(torch.tensor([tokens])).logits[0, -1], atol=2e-4), len(tokens)


def test_slot_reuse(drive: Driving, reference) -> None:
    """A slot's former tenant leaves nothing behind."""
    driven = drive(slots=1, chunk=16)
    driven.run(greedy(prompt(90)), "before")
    assert driven.run(greedy(prompt(20)), "after").tokens[0] == reference(prompt(20))


def test_growth(drive: Driving, reference) -> None:
    """A sequence that outgrows its slot's first memory goes on unchanged."""
    heard = drive().run(greedy(prompt(240), 60))
    assert heard.tokens[0] == reference(prompt(240), 60)


def sampled(length: int, **more: object) -> Complete:
    wanted = {"temperature": 1.5, "max_tokens": 16, "seed": 42, "ignore_eos": True} | more
    return Complete(model="m", prompt=prompt(length), sampling=Sampling(**wanted))


def test_seed(drive: Driving) -> None:
    """The same seed gives the same text alone and among others, another seed another text."""
    alone = drive().run(sampled(30)).tokens[0]
    driven = drive(slots=6, chunk=5)
    driven.submit(greedy(prompt(41)), "other")
    driven.submit(sampled(9, seed=1, top_p=0.7), "third")
    driven.step(4)
    crowded = driven.submit(sampled(30), "same")
    driven.finish()
    assert crowded.tokens[0] == alone
    assert drive().run(sampled(30, seed=43)).tokens[0] != alone
    assert alone != drive().run(greedy(prompt(30), 16)).tokens[0]


def test_top_k_one(drive: Driving, reference) -> None:
    """With top_k 1 the hottest temperature still takes the likeliest token."""
    heard = drive().run(sampled(30, temperature=5.0, top_k=1))
    assert heard.tokens[0] == reference(prompt(30), 16)


def test_choices(drive: Driving) -> None:
    """n choices differ, the first is what n=1 gives, and usage and totals count them all."""
    heard = drive().run(sampled(30, n=3))
    assert heard.tokens[0] == drive().run(sampled(30)).tokens[0]
    assert len({tuple(tokens) for tokens in heard.tokens.values()}) == 3
    assert heard.terminal.totals == (16, 16, 16)
    assert heard.terminal.usage.completion == 48
    assert heard.terminal.usage.prompt == 30


def test_choices_of_unequal_length(drive: Driving) -> None:
    """A choice that ends early frees its slot, and the request ends with its last choice."""
    driven = drive()
    whole = driven.run(sampled(30, n=2, temperature=3.0, max_tokens=30), "whole")
    first = whole.text(0)
    stop = next(char for char in first[3:] if char not in whole.text(1))
    heard = driven.run(sampled(30, n=2, temperature=3.0, max_tokens=30, stop=(stop,)), "cut")
    assert heard.finish(0).stop == stop
    assert heard.finish(1).reason == "length"
    assert len(heard.tokens[0]) < 30
    assert heard.tokens[1] == whole.tokens[1]


@pytest.mark.parametrize("cut", [1, 7, 15])
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_prefix(drive: Driving, cut, temperature) -> None:
    """A later attempt continues as if there had been no earlier one: tokens, text, stop strings and usage."""
    request = sampled(30, temperature=temperature)
    whole = drive(chunk=5).run(request, "whole")
    driven = drive(chunk=5)
    early = driven.submit(request, "r")
    while len(early.tokens.get(0, ())) < cut:
        driven.step()
    driven.engine.cancel(("r", 1))
    driven.finish()
    assert early.terminal.cancelled
    late = driven.submit(request, "r", 2, prefix=(tuple(early.tokens[0]),))
    driven.finish()
    assert early.tokens[0] + late.tokens[0] == whole.tokens[0]
    assert early.text() + late.text() == whole.text()
    assert late.terminal.totals == whole.terminal.totals == (16,)
    assert structs.replace(late.terminal.usage, cached=0) == whole.terminal.usage


def test_complete_prefix(drive: Driving) -> None:
    """A choice that had ended before says so again, without a token, while the other goes on."""
    request = sampled(30, n=2)
    whole = drive().run(request, "whole")
    prefix = (tuple(whole.tokens[0]), tuple(whole.tokens[1][:5]))
    heard = drive().run(request, "again", prefix=prefix)
    assert heard.tokens[0] == []
    assert heard.pieces[0] == [whole.finish(0)]
    assert heard.tokens[1] == whole.tokens[1][5:]
    assert heard.terminal.totals == (16, 16)


def test_wholly_complete_prefix(drive: Driving) -> None:
    """A request of which only the terminal was lost gets its terminal."""
    request = sampled(30)
    whole = drive().run(request, "whole")
    heard = drive().run(request, "again", prefix=(tuple(whole.tokens[0]),))
    assert heard.terminal.totals == (16,)


def test_timings(drive: Driving) -> None:
    """Times come from the caller's clock: waiting, reading the prompt, writing the answer."""
    heard = drive(chunk=5).run(greedy(prompt(20), 4))
    timings = heard.terminal.timings
    assert (timings.wait_ms, timings.prefill_ms, timings.decode_ms) == (1000, 4000, 2000)


def test_phase(drive: Driving) -> None:
    """The phase is that of the next step."""
    driven = drive(chunk=5)
    assert driven.engine.phase == "idle"
    driven.submit(greedy(prompt(8), 3))
    assert driven.engine.phase == "prefill"
    driven.step(2)
    assert driven.engine.phase == "decode"
    driven.finish()
    assert driven.engine.phase == "idle"
