"""A JSON scanner for one value that comes in chunks: where does it end, and what of it may leave?

It builds no values. It refuses the first character after which no continuation could be valid JSON (RFC 8259), so
whatever it gives out may leave at once. Where an array or object ends is a matter of depth outside strings.

Some of what models get wrong is mended on the way, if that is allowed (`steps`): what is given out is valid then, though
what was read is not. Nothing is guessed: a string, number or word that was cut is never completed.
"""

from __future__ import annotations

import re
from enum import IntEnum, auto

from cortex.protocol.toolcalls.markers import WHITESPACE, past
from cortex.protocol.toolcalls.steps import Repair, Step, repaired

MAX_DEPTH = 256
"""Deeper values are refused: the readers of most languages recurse."""
NOTED = 16
"""Repairs of one value that are told of."""


class Status(IntEnum):
    OPEN = auto()
    DONE = auto()
    BAD = auto()


class _Expect(IntEnum):
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
_WHOLE_WORDS = frozenset({"true", "false", "null"})
_WHOLE_ATOMS = _WHOLE_WORDS | {"0", "1", "1.1", "1e1"}

_VALUE_START = '"{[' + "".join(_ATOMS[""])
_ALLOWED: dict[_Expect, str] = {
    _Expect.VALUE: _VALUE_START,
    _Expect.FIRST_VALUE: _VALUE_START + "]",
    _Expect.KEY: '"',
    _Expect.FIRST_KEY: '"}',
    _Expect.COLON: ":",
    _Expect.NEXT: ",]}",
}

_PLAIN = re.compile(r"""[^"'\\\x00-\x1f\ud800-\udfff]*""")  # half a surrogate pair cannot be sent
_ESCAPED = frozenset('"\\/bfnrtu')
_HEX = frozenset("0123456789abcdefABCDEF")
_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_WORDS = {"True": "true", "False": "false", "None": "null"}
_NOTHING: frozenset[Step] = frozenset()


class JsonScanner:
    """Feed it until `status` is no longer OPEN. A bare number or word is DONE only when something follows it."""

    __slots__ = (
        "_atom", "_closers", "_comma", "_escape", "_expect", "_from", "_out", "_quote", "_steps", "_word", "repairs",
        "status",
    )  # fmt: skip

    def __init__(self, steps: frozenset[Step] = _NOTHING) -> None:
        self.status = Status.OPEN
        self.repairs: list[Repair] = []
        self._steps = steps
        self._expect = _Expect.VALUE
        self._closers: list[str] = []
        self._atom = ""
        self._word = ""
        """The word that is being read as Python writes it."""
        self._quote = ""
        """What closes the string that is open."""
        self._escape = 0
        """Characters of an escape that are still to come; 5 right after the backslash, before its kind is known."""
        self._comma: list[str] | None = None
        """A comma, and the whitespace behind it, that leave when something follows which is no closer."""
        self._from = 0
        """Where in the text at hand begins what is to be given out as it is."""
        self._out: list[str] = []

    def feed(self, text: str, start: int) -> int:
        """Consume what belongs to the value; answers the position behind it, or of the character refused."""
        position = self._from = start
        while position < len(text) and self.status is Status.OPEN:
            if self._escape:
                position = self._escaped(text, position)
            elif self._quote:
                position = self._string(text, position)
            elif self._word:
                position = self._more_word(text, position)
            elif self._atom:
                position = self._more_atom(text, position)
            else:
                position = self._structure(text, position)
        if self._comma is not None:
            self._comma.append(text[self._from : position])
        elif self._from < position:
            self._out.append(text[self._from : position])
        return position

    def take(self) -> str:
        """What has been given out since the last time: valid JSON so far."""
        out = self._out[0] if len(self._out) == 1 else "".join(self._out)
        self._out.clear()
        return out

    def close(self, *, delimited: bool) -> None:
        """Nothing follows: it is whole, or is made so by the closers that are missing behind a complete value.

        A number is complete only if it is `delimited`, by something that was no part of it, and was refused maybe.
        """
        if self._atom in (_WHOLE_ATOMS if delimited else _WHOLE_WORDS) and not self._word:
            self._atom = ""
            self._value_ended()
        complete = self.status is not Status.DONE and self._expect is _Expect.NEXT
        if complete and self._comma is None and not (self._atom or self._word or self._quote):
            if Step.BRACKETS not in self._steps:
                self.status = Status.BAD
                return
            closers = "".join(reversed(self._closers))
            self._note(Step.BRACKETS, "", closers)
            self._out.append(closers)
            self.status = Status.DONE
        elif self.status is Status.OPEN:
            self.status = Status.BAD

    def _structure(self, text: str, start: int) -> int:
        position = past(text, start, WHITESPACE)
        char = text[position : position + 1]
        if not char:
            return position
        if self._comma is not None:
            self._after_comma(text, position)
        if char not in _ALLOWED[self._expect]:
            return self._mend(text, position)
        match char:
            case '"':
                self._quote = char
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
                if Step.COMMAS in self._steps:
                    self._replace(text, position, "", size=0)
                    self._comma = []
            case _:
                self._atom = _ATOMS[""][char]
        return position + 1

    def _after_comma(self, text: str, position: int) -> None:
        """A comma is followed by something: by a closer, before which it is dropped, or it leaves."""
        assert self._comma is not None
        kept = "".join(self._comma) + text[self._from : position]
        self._comma = None
        self._from = position
        if text[position] == self._closers[-1]:
            self._note(Step.COMMAS, kept + text[position], text[position])
            kept = kept[1:]
            self._expect = _Expect.NEXT
        if kept:
            self._out.append(kept)

    def _mend(self, text: str, position: int) -> int:
        """A character that JSON does not have here."""
        char = text[position]
        if char == "'" and '"' in _ALLOWED[self._expect] and Step.QUOTES in self._steps:
            self._note(Step.QUOTES, char, '"')
            self._quote = char
            return self._replace(text, position, '"')
        if char in "TFN" and "t" in _ALLOWED[self._expect] and Step.WORDS in self._steps:
            self._replace(text, position, "", size=0)
            return self._more_word(text, position)
        return self._refuse(position)

    def _replace(self, text: str, position: int, by: str, *, size: int = 1) -> int:
        """Give out what is before, and this in place of the next characters; answers where reading goes on."""
        if self._from < position:
            self._out.append(text[self._from : position])
        if by:
            self._out.append(by)
        self._from = position + size
        return self._from

    def _string(self, text: str, position: int) -> int:
        end = _PLAIN.match(text, position).end()  # type: ignore[union-attr]  # it matches the empty string too
        if end == len(text):
            return end
        char = text[end]
        if char == self._quote:
            self._quote = ""
            if self._expect in {_Expect.KEY, _Expect.FIRST_KEY}:
                self._expect = _Expect.COLON
            else:
                self._value_ended()
            return self._replace(text, end, '"') if char == "'" else end + 1
        if char == "\\":
            self._escape = 5
            # What follows may show that it begins no escape, so it does not leave alone.
            return self._replace(text, end, "")
        if char == "'":
            return end + 1
        if char == '"':
            return self._replace(text, end, '\\"')
        if char < " " and Step.CONTROLS in self._steps:
            escape = _CONTROLS.get(char) or f"\\u{ord(char):04x}"
            self._note(Step.CONTROLS, char, escape)
            return self._replace(text, end, escape)
        return self._refuse(end)

    def _escaped(self, text: str, position: int) -> int:
        char = text[position]
        if self._escape < 5:
            if char not in _HEX:
                return self._refuse(position)
            self._escape -= 1
            return position + 1
        if char in _ESCAPED:
            self._escape = 4 if char == "u" else 0
            self._out.append("\\")
            return position + 1
        if char == "'" and self._quote == "'":
            self._escape = 0
            return position + 1
        if Step.ESCAPES not in self._steps or char < " " or "\ud800" <= char <= "\udfff":
            return self._refuse(position)
        self._escape = 0
        meant = "" if char == "'" else "\\\\"  # an apostrophe needs no escape, and is meant alone
        self._note(Step.ESCAPES, "\\" + char, meant + char)
        self._out.append(meant)
        return position

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

    def _more_word(self, text: str, position: int) -> int:
        """The next character of True, False or None, of which nothing leaves before it is whole."""
        word = self._word + text[position]
        if not any(whole.startswith(word) for whole in _WORDS):
            return self._refuse(position)
        self._word = word
        self._from = position + 1
        if word in _WORDS:
            self._word = ""
            self._atom = _WORDS[word]
            self._note(Step.WORDS, word, _WORDS[word])
            self._out.append(_WORDS[word])
        return position + 1

    def _value_ended(self) -> None:
        self._expect = _Expect.NEXT
        if not self._closers:
            self.status = Status.DONE

    def _refuse(self, position: int) -> int:
        self.status = Status.BAD
        return position

    def _note(self, step: Step, before: str, after: str) -> None:
        if len(self.repairs) < NOTED:
            self.repairs.append(repaired(step, before, after))


def is_object(text: str) -> bool:
    """Whether the text is exactly one JSON object, apart from whitespace around it."""
    start = past(text, 0, WHITESPACE)
    if not text.startswith("{", start):
        return False
    scanner = JsonScanner()
    end = scanner.feed(text, start)
    return scanner.status is Status.DONE and past(text, end, WHITESPACE) == len(text)
