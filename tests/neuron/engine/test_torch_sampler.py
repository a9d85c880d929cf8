"""Choosing tokens: distributions, filters, and randomness without state."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cortex.neuron.engine.torch.sampler import Defaults, Rule, pick, resolve, uniform
from cortex.protocol.request import Sampling

FIXED = [0.13870941014555427, 0.5211329322530508, 0.6003213557201535]
LOGITS = torch.tensor([0.0, 3.0, 1.0, 2.0, -1.0])


def rule(**more: float) -> Rule:
    return Rule(
        **({"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": 5, "choice": 0} | more)
    )


def drawn(count: int = 1500, logits: torch.Tensor = LOGITS, **more: float) -> torch.Tensor:
    """How often each token is drawn, over `count` positions."""
    tokens = [pick(logits[None], [(rule(**more), position)])[0] for position in range(count)]
    return torch.bincount(torch.tensor(tokens), minlength=len(logits)) / count


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
    assert pick(logits, rules) == [1, 3, None]


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
    own = Defaults(temperature=0.6, top_p=0.95, top_k=20, min_p=0.1)
    assert resolve(Sampling(seed=3), own, 2) == rule(
        temperature=0.6, top_p=0.95, top_k=20, min_p=0.1, seed=3, choice=2
    )
    said = Sampling(temperature=0.0, top_p=1.0, top_k=-1, min_p=0.0, seed=3)
    assert resolve(said, own, 0) == rule(temperature=0.0, seed=3)
    assert resolve(Sampling(), Defaults(), 0).temperature == 0
