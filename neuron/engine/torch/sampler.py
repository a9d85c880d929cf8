"""From a row of logits to a token. The randomness is a hash of (seed, choice, position), so it has no state.

The same seed and prompt therefore give the same text alone, in a batch, or continued on another replica. Rows are
sampled in float64 on the CPU by inverting the cumulative distribution in order of token id: a device's own random
numbers and the order of equal logits have no say.

In order: tokens that may not come now are shut out, the client's biases are added, penalties taken off, and the
temperature applied; then `top_k`, `top_p` and `min_p` say how many of the likeliest may be drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from cortex.neuron.engine.torch.history import History
from cortex.protocol.request import Sampling

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
FIRST_LOOK = 256
"""How many of the likeliest are sorted at first to find those that make up `top_p`."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a model's generation_config asks for where a client says nothing."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How one choice picks its tokens. `top_k` 0 is off; temperature 0 takes the likeliest.

    `shut` are ids that may not come before `min_tokens` tokens were generated; `logprobs` how many of the likeliest are
    told of beside the one taken, None to tell nothing.
    """

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    seed: int
    choice: int
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    bias: tuple[tuple[int, float], ...] = ()
    min_tokens: int = 0
    shut: tuple[int, ...] = ()
    logprobs: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the likeliest token of the raw logits is what it takes."""
        return self.temperature == 0 and not self.changes_logits and not self.min_tokens

    @property
    def changes_logits(self) -> bool:
        return bool(
            self.bias or self.frequency_penalty or self.presence_penalty or self.repetition_penalty != 1
        )


@dataclass(frozen=True, slots=True)
class Row:
    """Whose logits these are: `position` is the index of the token to be picked in its choice.

    `allowed` is [vocabulary], on the CPU: what the answer's grammar lets follow; None for an answer without one.
    """

    rule: Rule
    position: int
    history: History
    allowed: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class Picked:
    """A token; `logprob` and `likeliest` (id and logprob, falling) as the model gave them, where they were asked for."""

    token: int
    logprob: float = 0.0
    likeliest: tuple[tuple[int, float], ...] = ()


def resolve(sampling: Sampling, defaults: Defaults, choice: int, ends: frozenset[int] = frozenset()) -> Rule:
    """The client's wishes, with the model's own for those it did not express. `ends`: ids that end an answer."""
    top_k = _said(sampling.top_k, defaults.top_k)
    return Rule(
        temperature=_said(sampling.temperature, defaults.temperature),
        top_p=_said(sampling.top_p, defaults.top_p),
        top_k=int(max(0, top_k)),
        min_p=_said(sampling.min_p, defaults.min_p),
        seed=sampling.seed,
        choice=choice,
        frequency_penalty=sampling.frequency_penalty or 0.0,
        presence_penalty=sampling.presence_penalty or 0.0,
        repetition_penalty=_said(sampling.repetition_penalty, defaults.repetition_penalty),
        bias=tuple(sorted((int(token), value) for token, value in (sampling.logit_bias or {}).items())),
        min_tokens=sampling.min_tokens,
        shut=tuple(sorted(ends)) if sampling.min_tokens else (),
        logprobs=sampling.logprobs,
    )


def _said(wish: float | None, default: float) -> float:
    return default if wish is None else wish


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


def pick(logits: torch.Tensor, rows: list[Row]) -> list[Picked | None]:
    """One token per row of [rows, vocabulary]; None for a row from which none can be taken: it is not finite."""
    best, likeliest = logits.max(dim=-1)
    finite = torch.isfinite(best).tolist()
    picked: list[Picked | None] = []
    for index, (row, greedy) in enumerate(zip(rows, likeliest.tolist(), strict=True)):
        if not finite[index]:
            picked.append(None)
            continue
        is_plain = row.rule.is_plain and row.allowed is None
        token = greedy if is_plain else _take(logits[index], row)
        picked.append(None if token is None else _scored(logits[index], token, row.rule.logprobs))
    return picked


def _take(logits: torch.Tensor, row: Row) -> int | None:
    """The token of a row that wants more than the likeliest."""
    rule = row.rule
    values = _wanted(logits.to(device="cpu", dtype=torch.float64), row)
    best = float(values.max())
    if not math.isfinite(best):
        return None
    if rule.temperature == 0:
        return int(values.argmax())
    # With the maximum at zero a very small temperature gives -inf and not inf - inf.
    probabilities = torch.softmax((values - best) / rule.temperature, dim=-1)
    return _draw(probabilities, rule, uniform(rule.seed, rule.choice, row.position))


def _wanted(values: torch.Tensor, row: Row) -> torch.Tensor:
    """The logits after everything that the client wants changed. `values` is this row's own copy or is copied."""
    rule = row.rule
    is_early = row.position < rule.min_tokens
    if not is_early and not rule.changes_logits and row.allowed is None:
        return values
    values = values.clone()
    if row.allowed is not None:
        values.masked_fill_(~row.allowed, -math.inf)
    if rule.repetition_penalty != 1:
        seen = row.history.seen
        scores = values[seen]
        values[seen] = torch.where(
            scores > 0, scores / rule.repetition_penalty, scores * rule.repetition_penalty
        )
    if rule.frequency_penalty or rule.presence_penalty:
        said, counts = row.history.said
        values[said] -= rule.frequency_penalty * counts + rule.presence_penalty
    if rule.bias:
        ids, amounts = zip(*rule.bias, strict=True)
        values[list(ids)] += torch.tensor(amounts, dtype=torch.float64)
    if is_early:
        values[list(rule.shut)] = -math.inf
    return values


def _draw(probabilities: torch.Tensor, rule: Rule, point: float) -> int:
    kept = _keep(probabilities, rule)
    weights = probabilities if kept is None else probabilities[kept]
    cumulative = weights.cumsum(0)
    found = int(torch.searchsorted(cumulative, point * float(cumulative[-1]), right=True))
    # Rounding can carry the point past the last token of any weight.
    found = min(found, int(weights.nonzero()[-1, 0]))
    return found if kept is None else int(kept[found])


def _keep(probabilities: torch.Tensor, rule: Rule) -> torch.Tensor | None:
    """The ids that may be drawn, ascending: first top_k, then top_p of their weight, then min_p. None: all of them."""
    if not rule.top_k and rule.top_p >= 1 and not rule.min_p:
        return None
    order = _likeliest(probabilities, rule)
    weights = probabilities[order]
    if rule.top_p < 1:
        whole = weights.sum() if rule.top_k else probabilities.sum()
        share = weights.cumsum(0) / whole
        # A token stays while those before it have not reached the share: the first always does.
        order = order[(share - weights / whole) < rule.top_p]
        weights = probabilities[order]
    if rule.min_p:
        order = order[weights >= rule.min_p * weights[0]]
    return order.sort().values


def _likeliest(probabilities: torch.Tensor, rule: Rule) -> torch.Tensor:
    """Ids from the likeliest down, of equal ones the lowest first: as many as the rule may keep, and maybe more.

    Sorting a vocabulary of 150,000 takes longer than a model's step: most rules keep a few of the likeliest.
    """
    size = len(probabilities)
    if rule.top_k:
        return _first(probabilities, min(rule.top_k, size))[: rule.top_k]
    count = min(FIRST_LOOK, size)
    while count < size:
        order = _first(probabilities, count)
        weights = probabilities[order]
        enough = rule.top_p < 1 and float(weights.sum()) >= rule.top_p * float(probabilities.sum())
        if enough or (rule.min_p and float(weights[-1]) < rule.min_p * float(weights[0])):
            return order
        count *= 8
    return torch.argsort(probabilities, descending=True, stable=True)


def _first(probabilities: torch.Tensor, count: int) -> torch.Tensor:
    """At least `count` ids from the likeliest down, all that equal the last one among them."""
    least = torch.topk(probabilities, count).values[-1]
    ids = (probabilities >= least).nonzero().flatten()
    return ids[torch.argsort(probabilities[ids], descending=True, stable=True)]


def _scored(logits: torch.Tensor, token: int, wanted: int | None) -> Picked:
    if wanted is None:
        return Picked(token)
    scores = torch.log_softmax(logits.float(), dim=-1)
    values, ids = scores.topk(min(wanted, len(scores)))
    likeliest = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    return Picked(token, float(scores[token]), likeliest)
