"""What may be done to a call that is almost right. Each repair is recorded, and each kind can be switched off."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

SHOWN = 120
"""Characters of a repair's text that are kept."""


MADE = "made"
MALFORMED = "malformed"
"""What calls are counted as, beside the repairs by step."""


class Step(StrEnum):
    """Kinds of repair. None of them adds to a value or completes one that was cut."""

    BRACES = "braces"
    """Closers too many behind the call are dropped."""
    BRACKETS = "brackets"
    """Closers that are missing behind a complete value are added."""
    COMMAS = "commas"
    """A comma before a closer is dropped."""
    QUOTES = "quotes"
    """Strings in single quotes get double ones."""
    CONTROLS = "controls"
    """Line breaks and other control characters in strings are escaped."""
    ESCAPES = "escapes"
    """A backslash that begins no escape is doubled."""
    WORDS = "words"
    """True, False and None are written as JSON has them."""
    STRING = "string"
    """Arguments that are a string holding an object become that object."""
    NAME = "name"
    """A name with another case or in a namespace becomes that of the tool it means."""
    HOISTED = "hoisted"
    """A name that was put among the arguments becomes the call's."""
    INFERRED = "inferred"
    """A call without a name gets that of the one tool whose schema its arguments satisfy."""


ALL = frozenset(Step)


class Repair(Struct, frozen=True):
    """One repair: what stood there and what stands there now."""

    step: Step
    before: str
    after: str


class Malformed(Struct, frozen=True):
    """A body that looked like a call and could not be made one; it went to the client as text."""

    raw: str
    why: str


Note = Repair | Malformed


def repaired(step: Step, before: str, after: str) -> Repair:
    """A record of a repair, with no more of the text than a log line bears."""
    return Repair(step, before[:SHOWN], after[:SHOWN])
