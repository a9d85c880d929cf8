"""What scoring scripts send and compute, as lm-evaluation-harness does, over a whole cortex with the demo model."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch
from openai import OpenAI
from openai.types import CompletionChoice
from stack import Stack
from transformers import AutoModelForCausalLM, AutoTokenizer

from cortex.neuron.demo import model_path

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

PAIRS = [
    ("The capital of France is", " Paris."),
    ("The capital of France is", " a fish."),
    ("count from 2 to 6", ": 2, 3, 4, 5, 6"),
    ("hello", " there"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    entry = {"id": "m", "source": "demo", "slots": 4, "dtype": "float32"}
    with (
        Stack(tmp_path_factory.mktemp("scoring") / "c", engine="torch", models=(entry,)) as running,
        OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as made,
    ):
        yield made


def encoded(tokenizer, context: str, continuation: str) -> tuple[list[int], int]:
    """The tokens of both together, and how many of them are the context's."""
    context_ids = tokenizer(context)["input_ids"]
    return tokenizer(context + continuation)["input_ids"], len(context_ids)


def score(choice: CompletionChoice, context: int) -> tuple[float, bool]:
    """The continuation's log likelihood, and whether each of its tokens was the likeliest."""
    told = choice.logprobs
    greedy = all(
        max(top, key=top.__getitem__) == token
        for token, top in zip(told.tokens[context:-1], told.top_logprobs[context:-1], strict=True)
    )
    return sum(told.token_logprobs[context:-1]), greedy


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(model_path(), dtype=torch.float32)


def expected(model, ids: list[int], context: int) -> tuple[float, bool]:
    with torch.inference_mode():
        rows = torch.log_softmax(model(torch.tensor([ids])).logits[0], dim=-1)
    told = [
        (float(rows[at - 1, ids[at]]), int(rows[at - 1].argmax()) == ids[at])
        for at in range(context, len(ids))
    ]
    return sum(logprob for logprob, _ in told), all(greedy for _, greedy in told)


def test_continuations_are_scored(client: OpenAI, model) -> None:
    """Several prompts of token ids in one body, whole and streamed: the sums are those of transformers."""
    tokenizer = AutoTokenizer.from_pretrained(model_path())
    pairs = [encoded(tokenizer, *pair) for pair in PAIRS]
    asked = {
        "model": "m",
        "prompt": [ids for ids, _ in pairs],
        "echo": True,
        "logprobs": 1,
        "max_tokens": 1,
        "temperature": 0,
        "seed": 1234,
    }
    made = client.completions.create(**asked)
    for choice, (ids, context) in zip(made.choices, pairs, strict=True):
        assert len(choice.logprobs.tokens) == len(ids) + 1
        likelihood, greedy = score(choice, context)
        wanted, wanted_greedy = expected(model, ids, context)
        assert likelihood == pytest.approx(wanted, abs=1e-2)
        assert greedy == wanted_greedy
    assert made.usage.prompt_tokens == sum(len(ids) for ids, _ in pairs)
    rated = [[] for _ in pairs]
    for chunk in client.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            rated[choice.index] += choice.logprobs.token_logprobs if choice.logprobs else []
    assert rated == [
        [
            None if value is None else pytest.approx(value, abs=1e-3)
            for value in choice.logprobs.token_logprobs
        ]
        for choice in made.choices
    ]


def test_more_prompts_than_slots_wait_for_one_another(client: OpenAI, model) -> None:
    """128 in one body, for a model with four slots."""
    source = random.Random(5)
    prompts = [[source.randrange(5, 400) for _ in range(source.randrange(1, 40))] for _ in range(128)]
    made = client.completions.create(model="m", prompt=prompts, echo=True, logprobs=0, max_tokens=0)
    for choice, ids in list(zip(made.choices, prompts, strict=True))[::16]:
        assert len(choice.logprobs.tokens) == len(ids)
        likelihood = sum(choice.logprobs.token_logprobs[1:])
        assert likelihood == pytest.approx(expected(model, ids, 1)[0], abs=2e-2)
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (sum(map(len, prompts)), 0)
