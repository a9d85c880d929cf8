"""More is wanted than there is memory for: who came last gives way for a while, and says the same as if it had not."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from driving import Drive, Heard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch import files
from cortex.neuron.engine.torch.cache import LayerShape, SlotCache
from cortex.neuron.engine.torch.room import Room
from cortex.neuron.engine.torch.sequence import Sequence
from cortex.neuron.engine.torch.serving import Serving
from cortex.neuron.engine.torch.slots import Slots
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Chat, Complete, ResponseFormat, Sampling, Text, Turn

Driving = Callable[..., Drive]
SEEDED = {"temperature": 1.2, "top_p": 0.9, "frequency_penalty": 0.5, "repetition_penalty": 1.1}


def prompt(length: int, seed: int = 0) -> tuple[int, ...]:
    source = random.Random(f"{length}/{seed}")
    return tuple(source.randrange(8, 300) for _ in range(length))


def complete(ids: tuple[int, ...], tokens: int, **more: object) -> Complete:
    wanted = {"temperature": 0.0, "max_tokens": tokens, "ignore_eos": True} | more
    return Complete(model="m", prompt=ids, sampling=Sampling(**wanted))


def refusal(driven: Drive, request: Complete) -> Fault:
    with pytest.raises(FaultError) as caught:
        driven.submit(request, "refused")
    return caught.value.fault


def serving_of(driven: Drive) -> Serving:
    return driven.engine._serving["m"]


def alone(driven: Drive, requests: list[Complete]) -> list[dict[int, list[int]]]:
    """What each says with nobody beside it and all the memory there is."""
    return [driven.run(request, f"alone{at}").tokens for at, request in enumerate(requests)]


def until_somebody_waits(driven: Drive) -> None:
    for _ in range(200):
        if serving_of(driven)._room.waiting:
            return
        driven.step()
    raise AssertionError("nobody has to wait")


# ── giving way ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("family", ["qwen3", "mistral", "gemma"])
def test_whoever_gave_way_says_what_generate_says(
    tight: Driving, directory: Callable[[str], Path], family: str
) -> None:
    """Four answers that fit at first and do not later: each is that of `generate`, and nothing is told twice."""
    driven = tight(4 * 32, family)
    heard = [driven.submit(complete(prompt(10, at), 70), f"r{at}") for at in range(4)]
    driven.finish()
    assert driven.engine.preemptions >= 3
    model = AutoModelForCausalLM.from_pretrained(directory(family))
    for at, one in enumerate(heard):
        ids = torch.tensor([prompt(10, at)])
        mask, more = torch.ones_like(ids), {"do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        with torch.inference_mode():
            row = model.generate(ids, attention_mask=mask, max_new_tokens=70, **more)
        assert one.tokens[0] == row[0, 10:].tolist()


def test_whoever_gave_way_draws_what_it_would_have_drawn(drive: Driving, tight: Driving) -> None:
    """Seeds, penalties, several choices of one request: each choice gives way by itself."""
    requests = [
        complete(prompt(10, 1), 60, seed=1, **SEEDED),
        complete(prompt(5, 2), 60, seed=2, n=2, **SEEDED),
        complete(prompt(20, 3), 60, seed=3, **SEEDED),
    ]
    wanted = alone(drive(), requests)
    driven = tight(4 * 32)
    heard = [driven.submit(request, f"r{at}") for at, request in enumerate(requests)]
    waited: set[tuple[str, int]] = set()
    while driven.engine.due(driven.now) is not None:
        driven.step()
        waiting = serving_of(driven)._room.waiting
        waited |= {
            (work.key[0], choice.index)
            for work, choice in serving_of(driven)._owners.values()
            if choice.sequence in waiting
        }
    assert [one.tokens for one in heard] == wanted
    assert {("r1", 1), ("r2", 0)} <= waited
    assert ("r0", 0) not in waited


def test_a_form_is_kept_though_its_answer_gave_way(drive: Driving, tight: Driving) -> None:
    """What holds it knows what was said, and is not told again."""
    schema = {"type": "array", "items": {"enum": ["one", "two"]}, "minItems": 6, "maxItems": 6}
    form = ResponseFormat(kind="json_schema", definition=json.dumps(schema).encode(), strict=True)
    turns = (Turn(role="user", parts=(Text(text="x"),)),)
    wish = Chat(
        model="m",
        turns=turns,
        response_format=form,
        sampling=Sampling(seed=3, temperature=1.5, max_tokens=90),
    )

    def run(driven: Drive, *before: Complete) -> Heard:
        for at, request in enumerate(before):
            driven.submit(request, f"before{at}")
        heard = driven.submit(wish, "held")
        for compiled in serving_of(driven)._loaded.grammars._compiled.values():
            compiled.exception(timeout=30)
        driven.finish()
        return heard

    free = run(drive())
    driven = tight(128)
    heard = run(driven, complete(prompt(10), 80))
    assert driven.engine.preemptions > 0
    assert heard.tokens == free.tokens
    assert len(json.loads(heard.text())) == 6


def test_the_oldest_never_waits(tight: Driving) -> None:
    """It says a token in every step, whatever is beside it."""
    driven = tight(4 * 32)
    heard = [driven.submit(complete(prompt(10, at), 80), f"r{at}") for at in range(4)]
    for said in range(1, 81):
        driven.step()
        assert len(heard[0].tokens[0]) == said
    assert driven.engine.preemptions > 0
    driven.finish()
    assert all(isinstance(one.terminal, Finished) for one in heard)


def test_nobody_overtakes_who_waits(tight: Driving) -> None:
    """Not even a short one for whom there is room: it is refused for now."""
    driven = tight(150)
    heard = [driven.submit(complete(prompt(20, at), 60), f"r{at}") for at in range(3)]
    until_somebody_waits(driven)
    assert serving_of(driven).slots.room >= serving_of(driven).slots.bytes(16)
    fault = refusal(driven, complete(prompt(2), 2))
    assert (fault.code, "wait for memory" in fault.message) == (Code.BUSY, True)
    ends = []
    while driven.engine.due(driven.now) is not None:
        driven.step()
        ends += [at for at, one in enumerate(heard) if one.terminal and at not in ends]
    assert ends == [0, 1, 2]
    assert isinstance(driven.run(complete(prompt(2), 2), "later").terminal, Finished)


def test_the_oldest_who_waits_goes_on_first() -> None:
    """Though a younger one would find room."""
    cpu = torch.device("cpu")
    slots = Slots(SlotCache((LayerShape(1, 2, 2),), 4, 1280, torch.float32, cpu, limit=1280 * 16))
    queue = Room(slots)
    made = {}
    for name, length, limit in (
        ("first", 900, 1280),
        ("second", 1000, 1280),
        ("third", 100, 200),
        ("x", 9, 10),
    ):
        one = made[name] = Sequence([1] * length, prompt=length, limit=limit)
        one.slot, _ = slots.open(one.tokens, name)
        queue.enter(one, 256)
    assert all(queue.reserve(made[name], 256) for name in ("first", "second", "third"))
    assert queue.reserve(made["first"], 1000)
    assert not queue.reserve(made["second"], 300)
    assert queue.waiting == {made["second"], made["third"]}
    queue.leave(made["x"])
    assert slots.room == slots.bytes(256), "enough for the third"
    assert queue.resume() is None
    assert queue.waiting == {made["second"], made["third"]}
    for name in ("first", "second"):
        queue.leave(made[name])
        slots.release(made[name].slot)
    assert queue.resume() is None
    assert queue.waiting == set()


def test_whoever_waits_can_be_cancelled(tight: Driving) -> None:
    """It ends with what it said."""
    driven = tight(64)
    heard = [driven.submit(complete(prompt(10, at), 50), f"r{at}") for at in range(2)]
    until_somebody_waits(driven)
    driven.engine.cancel(("r1", 1))
    driven.step()
    assert heard[1].terminal.cancelled
    assert heard[1].terminal.totals == (len(heard[1].tokens[0]),)
    driven.finish()


ASKED = st.tuples(st.integers(1, 25), st.integers(1, 48), st.integers(1, 2), st.integers(0, 12))


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ASKED, min_size=2, max_size=5), st.sampled_from([128, 150, 200]), st.randoms())
def test_in_any_mix_everybody_says_what_it_says_alone(
    drive: Driving, tight: Driving, asked: list[tuple[int, int, int, int]], positions: int, chance
) -> None:
    """Prompts and answers of any length, coming when they like; those for whom there is no room come again."""
    requests = [
        complete(prompt(length), tokens, n=n, seed=length, **(SEEDED if length % 2 else {}))
        for length, tokens, n, _ in asked
    ]
    wanted = alone(drive(slots=5), requests)  # of an engine that no example makes tight
    driven = tight(positions, chunk=chance.choice([7, 512]))
    heard: dict[int, Heard] = {}
    coming = list(enumerate(requests))
    while coming or driven.engine.due(driven.now) is not None:
        if coming:
            at, request = coming[0]
            try:
                heard[at] = driven.submit(request, f"r{at}")
                del coming[0]
            except FaultError as error:
                alive = driven.engine.due(driven.now) is not None
                if not alive or error.fault.code is not Code.BUSY:
                    raise
        driven.step(1 + asked[len(heard) - 1][3] if heard else 1)
        used = serving_of(driven)._runner.cache
        assert used.bytes <= used.limit
    assert [heard[at].tokens for at in range(len(requests))] == wanted


# ── who may come ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_promised_counts_before_it_is_taken(tight: Driving) -> None:
    """Two fit by what they are promised; the third waits at the broker until one of them is gone."""
    driven = tight(3 * 64 - 1, context=64)
    for at in range(2):
        driven.submit(complete(prompt(40, at), 50), f"r{at}")
    fault = refusal(driven, complete(prompt(40, 3), 4))
    assert (fault.code, fault.message) == (
        Code.BUSY,
        "There is room for 63 more tokens here now, and 64 are needed.",
    )
    driven.finish()
    assert isinstance(driven.run(complete(prompt(40, 3), 4), "later").terminal, Finished)


def test_choices_that_never_fit_are_refused_for_good(tight: Driving) -> None:
    """Busy or not; the client hears what there is room for."""
    driven = tight(100)
    driven.submit(complete(prompt(3), 4), "beside")
    fault = refusal(driven, complete(prompt(20), 30, n=4))
    assert (fault.code, fault.param) == (Code.UNSUPPORTED, "n")
    assert "4 choices of it need memory for 128 tokens, and this model has room for 100" in fault.message
    driven.finish()


def test_what_is_kept_for_later_stands_in_nobodys_way(tight: Driving) -> None:
    """Neither of who comes nor of who grows."""
    driven = tight(4 * 32)
    for at in range(4):
        driven.run(complete(prompt(20, at), 8), f"r{at}")
    assert serving_of(driven).slots.kept == 4
    heard = driven.run(complete(prompt(100, 9), 28), "large")
    assert isinstance(heard.terminal, Finished)
    assert driven.engine.preemptions == 0


# ── what is reserved, and how long a sequence may be ─────────────────────────────────────────────────────────────


def test_the_context_is_cut_to_what_one_sequence_can_have(tight: Driving) -> None:
    """It is told, prompts beyond it are refused by name, and an answer fills it to its last token."""
    driven = tight(100)
    assert serving_of(driven).done(0).context == 100
    fault = refusal(driven, complete(prompt(100), 4))
    assert fault.code is Code.CONTEXT_LENGTH_EXCEEDED
    assert "maximum context length is 100 tokens" in fault.message
    assert driven.run(complete(prompt(30), 500)).terminal.totals == (70,)
    assert driven.engine.preemptions == 0


def test_too_little_reserved_is_told(started, directory: Callable[[str], Path]) -> None:
    """A short conversation is served all the same, and the ledger hears of it."""
    roomy = started()._serving["m"]
    loaded, each = roomy._loaded, roomy._runner.cache.position_bytes
    done = Serving(roomy.settings, loaded, loaded.bytes + 3).done(0)
    assert (done.context, done.bytes) == (256, loaded.bytes + 256 * each)
    done = Serving(roomy.settings, loaded, loaded.bytes + 300 * each).done(0)
    assert (done.context, done.bytes) == (300, loaded.bytes)


def test_a_context_that_is_asked_for_is_reserved(
    directory: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that nobody asked for is served as far as a conversation in each slot reaches."""
    monkeypatch.setattr(files, "CONVERSATION", 64)
    source, cpu = str(directory("qwen3")), torch.device("cpu")
    sizes = {
        context: files.footprint(
            ModelSettings(id="m", source=source, slots=3, context=context, dtype="float32"), cpu
        )
        for context in (64, 100, 192, 400, None)
    }
    each = 2 * 2 * 2 * 16 * 4
    extra = {context: (size - sizes[64]) // each for context, size in sizes.items()}
    assert extra == {64: 0, 100: 0, 192: 0, 400: 400 - 192, None: 0}


# ── a device without memory ──────────────────────────────────────────────────────────────────────────────────────


def test_a_device_without_memory_is_as_one_without_room(drive: Driving, tight: Driving, monkeypatch) -> None:
    """Long before the limit: others give way, everybody says what it says alone, and nothing is lost."""
    requests = [complete(prompt(10, at), 60) for at in range(3)]
    wanted = alone(drive(), requests)
    driven = tight(3 * 512)
    cache = serving_of(driven)._runner.cache
    own = cache._zeros

    def scarce(*shape: int) -> torch.Tensor:
        if cache.bytes > 200 * cache.position_bytes:
            raise torch.OutOfMemoryError("none left")
        return own(*shape)

    monkeypatch.setattr(cache, "_zeros", scarce)
    heard = [driven.submit(request, f"r{at}") for at, request in enumerate(requests)]
    driven.finish()
    assert driven.engine.preemptions > 0
    assert [one.tokens for one in heard] == wanted


def test_who_is_alone_and_finds_no_memory_fails(tight: Driving, monkeypatch) -> None:
    """One after the other, each with a terminal; and the next is served when there is some again."""
    driven = tight(512)
    heard = [driven.submit(complete(prompt(10, at), 40), f"r{at}") for at in range(3)]
    driven.step(3)
    cache = serving_of(driven)._runner.cache

    def none(*_: int) -> torch.Tensor:
        raise MemoryError("none left")

    with monkeypatch.context() as patch:
        patch.setattr(cache, "_zeros", none)
        driven.finish()
    assert all(isinstance(one.terminal, Failed) for one in heard)
    assert all(one.terminal.fault.code is Code.ENGINE_FAILED for one in heard)
    assert "none left" not in heard[0].terminal.fault.message
    assert driven.run(complete(prompt(10), 40), "after").terminal.totals == (40,)


def test_a_broken_device_is_told_and_raised(tight: Driving, monkeypatch) -> None:
    """Where memory is asked for as well: it is no lack of memory."""
    driven = tight(512)
    heard = driven.submit(complete(prompt(10), 40))

    def broken(*_: int) -> torch.Tensor:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with monkeypatch.context() as patch:
        patch.setattr(serving_of(driven)._runner.cache, "_zeros", broken)
        driven.step()
    assert isinstance(heard.terminal, Failed)
    with pytest.raises(torch.AcceleratorError):
        driven.step()
    serving_of(driven).poisoned = None
