"""A strict JSON scanner for one value that comes in chunks: where does it end, and is it still valid?

It builds no values. It refuses the first character after which no continuation could be valid JSON (RFC 8259), so
whatever it has consumed may leave at once. Where an array or object ends is a matter of depth outside strings.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from cortex.protocol.toolcalls.markers import WHITESPACE, past

MAX_DEPTH = 256
"""Deeper values are refused: the readers of most languages recurse."""


class Status(Enum):
    OPEN = auto()
    DONE = auto()
    BAD = auto()


class _Expect(Enum):
    VALUE = auto()
    FIRST_VALUE = auto()
    KEY = auto()
    FIRST_KEY = auto()
    COLON = auto()
    NEXT = auto()


_DIGITS = "0123456789"
_EXPONENT = dict.fromkeys("eE", "1e")
_INTEGER = {"0": "0"} | dict.fromkeys(_DIGITS[1:], "1")

# Numbers and words: states are named by the shortest text that leads to them.
_ATOMS: dict[str, dict[str, str]] = {
    "": {"-": "-", "t": "t", "f": "f", "n": "n"} | _INTEGER,
    "-": _INTEGER,
    "0": {".": "1."} | _EXPONENT,
    "1": dict.fromkeys(_DIGITS, "1") | {".": "1."} | _EXPONENT,
    "1.": dict.fromkeys(_DIGITS, "1.1"),
    "1.1": dict.fromkeys(_DIGITS, "1.1") | _EXPONENT,
    "1e": dict.fromkeys(_DIGITS, "1e1") | dict.fromkeys("+-", "1e+"),
    "1e+": dict.fromkeys(_DIGITS, "1e1"),
    "1e1": dict.fromkeys(_DIGITS, "1e1"),
}
for _word in ("true", "false", "null"):
    _ATOMS |= {_word[:n]: {_word[n]: _word[: n + 1]} for n in range(1, len(_word))} | {_word: {}}
_WHOLE_ATOMS = frozenset({"0", "1", "1.1", "1e1", "true", "false", "null"})

_VALUE_START = '"{[' + "".join(_ATOMS[""])
_ALLOWED: dict[_Expect, str] = {
    _Expect.VALUE: _VALUE_START,
    _Expect.FIRST_VALUE: _VALUE_START + "]",
    _Expect.KEY: '"',
    _Expect.FIRST_KEY: '"}',
    _Expect.COLON: ":",
    _Expect.NEXT: ",]}",
}

_PLAIN = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]*')  # half a surrogate pair cannot be sent
_ESCAPED = frozenset('"\\/bfnrtu')
_HEX = frozenset("0123456789abcdefABCDEF")


class JsonScanner:
    """Feed it until `status` is no longer OPEN. A bare number or word is DONE only when something follows it."""

    __slots__ = ("_atom", "_closers", "_escape", "_expect", "_in_string", "status")

    def __init__(self) -> None:
        self.status = Status.OPEN
        self._expect = _Expect.VALUE
        self._closers: list[str] = []
        self._atom = ""
        self._in_string = False
        self._escape = 0
        """Characters of an escape that are still to come; 5 right after the backslash, before its kind is known."""

    def feed(self, text: str, start: int) -> int:
        """Consume what belongs to the value; answers the position behind it, or of the character refused."""
        position = start
        while position < len(text) and self.status is Status.OPEN:
            if self._in_string:
                position = self._string(text, position)
            elif self._atom:
                position = self._more_atom(text, position)
            else:
                position = self._structure(text, past(text, position, WHITESPACE))
        return position

    def _structure(self, text: str, position: int) -> int:
        char = text[position : position + 1]
        if not char:
            return position
        if char not in _ALLOWED[self._expect]:
            return self._refuse(position)
        match char:
            case '"':
                self._in_string = True
            case "{" | "[":
                if len(self._closers) == MAX_DEPTH:
                    return self._refuse(position)
                self._closers.append("}" if char == "{" else "]")
                self._expect = _Expect.FIRST_KEY if char == "{" else _Expect.FIRST_VALUE
            case "}" | "]":
                if self._closers[-1] != char:
                    return self._refuse(position)
                self._closers.pop()
                self._value_ended()
            case ":":
                self._expect = _Expect.VALUE
            case ",":
                self._expect = _Expect.KEY if self._closers[-1] == "}" else _Expect.VALUE
            case _:
                self._atom = _ATOMS[""][char]
        return position + 1

    def _string(self, text: str, position: int) -> int:
        if self._escape:
            return self._escaped(text, position)
        end = _PLAIN.match(text, position).end()  # type: ignore[union-attr]  # it matches the empty string too
        if end == len(text):
            return end
        match text[end]:
            case '"':
                self._in_string = False
                if self._expect in {_Expect.KEY, _Expect.FIRST_KEY}:
                    self._expect = _Expect.COLON
                else:
                    self._value_ended()
            case "\\":
                self._escape = 5
            case _:
                return self._refuse(end)
        return end + 1

    def _escaped(self, text: str, position: int) -> int:
        char = text[position]
        if self._escape == 5:
            if char not in _ESCAPED:
                return self._refuse(position)
            self._escape = 4 if char == "u" else 0
        elif char in _HEX:
            self._escape -= 1
        else:
            return self._refuse(position)
        return position + 1

    def _more_atom(self, text: str, position: int) -> int:
        following = _ATOMS[self._atom].get(text[position])
        if following is not None:
            self._atom = following
            return position + 1
        if self._atom not in _WHOLE_ATOMS:
            return self._refuse(position)
        self._atom = ""
        self._value_ended()
        return position

    def _value_ended(self) -> None:
        self._expect = _Expect.NEXT
        if not self._closers:
            self.status = Status.DONE

    def _refuse(self, position: int) -> int:
        self.status = Status.BAD
        return position


def is_object(text: str) -> bool:
    """Whether the text is exactly one JSON object, apart from whitespace around it."""
    start = past(text, 0, WHITESPACE)
    if not text.startswith("{", start):
        return False
    scanner = JsonScanner()
    end = scanner.feed(text, start)
    return scanner.status is Status.DONE and past(text, end, WHITESPACE) == len(text)
