"""Texts made to cost as much as they can: a family's markers and fillers, again and again, up to any size."""

from __future__ import annotations

from functools import cache
from itertools import chain

from toolcall_fuzz import markers_of, vectors_of

from cortex.protocol.toolcalls.families import FAMILIES
from cortex.protocol.toolcalls.family import FENCE

FILLERS = (
    *(
        "x",
        " ",
        "\n",
        "[",
        "{",
        "}",
        "(",
        "<",
        "\\",
        '"',
        "'",
        "`",
        ",",
        "1",
        '{"a":',
        '"a": [',
        "\\u00",
        '", "',
    ),
    *("[{", "a(", '\\"', "<x>", "='", "}}\n", '{"a":1},', FENCE),
)
"""What an open body is filled with: strings, brackets, escapes and quotes that never end."""


@cache
def adversaries(family: str) -> tuple[tuple[str, str], ...]:
    """Beginnings, and what is repeated behind each."""
    row = FAMILIES.get(family)
    markers = markers_of(family)
    units = [*markers, *(marker[:-1] for marker in markers), *(marker + "{" for marker in markers)]
    whole = [vector.text + "\n" for vector in vectors_of(family) if len(vector.text) < 200]
    thinking = row.thinking if row else ()
    units += [*chain(*([a + b, f"{a}{b}\n"] for a in markers for b in markers if a != b))][:60]
    units = [unit for unit in (*units, *whole[:40]) if unit]
    found = [("", unit) for unit in units]
    found += [(opener, unit) for opener, _ in thinking for unit in (*markers, *whole[:10])]
    found += [(begun, filler) for begun in bodies_begun(family) for filler in FILLERS]
    return tuple(dict.fromkeys(found))


@cache
def bodies_begun(family: str) -> tuple[str, ...]:
    """The openers, and a few calls up to the middle of their arguments."""
    calls = [vector.text for vector in vectors_of(family) if vector.calls and not vector.reasoning]
    cut = [text[: len(text) * part // 4] for text in calls[:3] for part in (2, 3)]
    row = FAMILIES.get(family)
    openers = row.openers if row else ()
    return tuple(dict.fromkeys([*openers[:3], *cut]))


def made_of(adversary: tuple[str, str], size: int) -> str:
    """A text of this many characters."""
    begun, unit = adversary
    return (begun + unit * (size // len(unit) + 1))[:size]


def fed(text: str, size: int = 4) -> list[str]:
    """The text in chunks of a token's size."""
    return [text[at : at + size] for at in range(0, len(text), size)]
