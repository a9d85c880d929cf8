"""Counts by the tokenizer alone are what admission counts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from driving import Drive

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import Job
from cortex.neuron.engine.torch.tokens import KEPT, Tokens
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Chat, Sampling, Text, ToolSpec, Turn

Driving = Callable[..., Drive]
LOOK = ToolSpec(name="look", description="Looks.", schema=b'{"type": "object"}')


def chat(text: str = "hello", **more: object) -> Chat:
    turns = (Turn(role="system", parts=(Text(text="be kind"),)), Turn(role="user", parts=(Text(text=text),)))
    return Chat(model="m", turns=turns, sampling=Sampling(max_tokens=1), **more)


@pytest.mark.parametrize(
    "asked",
    [chat(), chat("grüße 🙂"), chat(tools=(LOOK,)), chat(template_options=b'{"enable_thinking": true}')],
)
def test_the_same_as_admission(drive: Driving, directory: Callable[[str], Path], asked: Chat) -> None:
    """For whatever is part of the prompt."""
    driven = drive()
    counted = Tokens(()).count(asked, str(directory("qwen3"))).tokens
    assert driven.engine.admit(Job(("r", 1), asked), 0.0).prompt == counted
    driven.engine.cancel(("r", 1))
    driven.engine.step(1.0)


@pytest.mark.parametrize(
    "asked",
    [chat(tools=(ToolSpec(name="f", schema=b"{"),)), chat("refuse"), chat(template_options=b"[" * 100_000)],
)
def test_the_same_faults(drive: Driving, directory: Callable[[str], Path], asked: Chat) -> None:
    """What admission refuses is refused in the same words."""
    with pytest.raises(FaultError) as counting:
        Tokens(()).count(asked, str(directory("qwen3")))
    with pytest.raises(FaultError) as admitting:
        drive().submit(asked)
    assert counting.value.fault == admitting.value.fault


def test_longer_than_the_context(directory: Callable[[str], Path]) -> None:
    """Whoever asks wants to know how much too long it is."""
    short, long = (Tokens(()).count(chat("fox " * n), str(directory("qwen3"))) for n in (100, 100_000))
    assert long.tokens > 500 * short.tokens


def test_which_model(directory: Callable[[str], Path]) -> None:
    """A source that is told, else what this host's settings say; nobody knows another."""
    settings = ModelSettings(id="m", source=str(directory("qwen3")))
    assert Tokens((settings,)).count(chat(), "") == Tokens(()).count(chat(), settings.source)
    with pytest.raises(FaultError) as caught:
        Tokens(()).count(chat(), "")
    assert caught.value.fault.code is Code.LOAD_FAILED


def test_few_stay(directory: Callable[[str], Path], tmp_path: Path) -> None:
    """Tokenizers are kept, but for those that were not asked for the longest time."""
    tokens = Tokens(())
    places = []
    for index in range(KEPT + 1):
        place = tmp_path / str(index)
        place.symlink_to(directory("qwen3"))
        places.append(str(place))
        tokens.count(chat(), str(place))
        if index == KEPT - 1:
            tokens.count(chat(), places[0])
    assert list(tokens._tokenizers) == [*places[2:KEPT], places[0], places[KEPT]]
