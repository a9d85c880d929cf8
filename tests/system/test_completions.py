"""The old completions end to end: the official client over a whole cortex, whose model says what its script has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI, BadRequestError, OpenAI
from stack import Stack

pytestmark = pytest.mark.system

MODEL = "scripted"
FOX = "Once upon a time"
STORY = " there was a fox."


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    replies = {FOX: STORY, "one": " two", "a": " b", "long": " and on" * 100}
    sim = {
        "tokens_per_s": 2000,
        "scripts": {MODEL: {"family": "hermes", "replies": replies, "otherwise": "?"}},
    }
    data: Path = tmp_path_factory.mktemp("completions") / "c"
    with Stack(data, sim=sim, models=(MODEL,)) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> OpenAI:
    return OpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0)


def test_a_text_is_continued(client: OpenAI) -> None:
    """Whole and streamed, with the prompt repeated or not, and the usage."""
    made = client.completions.create(model=MODEL, prompt=FOX, max_tokens=50)
    [choice] = made.choices
    assert (choice.text, choice.finish_reason, choice.logprobs) == (STORY, "stop", None)
    assert (made.object, made.id[:5]) == ("text_completion", "cmpl-")
    assert made.usage.completion_tokens > 0
    echoed = client.completions.create(model=MODEL, prompt=FOX, max_tokens=50, echo=True)
    assert echoed.choices[0].text == FOX + STORY
    chunks = list(
        client.completions.create(
            model=MODEL,
            prompt=FOX,
            max_tokens=50,
            echo=True,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == FOX + STORY
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert chunks[-1].usage == made.usage


def test_sixteen_tokens_are_enough_for_who_asks_for_none(client: OpenAI) -> None:
    """As the old way has it; the reason says that there was more."""
    made = client.completions.create(model=MODEL, prompt="long")
    assert (made.usage.completion_tokens, made.choices[0].finish_reason) == (16, "length")


def test_several_prompts_are_answered_in_their_order(client: OpenAI) -> None:
    """Each as often as `n` says; token ids are prompts too."""
    made = client.completions.create(model=MODEL, prompt=["one", "a", FOX], n=2, max_tokens=50)
    assert [choice.text for choice in made.choices] == [" two", " two", " b", " b", STORY, STORY]
    assert [choice.index for choice in made.choices] == list(range(6))
    assert made.usage.completion_tokens > 6
    ids = client.completions.create(model=MODEL, prompt=[[1, 2, 3], [4, 5]], max_tokens=5)
    assert [choice.text for choice in ids.choices] == ["?", "?"]


def test_several_prompts_are_told_in_one_stream(client: OpenAI) -> None:
    """As in the whole answer, each choice by its number; one usage for all of them."""
    asked = {"model": MODEL, "prompt": ["one", "a", FOX], "n": 2, "max_tokens": 50, "echo": True}
    whole = client.completions.create(**asked)
    chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    texts = [""] * 6
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == [choice.text for choice in whole.choices]
    assert [chunk.usage for chunk in chunks if chunk.usage] == [whole.usage]


def test_a_prompt_alone_is_rated(client: OpenAI) -> None:
    """With no token to follow it, as text and as token ids; nothing is counted as an answer."""
    for prompt, tokens in ((FOX, 4), ([5, 6, 7], 3)):
        made = client.completions.create(model=MODEL, prompt=prompt, echo=True, logprobs=1, max_tokens=0)
        [choice] = made.choices
        assert "".join(choice.logprobs.tokens) == choice.text
        assert choice.logprobs.token_logprobs == [None, *[-0.5] * (tokens - 1)]
        assert choice.logprobs.top_logprobs[0] is None
        assert (choice.finish_reason, made.usage.completion_tokens) == ("length", 0)
    with pytest.raises(BadRequestError) as caught:
        client.completions.create(model=MODEL, prompt=FOX, max_tokens=0)
    assert caught.value.param == "max_tokens"


def test_tokens_are_rated_in_the_old_form(client: OpenAI) -> None:
    """Four lists of one length; offsets count characters."""
    [choice] = client.completions.create(model=MODEL, prompt=FOX, max_tokens=50, logprobs=1).choices
    rated = choice.logprobs
    assert "".join(rated.tokens) == STORY
    assert rated.text_offset == [4 * index for index in range(len(rated.tokens))]
    assert rated.top_logprobs[0] == {rated.tokens[0]: rated.token_logprobs[0]}


def test_what_is_not_done_is_refused_by_name(client: OpenAI) -> None:
    """With the field and the reason."""
    for name, value in {"suffix": "end", "best_of": 3}.items():
        with pytest.raises(BadRequestError) as caught:
            client.completions.create(model=MODEL, prompt="one", **{name: value})
        assert caught.value.param == name


def test_many_at_once(stack: Stack) -> None:
    """The asynchronous client, streams side by side."""

    async def scenario() -> None:
        async with AsyncOpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0) as client:

            async def one() -> str:
                stream = await client.completions.create(model=MODEL, prompt=FOX, max_tokens=50, stream=True)
                return "".join([choice.text async for chunk in stream for choice in chunk.choices])

            assert await asyncio.gather(*(one() for _ in range(6))) == [STORY] * 6

    asyncio.run(asyncio.wait_for(scenario(), 60))
