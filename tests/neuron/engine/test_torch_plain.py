"""Models that read one sequence at a time: the same as `generate` gives, whatever is asked for beside them."""

import gc
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from checkpoints import PLAIN
from driving import Drive
from reference import generated, prompt
from reference import greedy as likeliest
from transformers import AutoModelForCausalLM

from cortex.neuron.engine.torch import sizes
from cortex.neuron.engine.torch.plain import PlainUnsupportedError, examine, state_bytes, tensors
from cortex.neuron.engine.torch.states import PlainRunner
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Complete, Embed

Driving = Callable[..., Drive]
RAGGED = (3, 41, 1, 60, 18)
SINGLE = ("falcon_mamba", "jamba")
"""What these have read can only be continued by one token."""


def greedy(ids: tuple[int, ...], tokens: int = 12, **more: object) -> Complete:
    return likeliest(ids, tokens, **more)


@pytest.fixture(scope="module")
def reference(directory: Callable[[str], Path]) -> Callable[..., list[int]]:
    models, known = {}, {}

    def generate(family: str, ids: tuple[int, ...], tokens: int = 12) -> list[int]:
        if (family, ids, tokens) not in known:
            model = models.setdefault(family, AutoModelForCausalLM.from_pretrained(directory(family)))
            known[family, ids, tokens] = generated(model, ids, tokens)
        return known[family, ids, tokens]

    return generate


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 512])
@pytest.mark.parametrize("family", PLAIN)
def test_alone_equals_generate(drive: Driving, reference, family, chunk) -> None:
    """However its prompt is cut into pieces, a request gets what `generate` gives."""
    assert drive(family, chunk=chunk).run(greedy(prompt(37))).tokens[0] == reference(family, prompt(37))


@pytest.mark.parametrize("family", PLAIN)
def test_mixed_equals_generate(drive: Driving, reference, family) -> None:
    """Ragged prompts that join while others decode do not touch one another."""
    driven = drive(family, slots=6, chunk=5)
    heard = {}
    for length in RAGGED:
        heard[length] = driven.submit(greedy(prompt(length)), f"r{length}")
        driven.step(3)
    driven.finish()
    for length in RAGGED:
        assert heard[length].tokens[0] == reference(family, prompt(length)), length


@pytest.mark.parametrize("family", PLAIN)
def test_text_wanders(reference, family) -> None:
    """The checkpoints say something that depends on what they read, so that a mistake would show."""
    said = [tuple(reference(family, prompt(length))) for length in (*RAGGED, 37)]
    assert len(set(said)) == len(said)
    assert all(len(set(one)) > 3 for one in said)


def sampled(length: int, **more: object) -> Complete:
    return greedy(prompt(length), **({"temperature": 1.5, "seed": 42} | more))


@pytest.mark.parametrize("family", PLAIN)
def test_seed(drive: Driving, family) -> None:
    """The same seed gives the same text alone and among others, each choice for itself."""
    alone = drive(family).run(sampled(30)).tokens[0]
    driven = drive(family, slots=6, chunk=5)
    driven.submit(greedy(prompt(41)), "other")
    driven.submit(sampled(9, seed=1, top_p=0.7), "third")
    driven.step(4)
    crowded = driven.submit(sampled(30, n=2), "same")
    driven.finish()
    assert crowded.tokens[0] == alone
    assert crowded.tokens[1] != alone


@pytest.mark.parametrize("family", PLAIN)
def test_prefix(drive: Driving, family) -> None:
    """A later attempt continues as if there had been no earlier one."""
    whole = drive(family, chunk=5).run(sampled(20), "whole")
    driven = drive(family, chunk=5)
    early = driven.submit(sampled(20), "r")
    while len(early.tokens.get(0, ())) < 5:
        driven.step()
    driven.engine.cancel(("r", 1))
    driven.finish()
    assert early.terminal.cancelled
    late = driven.submit(sampled(20), "r", 2, prefix=(tuple(early.tokens[0]),))
    driven.finish()
    assert early.tokens[0] + late.tokens[0] == whole.tokens[0]
    assert early.text() + late.text() == whole.text()


@pytest.mark.parametrize("family", PLAIN)
def test_memory_is_freed_with_the_last_token(drive: Driving, family) -> None:
    """What was read of a sequence is gone when it ends or is cancelled, and nobody has to search for it."""
    driven = drive(family)
    cache = driven.engine._serving["m"]._runner.cache
    gc.collect()
    gc.disable()
    try:
        driven.submit(greedy(prompt(40)), "ends")
        driven.submit(greedy(prompt(30)), "cancelled")
        driven.step(2)
        assert cache.bytes > 0
        states = [weakref.ref(one) for one in tensors(list(cache._states.values()))]
        driven.engine.cancel(("cancelled", 1))
        driven.finish()
        assert cache.bytes == 0
        assert states
        assert not any(one() is not None for one in states)
    finally:
        gc.enable()


@pytest.mark.parametrize("family", PLAIN)
def test_it_says_how_it_is_served(started, family) -> None:
    """Operators are told; whether several tokens can follow at once is found out; a state takes what was foreseen."""
    serving = started(family)._serving["m"]
    assert isinstance(serving._runner, PlainRunner)
    assert serving.done(1).detail.startswith("served one sequence at a time: its ")
    plain = serving._loaded.plain
    assert plain.is_single == (family in SINGLE)
    with torch.inference_mode():
        _, state = plain.read(serving._loaded.model, torch.ones(100, dtype=torch.long), 0, None)
    assert state_bytes(state) <= plain.fixed + 100 * plain.each


@pytest.mark.parametrize(("family", "positions"), [("gemma2", 128), ("jamba", 224), ("qwen3_next", 224)])
def test_who_gives_way_says_the_same(tight: Driving, reference, family, positions) -> None:
    """Four answers that fit at first and do not later: what was read of one is given up, and read again."""
    driven = tight(positions, family)
    heard = {length: driven.submit(greedy(prompt(length), 70), f"r{length}") for length in (10, 11, 12, 13)}
    driven.finish()
    assert driven.engine.preemptions >= 1
    for length, one in heard.items():
        assert one.tokens[0] == reference(family, prompt(length), 70)


def test_a_state_without_room_waits_its_turn(tight: Driving) -> None:
    """A recurrent state takes the same however short its sequence is."""
    driven = tight(2 * 22528 + 100, "mamba2")
    for name in "ab":
        driven.submit(greedy(prompt(10)), name)
    with pytest.raises(FaultError) as caught:
        driven.submit(greedy(prompt(10)), "c")
    assert caught.value.fault.code is Code.BUSY
    driven.finish()
    driven.run(greedy(prompt(10)), "c")


@pytest.mark.parametrize("chunk", [5, 512])
@pytest.mark.parametrize("family", ["mamba2", "jamba", "gpt_oss"])
def test_vectors_are_made_of_them(drive: Driving, directory, family, chunk) -> None:
    """The mean of the hidden states of each text, beside an answer, whatever the pieces were."""
    driven = drive(family, chunk=chunk)
    driven.submit(greedy(prompt(9)), "beside")
    heard = driven.run(Embed(model="m", inputs=(prompt(30), prompt(12))), "vectors")
    found = torch.frombuffer(bytearray(heard.vectors), dtype=torch.float32).reshape(2, -1)
    model = AutoModelForCausalLM.from_pretrained(directory(family)).base_model
    with torch.inference_mode():
        means = [model(torch.tensor([prompt(length)])).last_hidden_state[0].mean(0) for length in (30, 12)]
    for row, mean in zip(found, means, strict=True):
        assert torch.allclose(row, mean / mean.norm(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", PLAIN)
def test_memory_is_foreseen(started, directory, family) -> None:
    """What the configuration tells of a state is about what it takes."""
    config = json.loads((directory(family) / "config.json").read_text())
    plain = started(family)._serving["m"]._loaded.plain
    for length in (50, 500):
        takes = plain.fixed + length * plain.each
        told = sizes.state_bytes(config) + length * sizes.position_bytes(config, 4)
        assert 0.9 * takes <= told <= 1.3 * takes


@pytest.mark.parametrize("family", ["mamba2", "gemma2"])
def test_nothing_is_kept_for_the_next_turn(drive: Driving, family) -> None:
    """The same prompt is read again, after the first and beside it: a state cannot be cut."""
    driven = drive(family)
    first = driven.run(greedy(prompt(40)), "first")
    beside = driven.submit(greedy(prompt(40)), "beside")
    driven.step(2)
    heard = driven.run(greedy(prompt(40)), "again")
    assert heard.tokens == beside.tokens == first.tokens
    assert heard.terminal.usage.cached == 0


@pytest.mark.parametrize("family", ["qwen3", "llama", "mistral", "gemma", "moe", "wide"])
def test_others_are_served_together(started, family) -> None:
    """Who attends through our function has nothing to say."""
    serving = started(family)._serving["m"]
    assert serving._loaded.plain is None
    assert serving.done(1).detail == ""


class Summing(torch.nn.Module):
    """Says what the sum of all that it has read makes it say. `how` is what it does wrong."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.embedding = torch.nn.Embedding(64, 16)
        self.how = how
        self.own = torch.zeros(16)

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.embedding

    def forward(self, input_ids, *, past_key_values=None, use_cache=True) -> SimpleNamespace:
        start = torch.zeros(16) if past_key_values is None else past_key_values[0]
        if self.how == "keeps it to itself" and use_cache:
            start = torch.zeros(16) if past_key_values is None and input_ids.shape[1] > 2 else self.own
        if self.how == "forgets before several tokens" and input_ids.shape[1] > 1:
            start = torch.zeros(16)
        if self.how == "forgets":
            start = torch.zeros(16)
        if (
            self.how == "cannot take several tokens"
            and past_key_values is not None
            and input_ids.shape[1] > 1
        ):
            raise ValueError("one at a time, please")
        sums = start + self.embedding(input_ids).cumsum(1)
        self.own = sums[0, -1].clone()
        state = None if self.how == "hands out nothing" else [self.own]
        return SimpleNamespace(logits=(sums @ self.embedding.weight.T).tanh(), past_key_values=state)


def test_a_state_that_goes_on_is_continued_by_several_tokens() -> None:
    """Its size is measured."""
    plain = examine(Summing(""), "why")
    assert (plain.is_single, plain.fixed, plain.each, plain.state) == (False, 64, 0, "past_key_values")


@pytest.mark.parametrize("how", ["forgets before several tokens", "cannot take several tokens"])
def test_a_state_that_only_one_token_can_follow_gets_one_at_a_time(how) -> None:
    """And then the answer is that to the whole text."""
    model = Summing(how)
    plain = examine(model, "why")
    assert plain.is_single
    ids = torch.arange(1, 20)
    _, state = plain.read(model, ids[:7], 0, None)
    said, _ = plain.read(model, ids[7:], 7, state)
    assert torch.allclose(said, model(ids[None]).logits[0, -1], atol=1e-5)


@pytest.mark.parametrize("how", ["hands out nothing", "keeps it to itself", "forgets"])
def test_a_state_that_cannot_be_continued_is_refused(how) -> None:
    """One that would be served wrong."""
    with pytest.raises(PlainUnsupportedError, match="read"):
        examine(Summing(how), "why")
