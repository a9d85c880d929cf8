"""Prompts that are said again before their answers, and rated: as one forward of transformers over the whole rates them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoints import PLAIN
from driving import Drive, Heard
from reference import prompt
from transformers import AutoModelForCausalLM

from cortex.neuron.engine.torch import rating
from cortex.protocol.deltas import Score, Scores
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Chat, Complete, Sampling, Text, Turn

Driving = Callable[..., Drive]
FAMILIES = ("qwen3", "llama", "mistral", "gemma", "moe", *PLAIN)
CLOSE = 2e-3
"""Of log probabilities that are computed in another order."""


def asked(ids: tuple[int, ...] | str, *, echo: bool = True, **more: object) -> Complete:
    wanted = {"temperature": 0.0, "max_tokens": 3, "ignore_eos": True, "logprobs": 2} | more
    return Complete(model="m", prompt=ids, echo=echo, sampling=Sampling(**wanted))


def scores_of(heard: Heard, choice: int = 0) -> list[Score]:
    return [score for piece in heard.pieces[choice] if isinstance(piece, Scores) for score in piece.scores]


@pytest.fixture(scope="module")
def reference(directory: Callable[[str], Path]) -> Callable[..., torch.Tensor]:
    models = {}

    def rate(family: str, ids: tuple[int, ...]) -> torch.Tensor:
        """Log probabilities of all tokens behind each of these."""
        model = models.setdefault(family, AutoModelForCausalLM.from_pretrained(directory(family)))
        with torch.inference_mode():
            return torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), dim=-1)

    return rate


def require_rated(scores: list[Score], expected: torch.Tensor, ids: tuple[int, ...]) -> None:
    """One score for each id, the first without a probability; the likeliest are those of the reference."""
    assert len(scores) == len(ids)
    assert (scores[0].logprob, scores[0].likeliest) == (None, [])
    for at in range(1, len(ids)):
        row = expected[at - 1]
        assert scores[at].logprob == pytest.approx(float(row[ids[at]]), abs=CLOSE), at
        best = row.topk(2).values.tolist()
        assert [value for _, value in scores[at].likeliest] == pytest.approx(best, abs=CLOSE), at


@pytest.mark.parametrize("chunk", [3, 512])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_is_rated_as_one_forward_rates_it(drive: Driving, reference, family, chunk) -> None:
    """However it is cut into pieces, and with the answer's own tokens behind it; what was said is the same."""
    driven = drive(family, chunk=chunk)
    ids = prompt(37)
    heard = driven.run(asked(ids))
    whole = (*ids, *heard.tokens[0])
    require_rated(scores_of(heard), reference(family, whole), whole)
    assert heard.tokens[0] == driven.run(asked(ids, echo=False), "plain").tokens[0]
    vocabulary = driven.engine._serving["m"]._loaded.vocabulary
    assert [score.token for score in scores_of(heard)] == [vocabulary.bytes_of(one) for one in whole]


@pytest.mark.parametrize("family", ["qwen3", "gemma2", "jamba"])
def test_few_rows_at_a_time_beside_others(drive: Driving, reference, family, monkeypatch) -> None:
    """A step makes no more rows of logits than there is room for, of all rated prompts together; nobody is starved."""
    driven = drive(family, slots=6, chunk=16)
    serving = driven.engine._serving["m"]
    monkeypatch.setattr(serving, "_rows", 5)
    forward, most = serving._runner.forward, []

    def watched(spans):
        most.append(sum(len(span.wanted) for span in spans))
        return forward(spans)

    monkeypatch.setattr(serving._runner, "forward", watched)
    other = driven.submit(asked(prompt(30), echo=False, max_tokens=20), "other")
    driven.step(2)
    lengths = (41, 3, 1, 29)
    heard = {length: driven.submit(asked(prompt(length)), f"r{length}") for length in lengths}
    driven.finish()
    assert max(most) == 5
    for length in lengths:
        whole = (*prompt(length), *heard[length].tokens[0])
        require_rated(scores_of(heard[length]), reference(family, whole), whole)
    assert other.tokens[0] == driven.run(asked(prompt(30), echo=False, max_tokens=20), "again").tokens[0]


@pytest.mark.parametrize(("family", "positions"), [("qwen3", 128), ("gemma2", 128)])
def test_who_gives_way_tells_its_prompt_once(tight: Driving, reference, family, positions) -> None:
    """What was read is given up and read again, and what was rated is not rated again."""
    driven = tight(positions, family, chunk=8)
    lengths = (10, 11, 12, 13)
    heard = {length: driven.submit(asked(prompt(length), max_tokens=50), f"r{length}") for length in lengths}
    driven.finish()
    assert driven.engine._serving["m"].preemptions
    for length in lengths:
        whole = (*prompt(length), *heard[length].tokens[0])
        require_rated(scores_of(heard[length]), reference(family, whole), whole)


def test_one_that_loses_its_memory_while_it_is_read_is_rated_all_the_same(drive: Driving, reference) -> None:
    """From where it was; the positions before are only read again."""
    driven = drive(chunk=7)
    heard = driven.submit(asked(prompt(40)))
    driven.step(3)
    serving = driven.engine._serving["m"]
    [(_, choice)] = serving._owners.values()
    assert 0 < choice.sequence.rated < 39
    serving._room._preempt(choice.sequence)
    driven.finish()
    whole = (*prompt(40), *heard.tokens[0])
    require_rated(scores_of(heard), reference("qwen3", whole), whole)


def test_a_prompt_that_was_computed_before_is_rated_too(drive: Driving, reference) -> None:
    """It takes nothing of what is kept, and leaves what it computed to others."""
    driven = drive()
    driven.run(asked(prompt(60), echo=False), "before")
    heard = driven.run(asked(prompt(60)), "rated")
    assert heard.terminal.usage.cached == 0
    whole = (*prompt(60), *heard.tokens[0])
    require_rated(scores_of(heard), reference("qwen3", whole), whole)
    assert driven.run(asked(prompt(60), echo=False), "after").terminal.usage.cached > 0


def test_text_is_repeated_as_it_came(drive: Driving) -> None:
    """Rated or not, for each choice; token ids are repeated as what they stand for, special ones by their names."""
    driven = drive()
    for logprobs in (None, 0):
        heard = driven.run(asked("the quick 東京", n=2, logprobs=logprobs), f"r{logprobs}")
        for choice in (0, 1):
            assert heard.text(choice).startswith("the quick 東京")
    alone = driven.run(asked("the quick 東京", echo=False, logprobs=None), "alone")
    assert heard.text() == "the quick 東京" + alone.text()
    joined = b"".join(score.token for score in scores_of(heard)).decode("utf-8", "replace")
    assert joined == heard.text()
    tokenizer = driven.engine._serving["m"]._loaded.tokenizer
    ids = tuple(tokenizer("<|im_start|>the fox")["input_ids"])
    assert driven.run(asked(ids), "ids").text().startswith("<|im_start|>the fox")


def test_nothing_but_the_prompt(drive: Driving, reference) -> None:
    """With max_tokens 0 it is read, told and done, also where it fills the context; no token is counted."""
    driven = drive()
    heard = driven.run(asked(prompt(512), max_tokens=0, n=2))
    for choice in (0, 1):
        require_rated(scores_of(heard, choice), reference("qwen3", prompt(512)), prompt(512))
        assert heard.finish(choice).reason == "length"
    assert (heard.terminal.totals, heard.terminal.usage.completion) == ((0, 0), 0)
    assert heard.terminal.usage.prompt == 512
    said = driven.run(asked("the fox", max_tokens=0, logprobs=None), "text")
    assert (said.text(), said.finish().reason) == ("the fox", "length")
    one = driven.run(asked((9,), max_tokens=0), "one")
    assert [score.logprob for score in scores_of(one)] == [None]


def test_no_token_at_all_is_for_echoes_alone(drive: Driving) -> None:
    """By name, for completions and chats."""
    sampling = Sampling(max_tokens=0)
    turn = Turn(role="user", parts=(Text(text="hi"),))
    for request in (
        Complete(model="m", prompt="hi", sampling=sampling),
        Chat(model="m", turns=(turn,), sampling=sampling),
    ):
        with pytest.raises(FaultError) as caught:
            drive().submit(request)
        assert (caught.value.fault.code, caught.value.fault.param) == (Code.INVALID_REQUEST, "max_tokens")


def test_a_later_attempt_does_not_repeat_the_prompt(drive: Driving) -> None:
    """Whoever has a token has the prompt as well."""
    driven = drive(chunk=9)
    whole = driven.run(asked(prompt(20), max_tokens=8), "whole")
    early = driven.submit(asked(prompt(20), max_tokens=8))
    while not early.tokens.get(0):
        driven.step()
    driven.engine.cancel(("r", 1))
    driven.finish()
    late = driven.submit(asked(prompt(20), max_tokens=8), "r", 2, prefix=(tuple(early.tokens[0]),))
    driven.finish()
    assert early.text() + late.text() == whole.text()
    assert scores_of(early) + scores_of(late) == scores_of(whole)


def test_a_long_prompt_is_told_in_parts(drive: Driving, monkeypatch) -> None:
    """All of them with the first token, none with tokens of their own."""
    monkeypatch.setattr(rating, "TOLD", 8)
    monkeypatch.setattr(rating, "SAID", 8)
    driven = drive()
    driven.submit(asked(prompt(30), max_tokens=1))
    [*parts, last, _end] = driven.engine.step(1.0)
    assert len(parts) >= 4
    assert not any(part.tokens for part in parts)
    assert all(len(piece.scores) <= 8 for part in parts for piece in part.pieces if isinstance(piece, Scores))
    assert len(last.tokens) == 1
    assert driven.engine.due(1.0) is None


def test_the_token_that_ends_an_answer_is_rated_where_the_prompt_is(drive: Driving) -> None:
    """Scripts count on one score for each token, and cut the last one off."""
    driven = drive()
    [end, *_] = sorted(driven.engine._serving["m"]._loaded.eos)
    ending = {"logit_bias": {str(end): 100.0}, "ignore_eos": False, "max_tokens": 1}
    heard = driven.run(asked(prompt(9), **ending))
    assert len(scores_of(heard)) == 10
    assert heard.finish().reason == "stop"
    assert not scores_of(driven.run(asked(prompt(9), echo=False, **ending), "plain"))


def test_rows_that_are_not_finite_fail_their_request_alone(drive: Driving, monkeypatch) -> None:
    """As a token that cannot be taken does."""
    driven = drive()
    serving = driven.engine._serving["m"]
    forward = serving._runner.forward

    def broken(spans):
        logits = forward(spans).clone()
        at = sum(span.samples for span in spans)
        if spans[0].wanted:
            logits[at] = float("nan")
        return logits

    monkeypatch.setattr(serving._runner, "forward", broken)
    bad = driven.submit(asked(prompt(9)), "bad")
    good = driven.submit(asked(prompt(11), echo=False), "good")
    driven.finish()
    assert bad.terminal.fault.code == Code.ENGINE_FAILED
    assert "not finite" in bad.terminal.fault.message
    assert len(good.tokens[0]) == 3


def test_what_a_tokenizer_puts_in_front_is_not_told() -> None:
    """But the first token of the text is rated behind it; a space that the text does not have is not its."""
    names = {1: b"<s>", 5: b" one", 6: b" two"}
    echo = rating.Echo("one two", [1, 5, 6], 1, 1, names.__getitem__)
    assert echo.rates == range(2)
    rows = torch.full((2, 8), -9.0)
    rows[0, 5] = rows[1, 6] = 9.0
    assert echo.take(0, rows)
    [[scores, text]] = echo.tell()
    assert text.text == "one two"
    assert [(score.token, score.likeliest[0][0]) for score in scores.scores] == [
        (b"one", b"one"),
        (b" two", b" two"),
    ]
    assert all(-0.001 < score.logprob <= 0 for score in scores.scores)
