"""What was computed for one prompt is not computed again for the next: whose, how much of it, and at whose cost."""

import random
from collections.abc import Callable

import pytest
import torch
from driving import Drive, Heard
from hypothesis import given
from hypothesis import strategies as st

from cortex.neuron.engine.base import Job
from cortex.neuron.engine.torch.cache import LayerShape, SlotCache
from cortex.neuron.engine.torch.reuse import LEAST, Kept, Reuse, common
from cortex.neuron.engine.torch.slots import Slots
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Complete, Sampling
from cortex.protocol.values import Usage

Driving = Callable[..., Drive]
TOKENS = st.lists(st.integers(0, 2), max_size=60)


def prompt(length: int, seed: int = 1) -> tuple[int, ...]:
    source = random.Random(seed)
    return tuple(source.randrange(8, 300) for _ in range(length))


def greedy(ids: tuple[int, ...], tokens: int = 8, **more: object) -> Complete:
    wanted = {"temperature": 0.0, "max_tokens": tokens, "ignore_eos": True} | more
    return Complete(model="m", prompt=ids, sampling=Sampling(**wanted))


def submit(driven: Drive, request: Complete, name: str, principal: str = "p") -> Heard:
    driven.engine.admit(Job((name, 1), request, principal=principal), driven.now)
    heard = driven.heard[name, 1] = Heard()
    return heard


def run(driven: Drive, request: Complete, name: str, principal: str = "p") -> tuple[list[int], int]:
    """Its tokens, and how many of its prompt's were computed before: as was told when it was taken."""
    heard = submit(driven, request, name, principal)
    known = driven.engine.admit(Job((name, 1), request, principal=principal), driven.now)  # taken already
    driven.finish()
    assert isinstance(heard.terminal, Finished)
    usage = heard.terminal.usage
    assert known == Usage(prompt=usage.prompt, cached=usage.cached)
    return heard.tokens[0], usage.cached


# ── what is common, and who is remembered ────────────────────────────────────────────────────────────────────────


@given(TOKENS, TOKENS, TOKENS)
def test_the_common_beginning_is_found(start: list[int], one: list[int], other: list[int]) -> None:
    """It is as long as counting says."""
    one, other = start + one, start + other
    counted = 0
    while counted < min(len(one), len(other)) and one[counted] == other[counted]:
        counted += 1
    assert common(one, other) == counted


def test_the_least_recently_used_goes_first() -> None:
    """Being useful counts as use; one that is the beginning of another is of no use any more."""
    reuse, base = Reuse(), list(range(LEAST))
    first, second, third = (Kept(slot, [*base, 100 * slot], "p") for slot in range(3))
    for one in (first, second, third):
        assert reuse.keep(one) == []
    reuse.touch(first)
    assert reuse.oldest(spare=second) == 2
    assert reuse.keep(Kept(3, [*second.tokens, 7], "p")) == [1]
    assert reuse.keep(Kept(4, [*first.tokens, 7], "q")) == []
    assert [reuse.oldest() for _ in range(4)] == [0, 3, 4, None]


def test_the_longest_beginning_of_ones_own_is_the_best() -> None:
    """Not another principal's, nothing short, and never the whole prompt: its last token tells what follows."""
    reuse, base = Reuse(), list(range(100))
    short, long = Kept(0, [*base[:50], 7], "p"), Kept(1, [*base[:70], 7], "p")
    for one in (short, long, Kept(2, base, "q"), Kept(3, base[: LEAST - 1], "p")):
        reuse.keep(one)
    assert reuse.best(base, "p") == (long, 70)
    running = Kept(9, base, "p")
    assert reuse.best(base, "p", [running]) == (running, 99)
    assert reuse.best([1, *base], "p") == (None, 0)
    assert reuse.best(base, "r") == (None, 0)


def new_slots(count: int, positions: int = 2**20, context: int = 4096) -> tuple[Slots, SlotCache]:
    shape, cpu = LayerShape(1, 2, 2), torch.device("cpu")
    cache = SlotCache((shape,), count, context, torch.float32, cpu, limit=positions * 16)
    return Slots(cache), cache


def test_what_is_kept_goes_before_the_limit_is_exceeded() -> None:
    """The oldest first; running sequences have a right to their memory, what may be of use has not."""
    slots, cache = new_slots(4, positions=1024, context=1024)
    for number in range(3):
        slot, _ = slots.open([number] * 300, "p")
        slots.reserve(slot, 300)
        slots.keep(slot, [number] * 300, "p")
    assert (slots.kept, slots.free, slots.room) == (2, 4, slots.limit)
    assert cache.bytes == slots.limit
    assert slots.open([0] * 300, "p")[1] == 0


def test_memory_that_is_wanted_is_taken_from_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when there is none without it."""
    slots, cache = new_slots(3)
    slot, _ = slots.open([1] * 300, "p")
    slots.reserve(slot, 300)
    slots.keep(slot, [1] * 300, "p")
    grow = cache._zeros

    def scarce(*shape: int) -> torch.Tensor:
        if slots.kept:
            raise MemoryError
        return grow(*shape)

    monkeypatch.setattr(cache, "_zeros", scarce)
    slot, length = slots.open([2] * 300, "p")
    slots.reserve(slot, 300)
    assert (length, slots.kept) == (0, 0)


def test_memory_of_many_is_given_back_while_few_are_kept() -> None:
    """A slab shrinks with its rows; what stays in it stays as it was."""
    slots, cache = new_slots(16)
    opened = [slots.open([number] * 20, "p")[0] for number in range(16)]
    for number, slot in enumerate(opened):
        slots.reserve(slot, 20)
        cache.write(0, slot, 0, torch.full((1, 20, 2), float(number)), torch.zeros(1, 20, 2))
    most = cache.bytes
    for slot in opened[1:]:
        slots.release(slot)
    assert cache.bytes <= most // 8
    assert bool((cache.read(0, opened[0], 0, 20)[0] == 0).all())


# ── in the engine ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("family", ["qwen3", "llama", "mistral", "gemma", "moe", "wide"])
def test_the_same_prompt_is_read_once(drive: Driving, family: str) -> None:
    """The second time all but its last token is there, and the answer is the same."""
    driven = drive(family)
    first = run(driven, greedy(prompt(90)), "one")
    assert first[1] == 0
    assert run(driven, greedy(prompt(90)), "two") == (first[0], 89)


def test_the_next_turn_begins_where_the_last_one_ended(drive: Driving) -> None:
    """Prompt, answer and a question more: what is new is read, and the answer is that of a fresh reading."""
    driven = drive()
    said, _ = run(driven, greedy(prompt(60), 10), "one")
    turn = (*prompt(60), *said, *prompt(20, 2))
    again, cached = run(driven, greedy(turn), "two")
    assert cached == 69  # the last token said was never read
    fresh, none = run(driven, greedy(turn), "three", principal="somebody else")
    assert (again, none) == (fresh, 0)


def test_a_turn_without_the_thought_begins_as_far_as_it_is_the_same(drive: Driving) -> None:
    """What a template leaves out of the past ends what is common, and nothing of it is seen."""
    driven = drive()
    said, _ = run(driven, greedy(prompt(60), 12), "one")
    turn = (*prompt(60), *said[8:], *prompt(20, 2))
    again, cached = run(driven, greedy(turn), "two")
    assert cached == 60
    assert again == run(driven, greedy(turn), "three", principal="somebody else")[0]


def test_nothing_is_shared_between_principals(drive: Driving) -> None:
    """Not even that a prompt was sent."""
    driven = drive()
    run(driven, greedy(prompt(90)), "one", principal="p")
    assert run(driven, greedy(prompt(90)), "two", principal="q")[1] == 0


def test_a_running_sequence_is_as_good_as_one_that_ended(drive: Driving) -> None:
    """Agents ask several things at once with one long beginning: it is copied, and each goes its own way."""
    driven = drive(slots=6)
    first = submit(driven, greedy((*prompt(80), 20), 20), "one")
    driven.step(3)
    others = [submit(driven, greedy((*prompt(80), 30 + number), 20), f"r{number}") for number in range(3)]
    driven.finish()
    assert [other.terminal.usage.cached for other in others] == [80] * 3
    for number, heard in [(-10, first), *enumerate(others)]:
        alone, _ = run(driven, greedy((*prompt(80), 30 + number), 20), f"alone{number}", principal="q")
        assert heard.tokens[0] == alone


def test_several_choices_share_what_is_there(drive: Driving) -> None:
    """Each of them begins with what an earlier request computed."""
    driven = drive()
    one, _ = run(driven, greedy(prompt(90)), "one")
    heard = submit(driven, greedy(prompt(90), n=3), "many")
    driven.finish()
    assert heard.terminal.usage.cached == 89
    assert heard.tokens == {0: one, 1: one, 2: one}


def test_every_slot_is_free_to_whoever_comes(drive: Driving) -> None:
    """Kept sequences stand in nobody's way: the oldest go."""
    driven = drive(slots=4)
    for number in range(6):
        run(driven, greedy(prompt(40, number), 2), f"r{number}")
    heard = [submit(driven, greedy(prompt(40, 10 + number), 2), f"n{number}") for number in range(4)]
    driven.finish()
    assert all(isinstance(one.terminal, Finished) for one in heard)
    assert run(driven, greedy(prompt(40, 0), 2), "last")[1] == 0


def test_what_a_failed_request_left_is_not_used(drive: Driving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken forward may have written anything."""
    driven = drive()
    sick = submit(driven, greedy(prompt(90)), "sick")
    driven.step(2)
    with monkeypatch.context() as patch:
        patch.setattr(driven.engine._serving["m"]._runner, "_model", lambda **_: 1 / 0)
        driven.step()
    assert isinstance(sick.terminal, Failed)
    assert run(driven, greedy(prompt(90)), "well")[1] == 0
