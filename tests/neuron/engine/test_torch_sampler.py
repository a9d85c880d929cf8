"""Choosing tokens: distributions against a plain reference, filters, penalties, and randomness without state."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cortex.neuron.engine.torch.history import History
from cortex.neuron.engine.torch.sampler import Defaults, Picked, Row, Rule, pick, resolve, uniform
from cortex.protocol.request import Sampling

FIXED = [0.13870941014555427, 0.5211329322530508, 0.6003213557201535]
LOGITS = torch.tensor([0.0, 3.0, 1.0, 2.0, -1.0])
NOTHING = History()


def rule(**more: object) -> Rule:
    plain = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": 5, "choice": 0}
    return Rule(**(plain | more))  # type: ignore[arg-type]


def tokens_of(logits: torch.Tensor, rows: list[tuple[Rule, int]]) -> list[int | None]:
    """What is picked for rules and positions, without a history."""
    found = pick(logits, [Row(rule, position, NOTHING) for rule, position in rows])
    return [None if one is None else one.token for one in found]


def drawn(
    count: int = 1500, logits: torch.Tensor = LOGITS, history: History = NOTHING, **more: object
) -> torch.Tensor:
    """How often each token is drawn, over `count` positions."""
    tokens = [
        one.token for at in range(count) for one in pick(logits[None], [Row(rule(**more), at, history)])
    ]
    return torch.bincount(torch.tensor(tokens), minlength=len(logits)) / count


def reference(
    logits: list[float], asked: Rule, prompt: list[int], said: list[int], position: int
) -> list[float]:
    """The distribution to draw from, as plainly as it can be written down."""
    values = list(logits)
    for token in set(prompt) | set(said):
        by = asked.repetition_penalty
        values[token] = values[token] / by if values[token] > 0 else values[token] * by
    for token, count in Counter(said).items():
        values[token] -= count * asked.frequency_penalty + asked.presence_penalty
    for token, amount in asked.bias:
        values[token] += amount
    if position < asked.min_tokens:
        for token in asked.shut:
            values[token] = -math.inf
    if asked.temperature == 0:
        best = values.index(max(values))
        return [float(token == best) for token in range(len(values))]
    highest = max(values)
    weights = [math.exp((value - highest) / asked.temperature) for value in values]
    order = sorted(range(len(values)), key=lambda token: (-weights[token], token))
    if asked.top_k:
        order = order[: asked.top_k]
    kept, total, reached = [], sum(weights[token] for token in order), 0.0
    for token in order:
        if asked.top_p < 1 and reached >= asked.top_p:
            break
        kept.append(token)
        reached += weights[token] / total
    kept = [token for token in kept if weights[token] >= asked.min_p * weights[order[0]]]
    total = sum(weights[token] for token in kept)
    return [weights[token] / total if token in kept else 0.0 for token in range(len(values))]


RULES = {
    "temperature": {"temperature": 0.7},
    "top_k": {"top_k": 3},
    "top_p": {"top_p": 0.8},
    "min_p": {"min_p": 0.2},
    "frequency": {"frequency_penalty": 0.8},
    "presence": {"presence_penalty": 1.5},
    "presence wanted": {"presence_penalty": -1.0},
    "repetition": {"repetition_penalty": 1.6},
    "bias": {"bias": ((0, 2.5), (1, -100.0))},
    "min_tokens": {"min_tokens": 10_000, "shut": (1, 4)},
    "all": {
        "temperature": 1.3, "top_k": 6, "top_p": 0.95, "min_p": 0.02, "frequency_penalty": 0.3, "presence_penalty": 0.2,
        "repetition_penalty": 1.1, "bias": ((2, 1.0),), "min_tokens": 10_000, "shut": (7,),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_each_sampler_draws_as_a_plain_reference_says(name: str) -> None:
    """Frequencies over 2,000 positions, with a prompt and words that were said before."""
    logits = torch.tensor([0.3, 2.0, 1.1, 1.6, -0.4, 0.9, 0.0, 1.3])
    prompt, said = [1, 5, 5], [3, 3, 6]
    asked = rule(**RULES[name])
    wanted = reference(logits.tolist(), asked, prompt, said, 0)
    found = drawn(2000, logits, History(prompt, said), **RULES[name])
    for share, probability in zip(found.tolist(), wanted, strict=True):
        assert share == pytest.approx(
            probability, abs=4 * math.sqrt(probability * (1 - probability) / 2000) + 1e-9
        )


@given(
    st.lists(st.sampled_from([-3.0, -1.0, 0.0, 0.5, 0.5, 1.0, 2.0, 7.0]), min_size=2, max_size=400),
    st.sampled_from([0.0, 0.3, 1.0, 5.0]),
    st.sampled_from([0, 1, 2, 5, 300]),
    st.sampled_from([1.0, 0.99, 0.5, 0.01]),
    st.sampled_from([0.0, 0.05, 0.9]),
)
def test_only_what_may_be_drawn_is_drawn(logits, temperature, top_k, top_p, min_p) -> None:
    """Whatever the sizes, and with many equal logits: the reference gives each token that is drawn some weight."""
    asked = rule(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    wanted = reference(logits, asked, [], [], 0)
    for position in range(8):
        [token] = tokens_of(torch.tensor(logits)[None], [(asked, position)])
        assert wanted[token] > 0


def test_a_history_grows_with_what_is_said() -> None:
    """Penalties count the tokens generated; the repetition penalty the prompt too."""
    history = History([2, 2], [4])
    assert history.seen.tolist() == [2, 4]
    for token in (4, 0):
        history.add(token)
    assert history.seen.tolist() == [0, 2, 4]
    ids, counts = history.said
    assert dict(zip(ids.tolist(), counts.tolist(), strict=True)) == {4: 2.0, 0: 1.0}


def test_scores_are_the_models_own() -> None:
    """Log probabilities of the logits as they came, whatever the rule made of them; the taken one need not be likely."""
    asked = rule(temperature=0.0, bias=((4, 100.0),), logprobs=2)
    [found] = pick(LOGITS[None], [Row(asked, 0, NOTHING)])
    scores = LOGITS.log_softmax(-1).tolist()
    assert found == Picked(4, pytest.approx(scores[4]), found.likeliest)
    assert [token for token, _ in found.likeliest] == [1, 3]
    assert [score for _, score in found.likeliest] == pytest.approx([scores[1], scores[3]])
    assert pick(LOGITS[None], [Row(rule(logprobs=0), 0, NOTHING)])[0].likeliest == ()


def test_a_row_whose_every_token_is_shut_out_yields_none() -> None:
    """It fails by itself: its neighbours are sampled."""
    shut = rule(min_tokens=5, shut=(0, 1, 2, 3, 4))
    assert tokens_of(torch.stack([LOGITS, LOGITS]), [(shut, 0), (rule(temperature=0.0), 0)]) == [None, 1]
    assert tokens_of(LOGITS[None], [(shut, 5)]) != [None]


def test_distribution() -> None:
    """Tokens are drawn as often as softmax says."""
    assert torch.allclose(drawn(), LOGITS.softmax(-1), atol=0.05)


def test_temperature() -> None:
    """Temperature divides the logits; zero takes the likeliest, and so does nearly zero."""
    assert torch.allclose(drawn(temperature=2.0), (LOGITS / 2).softmax(-1), atol=0.05)
    assert drawn(20, temperature=0.0)[1] == 1
    assert drawn(20, temperature=1e-9)[1] == 1


def test_top_k() -> None:
    """Only the k likeliest are drawn, in their proportion."""
    shares = drawn(top_k=2)
    assert set(shares.nonzero().flatten().tolist()) == {1, 3}
    assert shares[1] / shares[3] == pytest.approx(2.718, abs=0.6)


def test_top_p() -> None:
    """The smallest set of the likeliest whose weight reaches p: the first always stays."""
    assert set(drawn(top_p=0.8).nonzero().flatten().tolist()) == {1, 3}
    assert drawn(50, top_p=1e-6)[1] == 1


def test_min_p() -> None:
    """Tokens below a fraction of the likeliest are never drawn."""
    assert set(drawn(min_p=0.2).nonzero().flatten().tolist()) == {1, 3}


def test_top_k_before_top_p() -> None:
    """The share that top_p asks for is a share of what top_k left."""
    assert set(drawn(top_k=2, top_p=0.7).nonzero().flatten().tolist()) == {1}


def test_rows_are_independent() -> None:
    """Greedy and sampled rows share a batch; a row of no numbers yields no token."""
    logits = torch.stack([LOGITS, LOGITS.flip(0), torch.full((5,), float("nan"))])
    rules = [(rule(temperature=0.0), 0), (rule(top_k=1), 0), (rule(), 0)]
    assert tokens_of(logits, rules) == [1, 3, None]


def test_never_a_token_of_no_weight() -> None:
    """Forbidden tokens are not drawn even by the last point of the interval."""
    logits = torch.tensor([1.0, float("-inf"), 1.0, float("-inf")])
    assert set(drawn(500, logits).nonzero().flatten().tolist()) == {0, 2}


@given(st.integers(0, 2**63 - 1), st.integers(0, 15), st.integers(0, 10**6))
def test_uniform(seed, choice, position) -> None:
    """The number lies in [0, 1) and changes with each of seed, choice and position."""
    value = uniform(seed, choice, position)
    assert 0 <= value < 1
    others = [(seed ^ 1, choice, position), (seed, choice + 1, position), (seed, choice, position + 1)]
    assert value not in [uniform(*other) for other in others]


def test_uniform_is_fixed() -> None:
    """The numbers are a promise between replicas of different versions: these three stay."""
    values = [uniform(0, 0, 0), uniform(1, 2, 3), uniform(2**63 - 1, 15, 131_071)]
    assert values == pytest.approx(FIXED, abs=1e-15)


def test_uniform_is_uniform() -> None:
    """Over positions, choices and seeds alike the numbers fill the interval evenly."""
    for values in (
        [uniform(1, 0, position) for position in range(4000)],
        [uniform(seed, 0, 0) for seed in range(4000)],
    ):
        counts = torch.histc(torch.tensor(values), bins=10, min=0, max=1)
        assert counts.min() > 330
        assert counts.max() < 470


def test_defaults() -> None:
    """What the client leaves open is the model's own; what it says, zero and "off" included, wins."""
    own = Defaults(temperature=0.6, top_p=0.95, top_k=20, min_p=0.1, repetition_penalty=1.1)
    assert resolve(Sampling(seed=3), own, 2) == rule(
        temperature=0.6, top_p=0.95, top_k=20, min_p=0.1, seed=3, choice=2, repetition_penalty=1.1
    )
    said = Sampling(temperature=0.0, top_p=1.0, top_k=-1, min_p=0.0, repetition_penalty=1.0, seed=3)
    assert resolve(said, own, 0) == rule(temperature=0.0, seed=3)
    assert resolve(Sampling(), Defaults(), 0).temperature == 0


def test_wishes() -> None:
    """Biases by id, penalties that are null, and ids that end an answer only while it may not end."""
    said = Sampling(logit_bias={"7": -1.5, "2": 3.0}, frequency_penalty=0.5, min_tokens=4, logprobs=3)
    found = resolve(said, Defaults(), 0, frozenset({9, 1}))
    assert found.bias == ((2, 3.0), (7, -1.5))
    assert (found.frequency_penalty, found.presence_penalty, found.logprobs) == (0.5, 0.0, 3)
    assert (found.min_tokens, found.shut) == (4, (1, 9))
    assert resolve(Sampling(), Defaults(), 0, frozenset({9})).shut == ()
