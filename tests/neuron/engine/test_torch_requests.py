"""How requests end, how they are refused, and that what one does wrong stays with it."""

from collections.abc import Callable

import checkpoints
import pytest
import torch
from driving import Drive
from msgspec import structs

from cortex.neuron.engine.base import Job
from cortex.neuron.engine.torch.engine import TorchEngine
from cortex.neuron.engine.torch.sampler import Picked
from cortex.neuron.engine.torch.template import render
from cortex.protocol.deltas import Finish, ToolArguments, ToolStart
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import (
    Chat,
    Complete,
    Count,
    Embed,
    Image,
    ResponseFormat,
    Sampling,
    Text,
    ToolCall,
    ToolChoice,
    ToolSpec,
    Turn,
)

Driving = Callable[..., Drive]
IDS = tuple(range(20, 60))


def complete(ids: tuple[int, ...] | str = IDS, **sampling: object) -> Complete:
    wanted = {"temperature": 0.0, "max_tokens": 12, "ignore_eos": True} | sampling
    return Complete(model="m", prompt=ids, sampling=Sampling(**wanted))


def chat(text: str = "hello", **more: object) -> Chat:
    turns = more.pop("turns", (Turn(role="user", parts=(Text(text=text),)),))
    return Chat(model="m", turns=turns, sampling=Sampling(temperature=0.0, max_tokens=6), **more)


def refusal(driven: Drive, request, **more: object):
    with pytest.raises(FaultError) as caught:
        driven.submit(request, "refused", **more)
    return caught.value.fault


# ── endings ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_max_tokens(drive: Driving) -> None:
    """The answer has exactly max_tokens tokens."""
    heard = drive().run(complete(max_tokens=1))
    assert len(heard.tokens[0]) == 1
    assert heard.finish() == Finish("length")


def test_no_max_tokens(drive: Driving) -> None:
    """Without a limit, or with one beyond the context, an answer fills the context, and says so."""
    for limit in (None, 10_000):
        heard = drive(context=64).run(complete(max_tokens=limit))
        assert heard.terminal.totals == (24,)
        assert heard.finish() == Finish("length", window=True)
    exact = drive(context=64).run(complete(max_tokens=24), "exact")
    assert exact.finish() == Finish("length")


def test_every_eos_ends(drive: Driving, monkeypatch) -> None:
    """Each of the configured end tokens ends the answer, is counted, and is not shown."""
    driven = drive()
    serving = driven.engine._serving["m"]
    wrapped = checkpoints.tokenizer()
    assert serving._loaded.eos == set(wrapped.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"]))
    free = driven.run(complete(max_tokens=8), "free").tokens[0]
    for index, end in enumerate(serving._loaded.eos):
        # The third token of this answer becomes an end token: what the model says is not at issue here.
        monkeypatch.setattr("cortex.neuron.engine.torch.serving.pick", script([*free[:2], end, *free[3:]]))
        heard = driven.run(complete(max_tokens=8, ignore_eos=False), f"end{index}")
        assert heard.tokens[0] == [*free[:2], end]
        assert heard.finish().reason == "stop"
        assert heard.terminal.usage.completion == 3
        assert heard.text() == wrapped.decode(free[:2])


def script(tokens: list[int]):
    """A sampler that says these tokens, by position."""
    return lambda logits, rows: [Picked(tokens[row.position]) for row in rows]


def test_stop_string(drive: Driving) -> None:
    """The text ends before the stop string, wherever token boundaries are, and the finish names it."""
    driven = drive()
    text = driven.run(complete(), "free").text()
    assert len(text) > 8
    heard = driven.run(complete(stop=(text[4:7], "no such text")), "stopped")
    assert heard.text() == text[: text.index(text[4:7])]
    assert heard.finish().reason == "stop"
    assert heard.finish().stop == text[4:7]


def test_cancel(drive: Driving) -> None:
    """A cancelled job ends at the next step with what it has, its slot is free, and the others go on."""
    driven = drive(slots=2)
    one, two = driven.submit(complete(), "one"), driven.submit(complete(), "two")
    driven.step(4)
    assert refusal(driven, complete()).code is Code.BUSY
    driven.engine.cancel(("one", 1))
    driven.engine.cancel(("nobody", 1))
    driven.step()
    assert one.terminal == Finished(
        request="one",
        attempt=1,
        totals=(4,),
        usage=one.terminal.usage,
        timings=one.terminal.timings,
        cancelled=True,
    )
    assert one.terminal.usage.completion == 4
    driven.submit(complete(), "three")
    driven.finish()
    assert two.terminal.totals == (12,)


def test_admitting_twice(drive: Driving) -> None:
    """The same attempt admitted again is the one that runs."""
    driven = drive()
    heard = driven.submit(complete())
    driven.step(2)
    driven.submit(complete(), "other")
    driven.engine.admit(Job(("r", 1), complete()), driven.now)
    driven.finish()
    assert heard.terminal.totals == (12,)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_busy(drive: Driving) -> None:
    """Without a slot for every choice a request is refused as busy, and nothing is kept of it."""
    driven = drive(slots=2)
    driven.submit(complete())
    assert refusal(driven, complete(n=2)).code is Code.BUSY
    driven.submit(complete(), "fits")
    driven.finish()


def test_context_overflow(drive: Driving) -> None:
    """A prompt that leaves no room for an answer is refused in the words that clients look for, and with both numbers."""
    driven = drive(context=64)
    fault = refusal(driven, complete(tuple([9] * 64)))
    assert fault.code is Code.CONTEXT_LENGTH_EXCEEDED
    assert "maximum context length is 64 tokens" in fault.message
    assert (fault.tokens, fault.limit) == (64, 64)
    long = refusal(driven, complete("b c " * 60_000))
    assert long.tokens is not None
    assert long.tokens > 64
    assert long.limit == 64


@pytest.mark.parametrize(
    ("request_", "code", "param"),
    [
        (complete((1, 5_000)), Code.INVALID_REQUEST, "prompt"),
        (complete(()), Code.INVALID_REQUEST, "prompt"),
        (complete(n=5), Code.UNSUPPORTED, "n"),
        (complete(logit_bias={"5000": 1.0}), Code.INVALID_REQUEST, "logit_bias"),
        (complete(logit_bias={"-1": 1.0}), Code.INVALID_REQUEST, "logit_bias"),
        (complete(logit_bias={"x": 1.0}), Code.INVALID_REQUEST, "logit_bias"),
        (complete(logit_bias={"5": 101.0}), Code.INVALID_REQUEST, "logit_bias"),
        (complete(logit_bias={str(i): 1.0 for i in range(1025)}), Code.INVALID_REQUEST, "logit_bias"),
        (complete(max_tokens=0), Code.INVALID_REQUEST, "max_tokens"),
        (chat(response_format=ResponseFormat(kind="json_schema")), Code.INVALID_REQUEST, "response_format"),
        (chat("refuse"), Code.INVALID_REQUEST, "messages"),
        (chat(template_options=b"[1]"), Code.INVALID_REQUEST, "chat_template_kwargs"),
        (chat(template_options=b"{"), Code.INVALID_REQUEST, "chat_template_kwargs"),
        (chat(template_options=b'{"chat_template": "x"}'), Code.INVALID_REQUEST, "chat_template_kwargs"),
        (chat(template_options=b'{"messages": []}'), Code.INVALID_REQUEST, "chat_template_kwargs"),
        (chat(template_options=b'{"namespace": 1}'), Code.INVALID_REQUEST, "chat_template_kwargs"),
        (chat(template_options=b'{"eos_token": "x"}'), Code.INVALID_REQUEST, "chat_template_kwargs"),
        (chat(template_options=b"[" * 100_000), Code.INVALID_REQUEST, "chat_template_kwargs"),
        (chat(tools=(ToolSpec(name="f", schema=b"{"),)), Code.INVALID_REQUEST, "tools"),
        (
            chat(turns=(Turn(role="user", parts=(Image(attachment=0, mime="image/png"),)),)),
            Code.UNSUPPORTED,
            "messages",
        ),
        (Complete(model="other", prompt="x"), Code.MODEL_NOT_FOUND, "model"),
        (Embed(model="m", inputs=()), Code.INVALID_REQUEST, "input"),
        (Count(chat=chat()), Code.UNSUPPORTED, None),
    ],
)
def test_refused(drive: Driving, request_, code, param) -> None:
    """What can never run is refused with its reason, and the engine goes on."""
    fault = refusal(drive(), request_)
    assert (fault.code, fault.param) == (code, param), fault
    assert drive().run(complete()).terminal.totals == (12,)


def test_refused_prefix(drive: Driving) -> None:
    """A prefix must be of this vocabulary and of these choices."""
    assert refusal(drive(), complete(), prefix=((5_000,),)).code is Code.INVALID_REQUEST
    assert refusal(drive(), complete(), prefix=((1,), (1,))).code is Code.INVALID_REQUEST


def test_neutral_parameters(drive: Driving) -> None:
    """Parameters that change nothing at their neutral values are accepted there."""
    neutral = complete(frequency_penalty=0.0, presence_penalty=0.0, repetition_penalty=1.0, logit_bias={})
    assert drive().run(neutral).tokens == drive().run(complete()).tokens


def test_template_message(drive: Driving) -> None:
    """What a template objects to reaches the client in the template's words."""
    assert "no such talk" in refusal(drive(), chat("refuse")).message


# ── isolation ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_request_breaks(drive: Driving, monkeypatch) -> None:
    """An exception in one request's text fails that request alone."""
    driven = drive(slots=3)
    well, sick = driven.submit(complete(), "well"), driven.submit(complete(n=2), "sick")
    driven.step(4)
    assert len(sick.tokens[0]) == len(sick.tokens[1]) == 4
    serving = driven.engine._serving["m"]
    choice = serving._works["sick", 1].choices[0]
    monkeypatch.setattr(choice.answer._parser, "push", lambda text: 1 / 0)
    driven.finish()
    assert isinstance(sick.terminal, Failed)
    assert sick.terminal.fault.code is Code.ENGINE_FAILED
    assert "ZeroDivisionError" not in sick.terminal.fault.message
    assert well.terminal.totals == (12,)


def test_forward_breaks(drive: Driving, monkeypatch) -> None:
    """An exception in the forward fails what was in it, each explicitly, and the next request is served."""
    driven = drive(slots=4, chunk=16)
    one, two = driven.submit(complete(), "one"), driven.submit(complete(n=2), "two")
    driven.step(8)
    serving = driven.engine._serving["m"]
    with monkeypatch.context() as patch:
        patch.setattr(serving._runner, "_model", lambda **_: 1 / 0)
        driven.step()
    for heard in (one, two):
        assert isinstance(heard.terminal, Failed)
        assert heard.terminal.fault.code is Code.ENGINE_FAILED
    assert driven.run(complete(), "after").terminal.totals == (12,)


def test_poisoned_device(drive: Driving, monkeypatch) -> None:
    """An error of the accelerator is told to its requests first; the next step raises it, for the process to end."""
    driven = drive()
    heard = driven.submit(complete())
    serving = driven.engine._serving["m"]

    def broken(**_: object) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with monkeypatch.context() as patch:
        patch.setattr(serving._runner, "_model", broken)
        driven.step()
    assert isinstance(heard.terminal, Failed)
    assert driven.engine.due(0.0) == 0.0
    with pytest.raises(torch.AcceleratorError):
        driven.step()
    serving.poisoned = None


def test_logits_that_are_no_numbers(drive: Driving, monkeypatch) -> None:
    """A row of logits that is not finite fails its request and no other."""
    driven = drive()
    one, two = driven.submit(complete(), "one"), driven.submit(complete(), "two")
    serving = driven.engine._serving["m"]
    forward = serving._runner.forward

    def spoiled(spans):
        logits = forward(spans)
        logits[0] = float("nan")
        return logits

    with monkeypatch.context() as patch:
        patch.setattr(serving._runner, "forward", spoiled)
        driven.step()
    driven.finish()
    assert isinstance(one.terminal, Failed)
    assert "logits are not finite" in one.terminal.fault.message
    assert two.terminal.totals == (12,)


# ── chat ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rendered(engine: TorchEngine, request: Chat) -> str:
    wrapped = engine._serving["m"]._loaded.tokenizer
    return wrapped.decode(render(request, wrapped, 4096).ids)


def test_chat_prompt(started) -> None:
    """Turns, calls and tools reach the template; arguments as an object where they are one, else as they were."""
    turns = (
        Turn(role="user", parts=(Text(text="a"), Text(text="b"))),
        Turn(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments=b'{"x": 1}'),)),
        Turn(role="assistant", tool_calls=(ToolCall(id="2", name="f", arguments=b'{"x": '),)),
        Turn(role="tool", parts=(Text(text="c"),), tool_call_id="1"),
    )
    tools = (ToolSpec(name="f", description="d", schema=b'{"type": "object"}'),)
    text = rendered(started(), chat(turns=turns, tools=tools))
    assert "<|im_start|>user\na\nb<|im_end|>" in text
    assert '"arguments": {"x": 1}' in text
    assert '"arguments": "{\\"x\\": "' in text
    assert '"parameters": {"type": "object"}' in text
    assert text.endswith("<|im_start|>assistant\n")


def test_tool_choice_none(started) -> None:
    """With tool choice "none" the model is not told of the tools; "required" is served like "auto"."""
    tools = (ToolSpec(name="look_up"),)
    engine = started()
    assert "look_up" not in rendered(engine, chat(tools=tools, tool_choice=ToolChoice(mode="none")))
    assert "look_up" in rendered(engine, chat(tools=tools, tool_choice=ToolChoice(mode="required")))


def test_thinking(started) -> None:
    """Thinking is off unless the client asks for it."""
    engine = started()
    assert "<think>" not in rendered(engine, chat())
    assert rendered(engine, chat(template_options=b'{"enable_thinking": true}')).endswith("<think>\n")
    assert rendered(engine, chat(thinking=True, effort="high")).endswith("<think>\n")
    assert "<think>" not in rendered(engine, chat(thinking=False, effort="none"))
    refused = chat(thinking=True, template_options=b'{"enable_thinking": false}')
    assert "<think>" not in rendered(engine, refused)


def test_chat_runs(drive: Driving) -> None:
    """A chat is answered, and its usage counts the rendered prompt."""
    heard = drive().run(chat())
    assert heard.terminal.usage.prompt > 5
    assert heard.terminal.usage.completion == len(heard.tokens[0]) <= 6


def test_tool_call(drive: Driving, monkeypatch) -> None:
    """A call in the model's words arrives as a call, with an id that a replay repeats."""
    driven = drive()
    wrapped = checkpoints.tokenizer()
    says = 'well<tool_call>{"name": "look_up", "arguments": {"key": 1}}</tool_call><|im_end|>'
    ids = wrapped(says, add_special_tokens=False)["input_ids"]
    monkeypatch.setattr("cortex.neuron.engine.torch.serving.pick", script(ids))
    wanted = Sampling(temperature=0.0, max_tokens=200)
    request = Chat(model="m", turns=chat().turns, tools=(ToolSpec(name="look_up"),), sampling=wanted)
    heard = driven.run(request)
    assert heard.text() == "well"
    assert heard.finish().reason == "tool_calls"
    start = next(piece for piece in heard.pieces[0] if isinstance(piece, ToolStart))
    arguments = [piece.text for piece in heard.pieces[0] if isinstance(piece, ToolArguments)]
    assert (start.name, "".join(arguments)) == ("look_up", '{"key": 1}')
    cut = len(ids) // 2
    rest = driven.run(request, prefix=(tuple(ids[:cut]),))
    again = [piece.text for piece in rest.pieces[0] if isinstance(piece, ToolArguments)]
    assert again
    assert "".join(arguments).endswith("".join(again))
    assert heard.terminal.usage == structs.replace(rest.terminal.usage, cached=0)


def test_reasoning(drive: Driving, monkeypatch) -> None:
    """Reasoning that the prompt opened arrives as reasoning, and its tokens are counted."""
    driven = drive()
    ids = checkpoints.tokenizer()("a fox</think>the dog<|im_end|>", add_special_tokens=False)["input_ids"]
    monkeypatch.setattr("cortex.neuron.engine.torch.serving.pick", script(ids))
    heard = driven.run(
        Chat(
            model="m", turns=chat().turns, template_options=b'{"enable_thinking": true}',
            sampling=Sampling(max_tokens=50),
        )
    )  # fmt: skip
    assert (heard.reasoning(), heard.text()) == ("a fox", "the dog")
    close = checkpoints.tokenizer().convert_tokens_to_ids("</think>")
    assert heard.terminal.usage.reasoning == ids.index(close) + 1


def test_admission_breaks(drive: Driving, monkeypatch) -> None:
    """An unforeseen exception on admission refuses the request and leaves no trace."""
    driven = drive()
    monkeypatch.setattr("cortex.neuron.engine.torch.choices.new_answer", lambda *_: 1 / 0)
    assert refusal(driven, complete()).code is Code.ENGINE_FAILED
