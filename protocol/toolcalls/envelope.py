"""The JSON object that is a call, `{"name": …, "arguments": …}`, read as it comes.

It decides two things: which stretches of the arguments may leave (the name is known, was offered, and every
character so far is valid or could be mended), and whether the whole is a call. JSON that breaks is refused at the
character that breaks it; sound JSON that is not a call (no name that was offered, arguments that are no object) is
refused when it ends, so that all of it is at hand then. A name that is missing is looked for at the end.
"""

from __future__ import annotations

import json
from enum import IntEnum, auto

from cortex.protocol.toolcalls.json_stream import JsonScanner, Status, is_object
from cortex.protocol.toolcalls.markers import WHITESPACE
from cortex.protocol.toolcalls.naming import hoisted
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.steps import Repair, Step, repaired

NAMES = frozenset({"name", "tool_name"})
ARGUMENTS = frozenset({"arguments", "parameters"})
KEYS = NAMES | ARGUMENTS | {"type", "id", "tool_call_id"}
"""What a call may hold that no marker announces."""


class _Expect(IntEnum):
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
    """One call's object; see `bodies.Body`."""

    def __init__(self, offer: Offer, *, marked: bool = True, id_key: str = "") -> None:
        """Not `marked`: no marker says that a call begins, so that it must be one from its first key on.

        It is then refused at the first thing that no call has, and a name that is missing is not looked for. The string
        behind `id_key` is the call's id.
        """
        self.status = Status.OPEN
        self.name: str | None = None
        self.begun = False
        self.repairs: list[Repair] = []
        self.id = ""
        self._offer = offer
        self._marked = marked
        self._id_key = id_key
        self._flawed = False
        self._expect = _Expect.OPENING
        self._key = ""
        self._named = False
        self._scanner: JsonScanner | None = None
        self._literal: list[str] = []
        """What is collected of a key, a name or an argument that must be seen whole before it means anything."""
        self._has_arguments = False
        self._streaming = False
        self._identifying = False
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

    def close(self, *, delimited: bool) -> None:
        """Nothing more of it comes. Closers that are missing behind a complete value are added, if that is allowed."""
        if self.status is Status.BAD and not delimited:
            return
        if self._scanner is not None and self._has_arguments and self._key in ARGUMENTS:
            self._scanner.close(delimited=delimited)
            self._collect(self._scanner)
            if self._scanner.status is Status.DONE:
                self._scanner = None
                self._scanned()
        whole = self._scanner is None and self._expect is _Expect.NEXT and self._has_arguments
        if whole and Step.BRACKETS in self._offer.steps:
            self.repairs.append(repaired(Step.BRACKETS, "", "}"))
            self._close()
        elif self.status is Status.OPEN:
            self.status = Status.BAD

    def _structure(self, char: str, position: int) -> int:
        if self._expect is _Expect.VALUE:
            self._begin_value(char)
            return position
        keys = self._expect in {_Expect.FIRST_KEY, _Expect.KEY}
        if keys and (char == '"' or (char == "'" and Step.QUOTES in self._offer.steps)):
            self._expect = _Expect.KEY
            self._scanner = JsonScanner(self._offer.steps)
            return position
        if char == "}" and self._expect is _Expect.KEY and Step.COMMAS in self._offer.steps:
            self.repairs.append(repaired(Step.COMMAS, ",}", "}"))
            self._expect = _Expect.NEXT
        following = _STRUCTURE.get((self._expect, char))
        if following is None:
            self.status = Status.BAD
            return position
        self.begun |= self._marked
        self._expect = following
        if following is _Expect.NOTHING:
            self._close()
        return position + 1

    def _begin_value(self, char: str) -> None:
        self._scanner = JsonScanner(self._offer.steps)
        flawed = False
        if self._key in NAMES:
            flawed = self._named or char not in "\"'"
            self._named = True
        elif self._key in ARGUMENTS:
            flawed = self._has_arguments or char not in "{n\"'N"
            self._has_arguments = True
            self._streaming = char == "{"
        self._identifying = self._key == self._id_key and char == '"'
        if flawed:
            self._flaw()

    def _scan(self, scanner: JsonScanner, text: str, start: int) -> int:
        end = scanner.feed(text, start)
        self._collect(scanner)
        if scanner.status is Status.BAD:
            self.status = Status.BAD
        elif scanner.status is Status.DONE:
            self._scanner = None
            self._scanned()
        return end

    def _collect(self, scanner: JsonScanner) -> None:
        stretch = scanner.take()
        if self._streaming:
            self._release(stretch)
        elif self._expect is _Expect.KEY or self._identifying or self._key in NAMES or self._key in ARGUMENTS:
            self._literal.append(stretch)
        if scanner.status is Status.DONE:
            self.repairs += scanner.repairs

    def _scanned(self) -> None:
        literal = "".join(self._literal)
        self._literal.clear()
        if self._expect is _Expect.KEY:
            self._key = json.loads(literal)
            self._expect = _Expect.COLON
            if not self._marked and self._key not in KEYS:
                self._flaw()
            return
        self._expect = _Expect.NEXT
        if self._streaming:
            self._streaming = False
        elif self._identifying:
            self.id = json.loads(literal)
        elif self._flawed:
            return
        elif self._key in NAMES:
            self._name_is(json.loads(literal))
        elif self._key in ARGUMENTS:
            self._whole_arguments(json.loads(literal))

    def _name_is(self, written: str) -> None:
        name = self._offer.resolve(written)
        if name is None or (name != written and not self._marked):
            self._flaw()
            return
        if name != written:
            self.repairs.append(repaired(Step.NAME, written, name))
        self.name = name
        self.begun = True
        self._ready += self._waiting
        self._waiting.clear()

    def _whole_arguments(self, value: str | None) -> None:
        """Arguments as a JSON string that holds an object; null and the empty string mean that there are none."""
        text = (value or "").strip(WHITESPACE)
        if not text:
            self._release("{}")
        elif Step.STRING in self._offer.steps and (text := self._object_in(text)):
            self.repairs.append(repaired(Step.STRING, json.dumps(value), text))
            self._release(text)
        else:
            self._flaw()

    def _object_in(self, text: str) -> str:
        """The text as one whole object, mended if need be; empty if it is none. What is missing is not added."""
        if is_object(text):
            return text
        scanner = JsonScanner(self._offer.steps)
        end = scanner.feed(text, 0) if text.startswith("{") else 0
        if scanner.status is not Status.DONE or text[end:].strip(WHITESPACE):
            return ""
        self.repairs += scanner.repairs
        return scanner.take()

    def _flaw(self) -> None:
        """It is no call, whatever follows."""
        self._flawed = True
        if not self._marked:
            self.status = Status.BAD

    def _release(self, stretch: str) -> None:
        if self._flawed:
            return
        if self.name is None:
            self._waiting.append(stretch)
        elif stretch:
            self._ready.append(stretch)

    def _close(self) -> None:
        if not self._flawed and not self._named and self._marked and self._has_arguments:
            self._look_for_a_name()
        if self._flawed or self.name is None or not (self._marked or self._has_arguments):
            self.status = Status.BAD
            return
        if not self._has_arguments:
            self._release("{}")
        self.status = Status.DONE

    def _look_for_a_name(self) -> None:
        found = hoisted("".join(self._waiting), self._offer)
        if found is None:
            return
        self.name, arguments, repairs = found
        self.repairs += repairs
        self._waiting.clear()
        self._ready.append(arguments)
