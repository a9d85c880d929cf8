"""An agent's next request begins as its last one did: what was computed is used again, with the bundled model."""

from __future__ import annotations

import json

import pytest
from driving import Drive
from loaded_engines import holding

from cortex.edge.dialects import openai_chat
from cortex.edge.submitting import encoded
from cortex.neuron.config import ModelSettings
from cortex.neuron.demo import model_path
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.neuron.engine.torch.template import render
from cortex.protocol.codec import decode_request
from cortex.protocol.messages import Finished
from cortex.protocol.request import Chat

BILLING = "x-anthropic-billing-header: cc_version=2.1.197.%s; cc_entrypoint=cli;"
SYSTEM = "You are an agent. Use the tools. " * 8


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    settings = ModelSettings(
        id="m", source=str(model_path()), slots=2, chunk=512, context=2048, dtype="float32"
    )
    return holding(settings)


def schema(*names: str) -> dict[str, object]:
    properties = {name: {"type": "string", "description": f"The {name}."} for name in names}
    return {"type": "object", "properties": properties, "required": list(names)}


def asked(build: str, *turns: str, tools: tuple[tuple[str, ...], ...] = (("b", "a"), ("c",))) -> Chat:
    """The request as it reaches the neuron; `build` differs in the billing line alone."""
    offered = [
        {"type": "function", "function": {"name": f"tool_{n}", "parameters": schema(*names)}}
        for n, names in enumerate(tools)
    ]
    system = [{"type": "text", "text": BILLING % build}, {"type": "text", "text": SYSTEM}]
    messages = [{"role": "system", "content": system}]
    messages += [
        {"role": ("user", "assistant")[n % 2], "content": text}  # type: ignore[dict-item]
        for n, text in enumerate(turns)
    ]
    body = {"model": "m", "messages": messages, "tools": offered, "temperature": 0, "max_tokens": 4}
    request = decode_request(encoded(openai_chat.parse(json.dumps(body).encode()).request, "send less"))
    assert isinstance(request, Chat)
    return request


def prompt(engine: TorchEngine, chat: Chat) -> str:
    tokenizer = engine._serving["m"]._loaded.tokenizer
    text: str = tokenizer.decode(render(chat, tokenizer, 2048).ids)
    return text


def test_the_same_request_renders_the_same_whatever_its_billing_line(engine: TorchEngine) -> None:
    """Token for token; and one more turn only adds to it."""
    first, again = prompt(engine, asked("a1b", "hi")), prompt(engine, asked("c3d", "hi"))
    assert first == again
    assert "billing" not in first
    begun = first[: first.index("hi")]
    assert prompt(engine, asked("e5f", "hi", "Hello.", "more")).startswith(begun)


def test_tools_and_the_keys_of_their_schemas_keep_their_order(engine: TorchEngine) -> None:
    """As the client sent them: sorted by nobody, on the way or by the template."""
    text = prompt(engine, asked("a", "hi", tools=(("zeta", "alpha", "mid"), ("c",))))
    places = [text.index(word) for word in ("tool_0", '"zeta"', '"alpha"', '"mid"', "tool_1")]
    assert places == sorted(places)
    turned = prompt(engine, asked("a", "hi", tools=(("alpha", "mid", "zeta"), ("c",))))
    assert turned != text


def test_the_second_turn_is_not_computed_anew(engine: TorchEngine) -> None:
    """The engine reports nearly all of the first prompt as cached, though the billing line has changed."""
    driven = Drive(engine)
    first = driven.run(asked("a1b", "hi"), "first")
    second = driven.run(asked("c3d", "hi", first.text(), "more"), "second")
    assert isinstance(first.terminal, Finished)
    assert isinstance(second.terminal, Finished)
    assert second.terminal.usage.cached > 0.9 * first.terminal.usage.prompt
