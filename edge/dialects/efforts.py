"""Whether a model shall think, and how hard: the words of all dialects as one wish. Pure.

It knows no models: what a wish can mean to one is for its chat template to say, where it runs.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

from cortex.edge.dialects.decoding import invalid
from cortex.protocol.request import NO_THINKING, Effort

EFFORTS: dict[str, Effort] = {effort: effort for effort in get_args(Effort)}
STEPS: tuple[tuple[int, Effort], ...] = ((4096, "low"), (16_384, "medium"))
"""Budgets below these many tokens, and the effort that each is; any larger one is high."""


class Wish(NamedTuple):
    """`thinking`: before this answer; `effort`: throughout the conversation. None is said where nothing was asked for."""

    thinking: bool | None = None
    effort: Effort | None = None


def effort_of(given: str | None, param: str) -> Effort | None:
    """The effort of this name. Raises `FaultError` if there is none."""
    if given is None:
        return None
    if given not in EFFORTS:
        raise invalid(param, f"must be one of {', '.join(EFFORTS)}")
    return EFFORTS[given]


def wish_of(effort: Effort | None) -> Wish:
    """What an effort alone says."""
    return Wish(None if effort is None else effort not in NO_THINKING, effort)


def effort_of_budget(tokens: int) -> Effort:
    """A budget is no limit here: it tells how hard to think."""
    return next((effort for limit, effort in STEPS if tokens < limit), "high")
