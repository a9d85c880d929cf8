"""From a row of logits to a token. The randomness is a hash of (seed, choice, position), so it has no state.

The same seed and prompt therefore give the same text alone, in a batch, or continued on another replica. Rows are
sampled in float64 on the CPU by inverting the cumulative distribution in order of token id: a device's own random
numbers and the order of equal logits have no say.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cortex.protocol.request import Sampling

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a model's generation_config asks for where a client says nothing."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How one choice picks its tokens. `top_k` 0 is off; temperature 0 takes the likeliest."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    seed: int
    choice: int


def resolve(sampling: Sampling, defaults: Defaults, choice: int) -> Rule:
    """The client's wishes, with the model's own for those it did not express."""
    top_k = defaults.top_k if sampling.top_k is None else sampling.top_k
    return Rule(
        temperature=defaults.temperature if sampling.temperature is None else sampling.temperature,
        top_p=defaults.top_p if sampling.top_p is None else sampling.top_p,
        top_k=max(0, top_k),
        min_p=defaults.min_p if sampling.min_p is None else sampling.min_p,
        seed=sampling.seed,
        choice=choice,
    )


def _mix(value: int) -> int:
    """Steele, Lea and Flood's splitmix64 finaliser."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def uniform(seed: int, choice: int, position: int) -> float:
    """A number in [0, 1) that depends on nothing else, the same on every machine."""
    state = _mix((seed + GOLDEN) & MASK)
    state = _mix((state + GOLDEN * (choice + 1)) & MASK)
    state = _mix((state + GOLDEN * (position + 1)) & MASK)
    return float(state >> 11) / 2**53


def pick(logits: torch.Tensor, rules: list[tuple[Rule, int]]) -> list[int | None]:
    """One token per row, for (rule, position) of each; None for a row that is not finite."""
    best, likeliest = logits.max(dim=-1)
    finite = torch.isfinite(best).tolist()
    picked: list[int | None] = list(likeliest.tolist())
    for row, (rule, position) in enumerate(rules):
        if not finite[row]:
            picked[row] = None
        elif rule.temperature > 0:
            picked[row] = _draw(logits[row], rule, uniform(rule.seed, rule.choice, position))
    return picked


def _draw(logits: torch.Tensor, rule: Rule, point: float) -> int:
    row = logits.to(device="cpu", dtype=torch.float64)
    # With the maximum at zero a very small temperature gives -inf and not inf - inf.
    probabilities = torch.softmax((row - row.max()) / rule.temperature, dim=-1)
    kept = _keep(probabilities, rule)
    weights = probabilities[kept]
    cumulative = weights.cumsum(0)
    found = int(torch.searchsorted(cumulative, point * float(cumulative[-1]), right=True))
    # Rounding can carry the point past the last token of any weight.
    last = int(weights.nonzero()[-1, 0])
    return int(kept[min(found, last)])


def _keep(probabilities: torch.Tensor, rule: Rule) -> torch.Tensor:
    """The ids that may be drawn, ascending: first top_k, then top_p of their weight, then min_p."""
    if not rule.top_k and rule.top_p >= 1 and not rule.min_p:
        return torch.arange(len(probabilities))
    order = torch.argsort(probabilities, descending=True, stable=True)
    if rule.top_k:
        order = order[: rule.top_k]
    weights = probabilities[order]
    if rule.top_p < 1:
        share = weights.cumsum(0) / weights.sum()
        # A token stays while those before it have not reached the share: the first always does.
        order = order[(share - weights / weights.sum()) < rule.top_p]
        weights = probabilities[order]
    if rule.min_p:
        order = order[weights >= rule.min_p * weights[0]]
    return order.sort().values
