"""The JSON object that is a call, `{"name": …, "arguments": …}`, read as it comes.

It decides two things: which stretches of the arguments may leave (the name is known, was offered, and every
character so far is valid), and whether the whole is a call. JSON that breaks is refused at the character that
breaks it; sound JSON that is not a call (no name, a name not offered, arguments that are no object) is refused
when it ends, so that all of it is at hand then.
"""

from __future__ import annotations

import json
from enum import Enum, auto

from cortex.protocol.toolcalls.json_stream import JsonScanner, Status, is_object
from cortex.protocol.toolcalls.markers import WHITESPACE

ARGUMENTS = frozenset({"arguments", "parameters"})


class _Expect(Enum):
    OPENING = auto()
    FIRST_KEY = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    NEXT = auto()
    NOTHING = auto()


_STRUCTURE: dict[tuple[_Expect, str], _Expect] = {
    (_Expect.OPENING, "{"): _Expect.FIRST_KEY,
    (_Expect.FIRST_KEY, "}"): _Expect.NOTHING,
    (_Expect.COLON, ":"): _Expect.VALUE,
    (_Expect.NEXT, ","): _Expect.KEY,
    (_Expect.NEXT, "}"): _Expect.NOTHING,
}


class Envelope:
    """Feed it until `status` is no longer OPEN, and take what may leave after each feed."""

    def __init__(self, offered: frozenset[str]) -> None:
        self.status = Status.OPEN
        self.name: str | None = None
        """The name, once it is known and was offered."""
        self._offered = offered
        self._flawed = False
        self._expect = _Expect.OPENING
        self._key = ""
        self._scanner: JsonScanner | None = None
        self._literal: list[str] = []
        """What is collected of a key, a name or an argument that must be seen whole before it means anything."""
        self._has_arguments = False
        self._streaming = False
        self._waiting: list[str] = []
        self._ready: list[str] = []

    def feed(self, text: str, start: int) -> int:
        """Consume what belongs to the object; answers the position behind it, or of the character refused."""
        position = start
        while position < len(text) and self.status is Status.OPEN:
            if self._scanner is not None:
                position = self._scan(self._scanner, text, position)
            elif text[position] in WHITESPACE:
                position += 1
            else:
                position = self._structure(text[position], position)
        return position

    def take(self) -> str:
        """The next stretch of the arguments that may leave."""
        stretch = "".join(self._ready)
        self._ready.clear()
        return stretch

    def _structure(self, char: str, position: int) -> int:
        if self._expect is _Expect.VALUE:
            self._begin_value(char)
            return position
        if char == '"' and self._expect in {_Expect.FIRST_KEY, _Expect.KEY}:
            self._expect = _Expect.KEY
            self._scanner = JsonScanner()
            return position
        following = _STRUCTURE.get((self._expect, char))
        if following is None:
            self.status = Status.BAD
            return position
        self._expect = following
        if following is _Expect.NOTHING:
            self._close()
        return position + 1

    def _begin_value(self, char: str) -> None:
        self._scanner = JsonScanner()
        if self._key == "name":
            self._flawed |= self.name is not None or char != '"'
        elif self._key in ARGUMENTS:
            self._flawed |= self._has_arguments or char not in '{"n'
            self._has_arguments = True
            self._streaming = char == "{"

    def _scan(self, scanner: JsonScanner, text: str, start: int) -> int:
        end = scanner.feed(text, start)
        if self._streaming:
            self._release(text[start:end])
        elif self._expect is _Expect.KEY or self._key == "name" or self._key in ARGUMENTS:
            self._literal.append(text[start:end])
        if scanner.status is Status.BAD:
            self.status = Status.BAD
        elif scanner.status is Status.DONE:
            self._scanner = None
            self._scanned()
        return end

    def _scanned(self) -> None:
        literal = "".join(self._literal)
        self._literal.clear()
        if self._expect is _Expect.KEY:
            self._key = json.loads(literal)
            self._expect = _Expect.COLON
            return
        self._expect = _Expect.NEXT
        if self._streaming:
            self._streaming = False
        elif self._flawed:
            return
        elif self._key == "name":
            self._name_is(json.loads(literal))
        elif self._key in ARGUMENTS:
            self._whole_arguments(json.loads(literal))

    def _name_is(self, name: str) -> None:
        if name in self._offered:
            self.name = name
            self._ready += self._waiting
            self._waiting.clear()
        else:
            self._flawed = True

    def _whole_arguments(self, value: str | None) -> None:
        """Arguments as a JSON string that holds an object; null and the empty string mean that there are none."""
        text = (value or "").strip(WHITESPACE) or "{}"
        if is_object(text):
            self._release(text)
        else:
            self._flawed = True

    def _release(self, stretch: str) -> None:
        if self._flawed:
            return
        if self.name is None:
            self._waiting.append(stretch)
        else:
            self._ready.append(stretch)

    def _close(self) -> None:
        if self._flawed or self.name is None:
            self.status = Status.BAD
            return
        if not self._has_arguments:
            self._release("{}")
        self.status = Status.DONE
