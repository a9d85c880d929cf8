"""Sampling as requests ask for it, through the whole engine."""

from collections.abc import Callable

from driving import Drive

from cortex.protocol.deltas import Scores
from cortex.protocol.request import Complete, Sampling

Driving = Callable[..., Drive]
IDS = tuple(range(20, 60))


def complete(ids: tuple[int, ...] | str = IDS, **sampling: object) -> Complete:
    wanted = {"temperature": 0.0, "max_tokens": 12, "ignore_eos": True} | sampling
    return Complete(model="m", prompt=ids, sampling=Sampling(**wanted))


def test_everything_at_once_is_the_same_alone_and_in_a_batch(drive: Driving) -> None:
    """Every parameter of sampling, for each of three requests: company changes no token and no score."""
    wishes = [
        {"temperature": 0.9, "seed": 1, "frequency_penalty": 0.7, "top_p": 0.9},
        {"temperature": 1.2, "seed": 2, "presence_penalty": 1.0, "repetition_penalty": 1.3, "top_k": 9},
        {"temperature": 0.0, "logit_bias": {"7": 2.0, "9": -100.0}, "logprobs": 3, "min_tokens": 5},
    ]
    requests = [complete(**wish) for wish in wishes]
    alone = [drive().run(request) for request in requests]
    driven = drive(slots=3)
    together = [driven.submit(request, f"r{index}") for index, request in enumerate(requests)]
    driven.finish()
    assert [one.tokens for one in together] == [one.tokens for one in alone]
    assert len({tuple(one.tokens[0]) for one in alone}) == 3


def test_penalties_go_on_where_an_attempt_broke_off(drive: Driving) -> None:
    """What earlier attempts said counts: the rest is the same."""
    asked = complete(temperature=0.8, seed=3, frequency_penalty=1.5, repetition_penalty=1.2)
    whole = drive().run(asked).tokens[0]
    rest = drive().run(asked, prefix=(tuple(whole[:5]),)).tokens[0]
    assert rest == whole[5:]
    assert whole != drive().run(complete(temperature=0.8, seed=3)).tokens[0]


def test_an_answer_is_not_shorter_than_it_has_to_be(drive: Driving) -> None:
    """An end token does not come before `min_tokens`, and then it may."""
    driven = drive()
    [end, *_] = sorted(driven.engine._serving["m"]._loaded.eos)
    eager = {"logit_bias": {str(end): 100.0}, "ignore_eos": False, "max_tokens": 12}
    assert driven.run(complete(**eager), "at once").terminal.totals == (1,)
    heard = driven.run(complete(**eager, min_tokens=7), "later")
    assert heard.terminal.totals == (8,)
    assert heard.finish().reason == "stop"


def test_scores_come_with_their_tokens(drive: Driving) -> None:
    """A score for each token that is said, its bytes making up the text, the likeliest falling; none for the end."""
    driven = drive()
    heard = driven.run(complete(logprobs=2))
    scores = [score for piece in heard.pieces[0] if isinstance(piece, Scores) for score in piece.scores]
    assert len(scores) == len(heard.tokens[0])
    assert b"".join(score.token for score in scores).decode(errors="replace") == heard.text()
    for score in scores:
        assert score.logprob < 0
        assert score.likeliest[0] == (score.token, score.logprob)  # it was taken greedily
        assert len(score.likeliest) == 2
    [end, *_] = sorted(driven.engine._serving["m"]._loaded.eos)
    ended = driven.run(complete(logprobs=0, logit_bias={str(end): 100.0}, ignore_eos=False), "ended")
    assert not [piece for piece in ended.pieces[0] if isinstance(piece, Scores)]
