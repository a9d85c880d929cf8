"""The scripted engine: its rate, its tokens, its faults."""

from itertools import pairwise

import pytest

from cortex.neuron.config import ModelSettings, SimSettings
from cortex.neuron.engine.base import Engine, Job, LoadDone, Order
from cortex.neuron.engine.sim import SimEngine, text, token
from cortex.protocol.deltas import Delta, Finish
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Chat, Complete, Embed, Sampling, Text, Turn
from cortex.protocol.values import Device

DEVICE = Device(kind="sim", memory_bytes=100)


def build(**script: float) -> SimEngine:
    engine = SimEngine(DEVICE, SimSettings(**{"tokens_per_s": 10.0, **script}))
    engine.start()
    engine.load(Order(ModelSettings(id="m")), 8, 0.0)
    assert isinstance(engine.step(0.0)[-1], LoadDone)
    return engine


def job(
    request: str = "r", *, prompt: str = "hi", prefix: tuple[tuple[int, ...], ...] = (), **sampling: int
) -> Job:
    turns = (Turn(role="user", parts=(Text(text=prompt),)),)
    return Job((request, 1), Chat(model="m", turns=turns, sampling=Sampling(**sampling)), prefix)


def run(engine: Engine, now: float = 0.0) -> list[tuple[float, object]]:
    out: list[tuple[float, object]] = []
    while (due := engine.due(now)) is not None:
        now += due
        out += [(now, output) for output in engine.step(now)]
    return out


def test_tokens_are_a_function_of_request_choice_and_index() -> None:
    """Each choice has its own tokens, each ends with a Finish, and one terminal counts them."""
    engine = build()
    engine.admit(job(max_tokens=4, n=2), 0.0)
    out = [output for _, output in run(engine)]
    for choice in range(2):
        deltas = [d for d in out if isinstance(d, Delta) and d.choice == choice]
        assert [d.tokens for d in deltas] == [[token("r", choice, i)] for i in range(4)]
        assert isinstance(deltas[-1].pieces[-1], Finish)
    assert isinstance(out[-1], Finished)
    assert out[-1].totals == (4, 4)
    assert text(token("r", 0, 0)) != text(token("s", 0, 0))


def test_the_rate_is_kept_and_shared_steps_serve_everybody() -> None:
    """Two jobs advance in the same steps, a tenth of a second apart."""
    engine = build()
    engine.admit(job("a", max_tokens=5), 0.0)
    engine.admit(job("b", max_tokens=5), 0.0)
    times = sorted({round(at, 6) for at, output in run(engine) if isinstance(output, Delta)})
    assert [round(b - a, 6) for a, b in pairwise(times)][:-1] == [0.1] * (len(times) - 2)


def test_a_replay_continues_where_the_earlier_attempt_stopped() -> None:
    """With two tokens delivered, the third is the next to come, with its own index."""
    engine = build()
    engine.admit(job(max_tokens=4, prefix=((1, 2),)), 0.0)
    deltas = [output for _, output in run(engine) if isinstance(output, Delta)]
    assert [d.seq for d in deltas] == [2, 3]
    assert deltas[0].tokens == [token("r", 0, 2)]


def test_a_prompt_takes_its_time() -> None:
    """Prefill at 100 tokens a second: 400 characters are about a second."""
    engine = build(prefill_per_s=100)
    engine.admit(job(prompt="x" * 400, max_tokens=1), 0.0)
    first = next(at for at, output in run(engine) if isinstance(output, Delta))
    assert first == pytest.approx(1.01)


def test_what_it_cannot_serve_is_refused_with_a_reason() -> None:
    """Other operations, other models, no slot, no room."""
    engine = build(slots=1, context=10)
    cases = [
        (Job(("e", 1), Embed(model="m", inputs=("x",))), Code.UNSUPPORTED),
        (Job(("c", 1), Complete(model="other", prompt="x")), Code.MODEL_NOT_FOUND),
        (job("l", prompt="x" * 100), Code.CONTEXT_LENGTH_EXCEEDED),
    ]
    for refused, code in cases:
        with pytest.raises(FaultError) as caught:
            engine.admit(refused, 0.0)
        assert caught.value.fault.code is code
    engine.admit(job("a"), 0.0)
    with pytest.raises(FaultError) as caught:
        engine.admit(job("b"), 0.0)
    assert caught.value.fault.code is Code.BUSY


def test_a_scripted_failure_ends_one_request_only() -> None:
    """The third token strikes whoever is about to make it."""
    engine = build(fail_at=3)
    engine.admit(job("a", max_tokens=5), 0.0)
    engine.admit(job("b", max_tokens=5), 0.0)
    ends = [output for _, output in run(engine) if isinstance(output, Failed | Finished)]
    assert sorted(type(end).__name__ for end in ends) == ["Failed", "Finished"]


def test_cancel_and_close_leave_nothing() -> None:
    """Cancelled work is reported; closing forgets the rest."""
    engine = build()
    engine.admit(job("a"), 0.0)
    engine.admit(job("b"), 0.0)
    engine.cancel(("a", 1))
    engine.cancel(("nobody", 1))
    [end] = engine.step(0.0)
    assert isinstance(end, Finished)
    assert end.cancelled
    engine.close()
    assert engine.due(0.0) is None
