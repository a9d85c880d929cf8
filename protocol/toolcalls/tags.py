"""How a call is written between tags: data, and the reading of one tag."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from cortex.protocol.toolcalls.markers import could_be

LONGEST_TAG = 128
"""Characters of a name or of a key, with all that its tag says of it."""
_SAID = re.compile(
    r"""\s*(?:"(?P<quoted>[^"<>\n]+)"(?P<more>(?:\s+[\w:]+="[^"<>\n]*")*)|(?P<bare>[^"<>\n]+?))\s*"""
)


class Key(NamedTuple):
    """The tag that opens a parameter. `text`: whether it calls its value a string; None if it does not say."""

    name: str
    text: bool | None
    closer: str
    end: int


@dataclass(frozen=True, eq=False)
class Tags:
    """One way to write a call between tags. What closes something begins with `</`."""

    calls: tuple[str, ...]
    """What comes before the tool's name, which ends at `>`; empty where the name is bare."""
    parameters: tuple[tuple[str, str], ...]
    """What comes before a parameter's key, and what closes its value."""
    closes: tuple[str, ...]
    """What closes the call."""
    ends: tuple[str, ...] = ()
    """What closes the block round it. It is not part of the call, but shows that the call's closer was forgotten."""
    key_ends: str = ">"
    value: str = ""
    """A tag between the key and its value."""
    newlines: bool = False
    """Whether a value has a line break on either side that is not part of it."""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(opener for opener, _ in self.parameters)

    @cached_property
    def after(self) -> tuple[str, ...]:
        """What may stand behind the last parameter."""
        return (*self.closes, *self.ends)

    @cached_property
    def strays(self) -> tuple[str, ...]:
        """Closers of parameters, which mean nothing where no parameter is open."""
        return tuple(closer for _, closer in self.parameters)

    @cached_property
    def inner(self) -> tuple[str, ...]:
        """All tags inside a call that are written the same each time, and what others begin with."""
        between = (self.key_ends, self.value) if self.value else ()
        return (*self.calls, *self.closes, *self.keys, *self.strays, *between)

    def key_at(self, text: str, start: int) -> Key | bool | None:
        """The tag of a parameter that stands here. False if there is none, None if more text must tell."""
        for opener, closer in self.parameters:
            if text.startswith(opener, start):
                begin = start + len(opener)
                end = text.find(self.key_ends, begin, begin + LONGEST_TAG)
                if end < 0:
                    return None if len(text) < begin + LONGEST_TAG else False
                found = _SAID.fullmatch(text, begin, end)
                if found is None:
                    return False
                more = found["more"] or ""
                said = 'string="true"' in more if 'string="' in more else None
                return Key(found["quoted"] or found["bare"], said, closer, end + len(self.key_ends))
        return None if could_be(self.keys, text, start) else False


def name_in(written: str) -> str:
    """The name that a tag gives, with or without quotes; empty if it gives none."""
    found = _SAID.fullmatch(written)
    return "" if found is None else found["quoted"] or found["bare"]
