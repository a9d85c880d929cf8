"""The scripted engine: its rate, its tokens, its faults."""

import struct
from itertools import pairwise

import pytest
from msgspec import structs

from cortex.neuron.config import ModelSettings, SimScript, SimSettings
from cortex.neuron.engine.base import (
    Embedded,
    Engine,
    Job,
    LoadAdvanced,
    LoadDone,
    LoadFailed,
    Order,
    Unloaded,
)
from cortex.neuron.engine.sim import SimEngine
from cortex.neuron.engine.sim_vectors import packed
from cortex.neuron.engine.sim_words import text, token
from cortex.protocol.deltas import Delta, Finish, Scores, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Chat, Complete, Count, Embed, Sampling, Text, ToolChoice, ToolSpec, Turn
from cortex.protocol.values import Device, Usage

DEVICE = Device(kind="sim", memory_bytes=100)


def build(**script: object) -> SimEngine:
    engine = SimEngine(DEVICE, SimSettings(**{"tokens_per_s": 10.0, **script}))
    engine.start()
    engine.load(Order(ModelSettings(id="m")), 8, -100.0)
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


@pytest.mark.parametrize(
    ("asked", "tokens", "finish"),
    [
        ({"max_tokens": 5}, 5, Finish("length")),
        ({"max_tokens": 19}, 19, Finish("length")),
        ({"max_tokens": 64_000}, 19, Finish("length", window=True)),
        ({}, 8, Finish("stop")),
    ],
)
def test_a_limit_beyond_the_context_is_the_room_that_there_is(
    asked: dict[str, int], tokens: int, finish: Finish
) -> None:
    """No refusal: the answer ends by length where the context does; of its own accord after so many tokens."""
    engine = build(context=20, max_tokens=8)
    engine.admit(job(**asked), 0.0)
    last = [output for _, output in run(engine) if isinstance(output, Delta)][-1]
    assert (last.seq + 1, last.pieces[-1]) == (tokens, finish)


@pytest.mark.parametrize(
    ("prompt", "words"), [("abcdefghij", ["abcd", "efgh", "ij"]), ((7, 255), ["00000007 ", "000000ff "])]
)
def test_a_prompt_is_repeated_and_rated(prompt: str | tuple[int, ...], words: list[str]) -> None:
    """Before the first token, one score for each of its own, of which the first has no probability; once only."""
    engine = build()
    for limit in (2, 0):
        sampling = Sampling(max_tokens=limit, logprobs=1)
        asked = Complete(model="m", prompt=prompt, echo=True, sampling=sampling)
        engine.admit(Job((f"r{limit}", 1), asked, ()), 0.0)
        *deltas, end = [output for _, output in run(engine)]
        pieces = [piece for delta in deltas for piece in delta.pieces]
        assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)).startswith(
            "".join(words)
        )
        scores = [score for piece in pieces if isinstance(piece, Scores) for score in piece.scores]
        assert [score.token.decode() for score in scores][: len(words)] == words
        assert [score.logprob for score in scores] == [None, *[-0.5] * (len(words) + limit - 1)]
        assert pieces[-1] == Finish("length")
        assert (end.totals, end.usage.completion) == ((limit,), limit)
    engine.admit(Job(("late", 2), structs.replace(asked, sampling=Sampling(max_tokens=2)), ((5,),)), 0.0)
    assert sum(isinstance(output, Delta) for _, output in run(engine)) == 1


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
        (Job(("n", 1), Count(chat=Chat(model="m", turns=()))), Code.UNSUPPORTED),
        (Job(("e", 1), Embed(model="m", inputs=())), Code.INVALID_REQUEST),
        (Job(("e", 1), Embed(model="m", inputs=("x" * 100,))), Code.CONTEXT_LENGTH_EXCEEDED),
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


def test_an_embedding_is_told_by_its_text_alone() -> None:
    """Vectors of length one in the order of the inputs, of the width asked for, and the tokens that were read."""
    engine = build()
    engine.admit(Job(("e", 1), Embed(model="m", inputs=("one", (1, 2)), dimensions=8)), 0.0)
    [(_, end)] = run(engine)
    assert isinstance(end, Embedded)
    assert end.vectors == packed("one", 8) + packed((1, 2), 8)
    assert sum(value**2 for value in struct.unpack("<8f", packed("one", 8))) == pytest.approx(1)
    assert (end.finished.totals, end.finished.usage) == ((), Usage(prompt=4))


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


def events(engine: SimEngine, now: float = 0.0) -> list[tuple[float, object]]:
    """What is told of models until nothing is due, with the time of each."""
    return [(round(at, 6), output) for at, output in run(engine, now)]


def order(model: str = "n", **settings: int) -> Order:
    return Order(ModelSettings(id=model, **settings))


def test_a_load_takes_its_time_and_its_memory() -> None:
    """Progress every tenth, memory with it, and then the model takes jobs."""
    engine = build(load_s=2.0, slots=3)
    assert engine.free_bytes == 92
    engine.load(order(), 50, 10.0)
    told = events(engine, 10.0)
    assert [(at, one.percent, one.bytes) for at, one in told if isinstance(one, LoadAdvanced)] == [
        (round(10 + tenth * 0.2, 6), 10 * tenth, 5 * tenth) for tenth in range(1, 11)
    ]
    assert told[-1] == (12.0, LoadDone("n", 50, 2000, 3, 131_072, ("text", "tools")))
    assert engine.free_bytes == 42
    engine.admit(Job(("r", 1), Complete(model="n", prompt="x")), 12.0)


def test_settings_of_a_model_go_before_the_script() -> None:
    """Its slots, and its context if it is shorter."""
    engine = build()
    engine.load(order(slots=5, context=100), 8, 0.0)
    done = engine.step(0.0)[-1]
    assert isinstance(done, LoadDone)
    assert (done.slots, done.context) == (5, 100)


def test_models_load_beside_one_another_and_beside_jobs() -> None:
    """Each at its own pace; tokens come at theirs."""
    engine = build(load_s=1.0)
    engine.admit(job(max_tokens=15), 0.0)
    engine.load(order("n"), 8, 0.0)
    engine.load(order("o"), 8, 0.5)
    told = events(engine)
    done = {one.model: at for at, one in told if isinstance(one, LoadDone)}
    assert done == {"n": 1.0, "o": 1.5}
    assert sum(isinstance(one, Delta) for _, one in told) == 15


def test_an_unload_gives_everything_back_but_what_leaks() -> None:
    """Unloaded is told when it is all there, and not before."""
    engine = build()
    engine.unload("m", 1.0)
    assert engine.step(1.0) == [Unloaded("m")]
    assert engine.free_bytes == 100
    engine = build(leak_bytes=3)
    engine.unload("m", 1.0)
    assert engine.due(1.0) is None
    assert engine.free_bytes == 97


def test_foreign_memory_is_never_free() -> None:
    """From the start."""
    assert build(foreign_bytes=30).free_bytes == 62


def test_loads_fail_at_ninety_percent() -> None:
    """By name, or every n-th; nothing of them stays."""
    engine = build(load_s=1.0, load_fails=("n",))
    engine.load(order(), 50, 0.0)
    told = events(engine)
    assert told[-2][1] == LoadAdvanced("n", 90, 45, "loading 90 %")
    assert told[-1] == (0.9, LoadFailed("n", "the script says so"))
    assert engine.free_bytes == 92
    engine = build(load_fails_every=2)
    engine.load(order(), 50, 0.0)
    assert isinstance(engine.step(0.0)[-1], LoadFailed)


def test_a_load_that_hangs_stands_still_and_cannot_be_given_up() -> None:
    """Half-way, with the memory that it has taken."""
    engine = build(load_s=1.0, load_hangs=("n",))
    engine.load(order(), 50, 0.0)
    assert events(engine)[-1] == (0.5, LoadAdvanced("n", 50, 25, "loading 50 %"))
    engine.unload("n", 5.0)
    assert engine.due(100.0) is None
    assert engine.free_bytes == 67


def test_a_load_that_is_given_up_is_reported_once() -> None:
    """As unloaded, and not as done."""
    engine = build(load_s=1.0)
    engine.load(order(), 50, 0.0)
    engine.step(0.5)
    engine.unload("n", 0.5)
    assert [one for _, one in events(engine, 0.5)] == [Unloaded("n")]
    assert engine.free_bytes == 92


def test_members_of_a_replica_share_its_footprint() -> None:
    """Evenly."""
    engine = build(footprint_bytes=60)
    assert engine.footprint(order()) == 60
    assert engine.footprint(Order(ModelSettings(id="n"), devices=(0, 1, 2))) == 20


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_a_script_of_two_calls_ends_with_the_first_where_one_may_be(mode) -> None:
    """Also for a replay: the tokens are those of the script, as far as they go."""
    call = '<tool_call>{"name": "look", "arguments": {}}</tool_call>'
    script = SimScript(otherwise=f"So: {call}{call} and so on")
    engine = build(scripts={"m": script})

    def told(prefix: tuple[int, ...] = (), *, parallel: bool = False) -> list[Delta]:
        chat = structs.replace(
            job().request,
            tools=(ToolSpec(name="look"),),
            tool_choice=ToolChoice(mode=mode, parallel=parallel),
        )
        engine.admit(Job(("r", 1), chat, (prefix,)), 0.0)
        return [output for _, output in run(engine) if isinstance(output, Delta)]

    first = told()
    pieces = [piece for delta in first for piece in delta.pieces if not isinstance(piece, TextPiece)]
    kinds = [type(piece) for piece in pieces if not isinstance(piece, ToolArguments)]
    assert (kinds, pieces[-1]) == ([ToolStart, ToolEnd, Finish], Finish("tool_calls"))
    tokens = tuple(delta.tokens[0] for delta in first)
    assert len(tokens) < len(told(parallel=True))
    again = told(tokens[:-1])
    assert [(delta.seq, delta.pieces[-1]) for delta in again] == [(len(tokens) - 1, Finish("tool_calls"))]


@pytest.mark.parametrize(("asked", "said"), [("hi", "Hello."), (" hi\n", "Hello."), ("hi there", "What?")])
def test_a_script_knows_a_turn_by_its_words(asked: str, said: str) -> None:
    """White space around it does not count: agents hand on what commands print, new line and all."""
    engine = build(scripts={"m": SimScript(replies={"hi": "Hello."}, otherwise="What?")})
    engine.admit(job(prompt=asked), 0.0)
    deltas = [output for _, output in run(engine) if isinstance(output, Delta)]
    pieces = [piece for delta in deltas for piece in delta.pieces if isinstance(piece, TextPiece)]
    assert "".join(piece.text for piece in pieces) == said
