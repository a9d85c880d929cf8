"""Requests that mean harm, or a checkpoint that is broken: each ends by itself, and its neighbour says what it says alone."""

import math
from collections.abc import Callable

import pytest
import torch
from driving import Drive, Heard

from cortex.neuron.engine.torch.admission import MAX_STOPS
from cortex.neuron.engine.torch.stops import StopFilter
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Chat, Complete, ResponseFormat, Sampling, Text, ToolChoice, ToolSpec, Turn

Driving = Callable[..., Drive]
IDS = tuple(range(20, 60))
REFUSED, FAILED, FINISHED = "refused", "failed", "finished"


def complete(ids: tuple[int, ...] | str = IDS, **sampling: object) -> Complete:
    wanted = {"temperature": 0.0, "max_tokens": 12, "ignore_eos": True} | sampling
    return Complete(model="m", prompt=ids, sampling=Sampling(**wanted))


def chat(**more: object) -> Chat:
    turn = Turn(role="user", parts=(Text(text="hello"),))
    sampling = Sampling(temperature=1.0, seed=3, max_tokens=12)
    return Chat(model="m", turns=(turn,), sampling=sampling, **more)


def shaped(kind: str, definition: str) -> Chat:
    return chat(response_format=ResponseFormat(kind=kind, definition=definition.encode(), strict=True))


def deep(levels: int) -> str:
    return '{"type":"object","properties":{"a":' * levels + "{}" + "}}" * levels


def called(schema: str) -> Chat:
    tools = (ToolSpec(name="f", schema=schema.encode()),)
    return chat(tools=tools, tool_choice=ToolChoice(mode="named", name="f"))


HOSTILE = {
    "temperature 0.0": (complete(temperature=0.0), FINISHED),
    "temperature as an integer": (complete(temperature=1), FINISHED),
    "temperature of no size": (complete(temperature=1e-300), FINISHED),
    "temperature beyond all": (complete(temperature=1e300), FINISHED),
    "a token that does not exist": (complete((1, 2, 10**6)), REFUSED),
    "a token below all": (complete((1, -2)), REFUSED),
    "a prompt longer than the cache": (complete(tuple([9] * 6000)), REFUSED),
    "a text longer than the cache": (complete("many words " * 100_000), REFUSED),
    "one choice more than slots": (complete(n=5), REFUSED),
    "choices beyond count": (complete(n=10**12), REFUSED),
    "more tokens at least than at most": (complete(min_tokens=500), FINISHED),
    "tokens beyond count": (complete(max_tokens=10**12), FINISHED),
    "many stop strings": (complete(stop=tuple(f"stop {at}" for at in range(1500))), FINISHED),
    "too many stop strings": (complete(stop=tuple(f"stop {at}" for at in range(50_000))), REFUSED),
    "a long stop string": (complete(stop=("a" * 16_000,)), FINISHED),
    "too long a stop string": (complete(stop=("a" * 10**7,)), REFUSED),
    "an empty stop string": (complete(stop=("",)), FINISHED),
    "all biases that there may be": (complete(logit_bias={str(at): 100.0 for at in range(300)}), FINISHED),
    "every token banned": (complete(logit_bias={str(at): -100.0 for at in range(322)}), FINISHED),
    "a bias that is no number": (complete(logit_bias={"5": math.nan}), REFUSED),
    "a bias without end": (complete(logit_bias={"5": math.inf}), REFUSED),
    "biases without end": (complete(logit_bias={str(at): 0.0 for at in range(10**5)}), REFUSED),
    "top_k beyond the vocabulary": (complete(temperature=1.0, top_k=10**9), FINISHED),
    "top_p of nearly nothing": (complete(temperature=1.0, top_p=1e-300), FINISHED),
    "penalties at their ends": (
        complete(frequency_penalty=2.0, presence_penalty=-2.0, repetition_penalty=1e-300),
        FINISHED,
    ),
    "a schema a little too deep": (shaped("json_schema", deep(100)), FAILED),
    "a schema of thousands of levels": (shaped("json_schema", deep(5000)), REFUSED),
    "a schema of a million levels": (shaped("json_schema", deep(10**6)), REFUSED),
    "a tool a little too deep": (called(deep(100)), REFUSED),
    "a tool of hundreds of levels": (called(deep(480)), REFUSED),
    "a tool of thousands of levels": (called(deep(5000)), REFUSED),
    "a schema that is itself": (shaped("json_schema", '{"$ref": "#"}'), FAILED),
    "a schema in a circle": (
        shaped(
            "json_schema",
            '{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}',
        ),
        FAILED,
    ),
    "a schema without end": (
        shaped("json_schema", '{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}'),
        FINISHED,
    ),
    "a million of items": (shaped("json_schema", '{"type": "array", "minItems": 1000000}'), FINISHED),
    "a grammar that is itself": (shaped("grammar", "start: a\na: b\nb: a"), FAILED),
    "a grammar to the left": (shaped("grammar", 'start: start "x" | "y"'), FINISHED),
    "a grammar read in many ways": (shaped("grammar", 'start: start start | "a"'), FINISHED),
    "a grammar of nothing": (shaped("grammar", 'start: e e e\ne: "" | start'), None),
    "repeated repetition": (shaped("regex", "((a{0,100}){0,100}){0,100}b"), FINISHED),
    "backtracking without end": (shaped("regex", "(a+)+(a|a)*(.*a){20}b"), FINISHED),
    "states without end": (shaped("regex", "[ab]*a[ab]{25}"), FINISHED),
    "brackets without end": (shaped("regex", "(" * 5000 + "a" + ")" * 5000), FAILED),
}


def outcome(driven: Drive, request: Complete | Chat, name: str) -> str:
    """How it ends; everybody else is served meanwhile."""
    try:
        heard = driven.submit(request, name)
    except FaultError as error:
        return REFUSED if error.fault.code is not Code.ENGINE_FAILED else "refused for no reason"
    for compiled in driven.engine._serving["m"]._loaded.grammars._compiled.values():
        compiled.exception(timeout=30)
    driven.finish()
    if isinstance(heard.terminal, Failed):
        assert heard.terminal.fault.code is not Code.ENGINE_FAILED, heard.terminal.fault
        return FAILED
    assert isinstance(heard.terminal, Finished)
    return FINISHED


@pytest.mark.parametrize("name", HOSTILE)
def test_what_means_harm_ends_by_itself(drive: Driving, name: str) -> None:
    """Alone, and beside somebody who says what it says alone."""
    driven = drive(context=128)
    request, expected = HOSTILE[name]
    alone = driven.run(complete(), "alone").tokens
    assert outcome(driven, request, "hostile") in ((FAILED, FINISHED) if expected is None else (expected,))
    beside = driven.submit(complete(), "beside")
    outcome(driven, request, "again")
    driven.finish()
    assert beside.tokens == alone


@pytest.mark.parametrize("form", ["schema", "tool"])
def test_no_depth_goes_unsaid(drive: Driving, form: str) -> None:
    """Where one reader of JSON still follows and another does not, the client is told as well."""
    driven = drive()
    for levels in range(450, 500):
        schema = deep(levels)
        request = shaped("json_schema", schema) if form == "schema" else called(schema)
        assert outcome(driven, request, f"r{levels}") in (REFUSED, FAILED)


@pytest.mark.parametrize("stops", [("a" * 16_000 + "b",), tuple("a" * at + "b" for at in range(1, 170))])
def test_stop_strings_cost_the_same_however_many_they_are(stops: tuple[str, ...]) -> None:
    """Texts that nearly are one, again and again: no state is left more often than there are characters."""
    assert sum(map(len, stops)) <= MAX_STOPS

    class Counted(list[int]):
        looks = 0

        def __getitem__(self, at):
            self.looks += 1
            return super().__getitem__(at)

    filter_ = StopFilter(stops)
    shorter = filter_._shorter = Counted(filter_._shorter)
    for _ in range(2000):
        filter_.push("aaac")
    filter_.push("a" * 20_000 + "c")
    assert 0 < shorter.looks <= 28_001


# ── a broken checkpoint ──────────────────────────────────────────────────────────────────────────────────────────


def spoil(driven: Drive, monkeypatch: pytest.MonkeyPatch, token: int | None) -> Callable[[], None]:
    """The embedding of a token is no number, or the last norm is not, and with it every logit."""
    model = driven.engine._serving["m"]._loaded.model
    weight = model.get_input_embeddings().weight[token] if token is not None else model.model.norm.weight
    kept = weight.detach().clone()
    with torch.inference_mode():
        weight.fill_(math.nan)

    def mend() -> None:
        with torch.inference_mode():
            weight.copy_(kept)

    return mend


@pytest.mark.parametrize("chunk", [512, 7])
def test_a_row_that_is_no_number_fails_alone(drive: Driving, monkeypatch, chunk: int) -> None:
    """Who reads the broken token fails; neighbours, and whoever has its place afterwards, never see it."""
    driven = drive(chunk=chunk)
    alone = driven.run(complete(max_tokens=40), "alone").tokens
    sick = (*IDS[:30], 7, *IDS[30:])
    mend = spoil(driven, monkeypatch, 7)
    try:
        beside = driven.submit(complete(max_tokens=40), "beside")
        heard = [driven.submit(complete(sick), f"sick{at}") for at in range(2)]
        driven.step(2)
        driven.engine.cancel(("sick1", 1))  # in the middle of its prompt, if that is read in chunks
        for at in range(12):
            driven.step()
            if at % 4 == 0:
                heard.append(driven.submit(complete(sick), f"more{at}"))
        driven.finish()
        for at in range(4):
            assert driven.run(complete((*IDS[:25], 9), max_tokens=20), f"later{at}").terminal.totals == (20,)
    finally:
        mend()
    assert beside.tokens == alone
    assert all(isinstance(one.terminal, Failed) for one in (heard[0], *heard[2:]))
    assert driven.run(complete(max_tokens=40), "after").tokens == alone


def test_what_is_no_number_stays_in_no_row(drive: Driving, monkeypatch) -> None:
    """Neither of one that failed nor of one that was kept: the next in its place is shorter, its neighbour longer."""
    driven = drive(chunk=7)
    sick = (*IDS[:30], 7, *IDS[30:])
    asked = {"fresh": complete((99, 98, 97)), "turn": complete((*IDS[:20], 9))}
    alone = {name: driven.run(request, f"alone {name}").tokens for name, request in asked.items()}
    driven.engine._serving["m"].slots.forget()
    driven.submit(complete((*IDS, *IDS), max_tokens=80), "long")
    driven.step(20)
    mend = spoil(driven, monkeypatch, 7)
    try:
        failed = driven.submit(complete(sick), "failed")
        driven.submit(complete(sick), "kept")
        driven.step(2)  # of the first thirty tokens nothing has to be read: they are those of the long one
        work = driven.engine._serving["m"]._works["kept", 1]
        assert 31 < work.choices[0].sequence.computed < len(sick)
        driven.engine.cancel(("kept", 1))
        driven.step(6)
        assert isinstance(failed.terminal, Failed)
        heard = {name: driven.submit(request, name) for name, request in asked.items()}
        driven.finish()
    finally:
        mend()
    assert heard["turn"].terminal.usage.cached == 20
    assert {name: one.tokens for name, one in heard.items()} == alone


def test_nothing_but_no_numbers_fails_everybody_by_itself(drive: Driving, monkeypatch) -> None:
    """Each is told, the engine goes on, and what is mended works."""
    driven = drive()
    alone = driven.run(complete(), "alone").tokens
    mend = spoil(driven, monkeypatch, None)
    try:
        heard: list[Heard] = [driven.submit(complete(n=2), "a"), driven.submit(complete(), "b")]
        driven.finish()
    finally:
        mend()
    assert all(isinstance(one.terminal, Failed) for one in heard)
    assert driven.run(complete(), "after").tokens == alone
