"""State machines as tables: what follows a state on a trigger, and an error that names both where nothing does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


class IllegalTransitionError(RuntimeError):
    """A bug of ours: nothing was changed."""


def follow(table: Mapping[tuple[S, T], S], state: S, trigger: T) -> S:
    """The state that follows. Raises `IllegalTransitionError`."""
    try:
        return table[state, trigger]
    except KeyError as error:
        raise IllegalTransitionError(f"{trigger} while {state}") from error
