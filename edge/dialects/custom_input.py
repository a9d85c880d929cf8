"""The plain text of a custom tool, which the model writes as the only argument of a function. Pure.

The model is offered `{"input": "…"}`, because that is what it has learnt to call; the client is told the text alone,
decoded as it streams. It knows no dialect.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct

INPUT_SCHEMA = (
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],'
    b'"additionalProperties":false}'
)
LONGEST_OPENING = 64
"""Characters before the text; where it has not begun after these, it is looked for when the call has ended."""

_OPENING = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_HEX = "[0-9a-fA-F]"
_HIGH = rf"\\u[dD][89abAB]{_HEX}{{2}}"
_LOW = rf"\\u[dD][c-fC-F]{_HEX}{{2}}"
_SIGNS = re.compile(rf'(?:[^"\\]++|\\[^u]|{_HIGH}{_LOW}|\\u(?![dD][89abAB]){_HEX}{{4}})*+', re.DOTALL)
"""What can be decoded of a string that may go on."""
_BROKEN = re.compile(
    rf"{_HIGH}(?=[^\\]|\\[^u]|\\u(?![dD][c-fC-F]){_HEX}{{4}})|\\u(?={_HEX}{{0,3}}[^0-9a-fA-F])", re.DOTALL
)
"""Half a surrogate pair, or an escape that is none; it stands for one sign that is not known."""
_ESCAPE = re.compile(rf"{_HIGH}{_LOW}|\\u{_HEX}{{4}}|\\.", re.DOTALL)
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNKNOWN = "\ufffd"


class Grammar(Struct, frozen=True):
    """Flat in Responses, in an object of its own in chat."""

    type: str | None = None
    syntax: str | None = None
    definition: str | None = None


def described(description: str, form: Grammar | None) -> str:
    """What the model is told of a custom tool. A grammar is told as well, and nothing here holds the model to it."""
    if form is None or not form.definition:
        return description
    rule = f"The input must follow this {form.syntax or 'lark'} grammar:\n{form.definition}"
    return f"{description}\n\n{rule}" if description else rule


def arguments_of(text: str) -> bytes:
    """The call of a custom tool in the history, as the model wrote it."""
    return msgspec.json.encode({"input": text})


class InputReader:
    """Takes the arguments of one call piece by piece, and gives the text."""

    def __init__(self) -> None:
        self._rest = ""
        """What is not decoded yet."""
        self._whole: list[str] = []
        """All of it, until the text begins."""
        self._length = 0
        self._state = "before"

    def take(self, piece: str) -> str:
        """More of the arguments; returns what is known of the text by now and was not before."""
        if self._state == "after":
            return ""
        if self._state == "within":
            return self._decode(piece)
        self._whole.append(piece)
        self._length += len(piece)
        if self._length - len(piece) > LONGEST_OPENING:
            return ""
        found = _OPENING.match(text := "".join(self._whole))
        if found is None:
            return ""
        self._state = "within"
        return self._decode(text[found.end() :])

    def end(self) -> str:
        """Nothing more will come; returns the text where it was none that could be read before."""
        state, self._state = self._state, "after"
        if state == "before":
            return _anyhow("".join(self._whole))
        return ""

    def _decode(self, piece: str) -> str:
        text, said = self._rest + piece, ""
        while True:
            found = _SIGNS.match(text)
            assert found is not None  # it matches nothing too
            said += _ESCAPE.sub(_sign, found[0])
            text = text[found.end() :]
            broken = _BROKEN.match(text)
            if broken is None:
                break
            said += _UNKNOWN
            text = text[broken.end() :]
        if text.startswith('"'):
            self._state = "after"
            text = ""
        self._rest = text
        return said


def _sign(found: re.Match[str]) -> str:
    """One escape as the character that it stands for."""
    escape = found[0]
    if len(escape) == 12:
        high, low = int(escape[2:6], 16), int(escape[8:12], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    if len(escape) == 6:
        number = int(escape[2:6], 16)
        return _UNKNOWN if 0xD800 <= number < 0xE000 else chr(number)
    return _SHORT.get(escape[1], escape[1])


def _anyhow(text: str) -> str:
    """The text of arguments that do not begin as they should: its field, the only one, or all of it as it was written."""
    try:
        found = msgspec.json.decode(text, type=dict[str, Raw])
        if not found:
            return ""
        value = found.get("input", next(iter(found.values())) if len(found) == 1 else Raw(b"null"))
        return msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, RecursionError):
        return text
