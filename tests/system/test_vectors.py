"""Embeddings by the official client, and counts, from real processes: the simulated engine and the demo model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from openai import BadRequestError, OpenAI
from stack import Stack
from transformers import AutoModelForCausalLM, AutoTokenizer

from cortex.edge.config import Gateway
from cortex.edge.counting import count
from cortex.edge.link import FleetLink
from cortex.neuron.demo import model_path
from cortex.neuron.engine.sim_vectors import vector
from cortex.neuron.engine.torch.template import render
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Counted
from cortex.protocol.request import Chat, Text, ToolSpec, Turn

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

TEXTS = ["What is cortex?", "hello", "count from 2 to 6"]
TOOL = ToolSpec(
    name="look", description="Looks.", schema=b'{"type":"object","properties":{"at":{"type":"string"}}}'
)


@pytest.fixture(scope="module", params=["sim", "torch"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp(request.param) / "c", engine=request.param, models=("m",)) as running:
        running.engine = request.param
        running.wait_for(lambda: is_hot(running), 120, "the model is never hot")
        yield running


def is_hot(stack: Stack) -> bool:
    report = stack.try_status()
    neurons = () if report is None else report.neurons
    return any(model.state == "hot" for neuron in neurons for model in neuron.models)


@pytest.fixture
def client(stack: Stack) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stack.url}/v1", api_key="k", max_retries=0) as made:
        yield made


def expected(engine: str, text: str | tuple[int, ...], width: int | None = None) -> list[float]:
    if engine == "sim":
        return list(vector(text, width or 64))
    model = AutoModelForCausalLM.from_pretrained(model_path(), dtype=torch.float32)
    ids = AutoTokenizer.from_pretrained(model_path())(text)["input_ids"] if isinstance(text, str) else text
    with torch.inference_mode():
        states = (
            model(torch.tensor([list(ids)]), output_hidden_states=True)
            .hidden_states[-1][0]
            .mean(dim=0)[:width]
        )
    return (states / states.norm()).tolist()


def near(found: list[float], wanted: list[float]) -> bool:
    """The demo model may be computed in bfloat16, where the machine has instructions for it."""
    return len(found) == len(wanted) and sum(a * b for a, b in zip(found, wanted, strict=True)) > 0.999


def test_the_official_client(stack: Stack, client: OpenAI) -> None:
    """Texts and token ids, base64 as it asks by itself and plain numbers, in order, with their usage."""
    for more in ({}, {"encoding_format": "float"}):
        answer = client.embeddings.create(model="m", input=TEXTS, user="me", **more)
        assert [one.index for one in answer.data] == [0, 1, 2]
        for one, text in zip(answer.data, TEXTS, strict=True):
            assert near(one.embedding, expected(stack.engine, text))
        assert answer.model == "m"
        assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    [one] = client.embeddings.create(model="m", input="hello", dimensions=8).data
    assert near(one.embedding, expected(stack.engine, "hello", 8))
    [ids] = client.embeddings.create(model="m", input=[5, 6, 7]).data
    assert near(ids.embedding, expected(stack.engine, (5, 6, 7)))
    lists = client.embeddings.create(model="m", input=[[5, 6, 7], [8]])
    assert near(lists.data[0].embedding, ids.embedding)
    assert lists.usage.prompt_tokens >= 4


def test_what_is_wrong_is_told(client: OpenAI) -> None:
    """Each error has its status and its field, whether the edge finds it or the engine."""
    for asked, param in (
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": "x", "dimensions": 100_000}, "dimensions"),
        ({"input": [[1], [1] * 200_000]}, "input[1]"),
    ):
        with pytest.raises(BadRequestError) as caught:
            client.embeddings.create(model="m", **asked)
        assert caught.value.param == param


def test_many_at_once(client: OpenAI) -> None:
    """More texts than slots, in one request."""
    answer = client.embeddings.create(model="m", input=[f"text {index}" for index in range(200)])
    assert [one.index for one in answer.data] == list(range(200))
    again = client.embeddings.create(model="m", input=["text 199"])
    assert near(again.data[0].embedding, answer.data[199].embedding)


def chat(text: str, *tools: ToolSpec) -> Chat:
    return Chat(model="m", turns=(Turn(role="user", parts=(Text(text=text),)),), tools=tools)


def counts(stack: Stack, *chats: Chat) -> list[Counted | BaseException]:
    """What a worker of the edge is told of them, all asked at the same moment."""

    async def scenario() -> list[Counted | BaseException]:
        link = FleetLink((stack.planes.edge,), Gateway())
        await link.start()
        try:
            asked = [count(link, f"c{index}", one) for index, one in enumerate(chats)]
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await link.stop()

    return asyncio.run(scenario())


def test_counts(stack: Stack, client: OpenAI) -> None:
    """Fifteen at once, each what a completion's usage says of the same chat; only the first may need an estimate."""
    stack.wait_for(lambda: not counts(stack, chat("warm"))[0].estimated, 30, "nobody counts")
    chats = [chat("hello " * 200 * index, *[TOOL] * (index % 2)) for index in range(1, 16)]
    found = counts(stack, *chats)
    assert all(isinstance(one, Counted) and not one.estimated for one in found), found
    if stack.engine == "torch":
        tokenizer = AutoTokenizer.from_pretrained(model_path())
        assert [one.tokens for one in found] == [len(render(one, tokenizer, 10**9).ids) for one in chats]
    hello = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hello"}], max_tokens=1
    )
    assert counts(stack, chat("hello"))[0].tokens == hello.usage.prompt_tokens


def test_a_count_that_cannot_be(stack: Stack) -> None:
    """Malformed tools are the same fault as in a chat, and the next count goes on."""
    if stack.engine == "sim":
        pytest.skip("the simulated engine reads no tools")
    bad, good = counts(stack, chat("x", ToolSpec(name="f", schema=b"{")), chat("x"))
    assert isinstance(bad, FaultError)
    assert (bad.fault.code, bad.fault.param) == (Code.INVALID_REQUEST, "tools")
    assert isinstance(good, Counted)
    assert not good.estimated


def test_a_count_while_the_device_stands_still(tmp_path: Path) -> None:
    """Nobody answers for a second: the edge estimates, and says so."""
    with Stack(tmp_path / "c", neuron=False) as running:
        began = time.monotonic()
        [found] = counts(running, chat("hello " * 100))
        assert time.monotonic() - began < 5
        assert found.estimated
        assert 100 < found.tokens < 200
