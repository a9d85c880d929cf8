"""What the conversations of every dialect have in common: how much of one is read, and what of it a person has just sent. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cortex.edge.dialects.decoding import invalid

MAX_PARTS = 65_536
"""Parts, blocks and calls of a whole conversation. More would take the edge's time from everybody else, and would
hardly fit into a request as it travels.
"""


def check_parts(count: int, param: str) -> None:
    """Refuse a conversation of too many parts before any of them is read."""
    if count > MAX_PARTS:
        raise invalid(
            param, f"holds more than {MAX_PARTS} parts; join its texts, or send less of the conversation"
        )


def just_sent(roles: Sequence[str]) -> int:
    """The place of what a person has just sent, which must be right; -1 if an agent has the last word.

    An agent goes on by itself, so what it sends is never refused for what cannot be read: results of tools, what is said
    directly behind them, and all that came before an answer. A system message does not count.
    """
    said = [index for index, role in enumerate(roles) if role != "system"]
    if not said or roles[said[-1]] != "user":
        return -1
    return -1 if len(said) > 1 and roles[said[-2]] == "tool" else said[-1]
