"""A conversation for templates that take a system turn in front and nowhere else. Pure.

Agents put system turns among the others: reminders, and notes on what has changed. Many templates refuse them there.
"""

from __future__ import annotations

from msgspec import structs

from cortex.protocol.request import Turn


def system_first(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The leading system turns as one, and each later one as what the user says in its place.

    User turns that come to stand beside one another are one, for many of those templates want the roles to alternate.
    """
    folded: list[Turn] = []
    talk = False
    for turn in turns:
        if turn.role == "system" and talk:
            turn = structs.replace(turn, role="user")  # noqa: PLW2901
        talk = talk or turn.role != "system"
        last = folded[-1] if folded else None
        if last is not None and turn.role == last.role and turn.role in ("system", "user"):
            folded[-1] = structs.replace(last, parts=last.parts + turn.parts)
        else:
            folded.append(turn)
    return tuple(folded)
