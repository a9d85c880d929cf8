"""A call as Gemma writes it: `call:name{key:<|"|>text<|"|>,count:1}`, with bare keys and strings that know no escapes.

It becomes JSON as it is read: every stretch that leaves is a part of one JSON object. Strings between `<|"|>` (or
`<escape>`, as FunctionGemma has it) leave as they come. What models get wrong is read too: strings in plain quotes,
strings that lack their opening delimiter, `name(key=value)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import IntEnum, auto
from json.encoder import encode_basestring

from cortex.protocol.toolcalls.bodies import LONGEST_HEAD
from cortex.protocol.toolcalls.json_stream import MAX_DEPTH, JsonScanner, Status
from cortex.protocol.toolcalls.markers import WHITESPACE, could_be
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.schemas import LITERALS
from cortex.protocol.toolcalls.steps import Repair, Step, repaired

QUOTES = ('<|"|>', "<escape>")
ENDS = ("<tool_call|>", "<|tool_call>", "<|tool_response>", "<end_function_call>", "<start_function_call>")
CALL = "call:"

_HEAD = re.compile(r"[\w.:/ -]*")
_KEY = re.compile(r"[\w.$-]*")
_BARE = re.compile(r"""[^,}\])<]*""")
_TEXT = re.compile(r"[^<\ud800-\udfff]*")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CLOSERS = {"{": "}", "[": "]", "(": ")"}
_LONGEST_NUMBER = 400


class _State(IntEnum):
    HEAD = auto()
    KEY = auto()
    """A key or a closer, right behind an opener or a comma."""
    IN_KEY = auto()
    COLON = auto()
    VALUE = auto()
    """A value, or a closer of an array."""
    BARE = auto()
    """Inside a value that no delimiter began: a number, a word, or a string without its opening delimiter."""
    STRING = auto()
    NEXT = auto()


class GemmaCall:
    """One call; see `bodies.Body`."""

    def __init__(self, offer: Offer, *, marked: bool = True) -> None:
        """Not `marked`: only `call:` and the exact name of a tool begin one."""
        self.status = Status.OPEN
        self.name: str | None = None
        self.begun = False
        self.repairs: list[Repair] = []
        self._offer = offer
        self._marked = marked
        self._state = _State.HEAD
        self._written = ""
        self._closers: list[str] = []
        self._comma = False
        """Whether a comma leaves before the next key or value."""
        self._closing = ""
        """What closes the string under way."""
        self._is_key = False
        """Whether that string is a key."""
        self._scanner: JsonScanner | None = None
        self._bare: list[str] = []
        self._lost = False
        """Whether the bare value cannot be a number or a word."""
        self._ready: list[str] = []
        self._waits = False
        """Whether what follows may begin a marker of which more must be seen."""

    def feed(self, text: str, start: int) -> int:
        """Consume what belongs to the call; answers the position behind it, or of the character refused."""
        position = start
        self._waits = False
        while position < len(text) and self.status is Status.OPEN and not self._waits:
            if self._scanner is not None:
                position = self._quoted(self._scanner, text, position)
            elif self._state is _State.STRING:
                position = self._string(text, position)
            elif self._state is _State.BARE:
                position = self._in_bare(text, position)
            elif self._state is _State.HEAD:
                position = self._head(text, position)
            elif self._state is _State.IN_KEY:
                position = self._in_key(text, position)
            elif text[position] in WHITESPACE:
                position += 1
            else:
                position = self._structure(text, position)
        return position

    def take(self) -> str:
        """The next stretch of the arguments that may leave."""
        ready = "".join(self._ready)
        self._ready.clear()
        return ready

    def close(self, *, delimited: bool) -> None:
        """Nothing more of it comes. Closers that are missing behind a complete value are added, if that is allowed."""
        if self.status is Status.BAD and not delimited:
            return
        if self._state is _State.HEAD and self._marked and self._named():
            self._ready.append("{}")
            self.status = Status.DONE
            return
        if self._state is _State.BARE and not self._lost:
            self._end_bare(delimited=delimited)
        if self._state is _State.NEXT and self._closers and Step.BRACKETS in self._offer.steps:
            self.repairs.append(repaired(Step.BRACKETS, "", "".join(reversed(self._closers))))
            while self._closers:
                self._pop()
        if self.status is not Status.DONE:
            self.status = Status.BAD

    # ── its head ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _head(self, text: str, start: int) -> int:
        end = _HEAD.match(text, start).end()  # type: ignore[union-attr]  # it matches the empty string too
        if end == start and not self._written and text[start] in WHITESPACE:
            return start + 1
        self._written += text[start : min(end, start + LONGEST_HEAD)]
        possible = self._marked or any((CALL + name).startswith(self._written) for name in self._offer.names)
        if len(self._written) > LONGEST_HEAD or not possible:
            return self._refuse(end)
        if end == len(text):
            return end
        if text[end] not in "{(" or not self._named():
            return self._refuse(end)
        self._push(text[end], "{")
        return end + 1

    def _named(self) -> bool:
        written = self._written.strip()
        if not self._marked and written.removeprefix(CALL) not in self._offer.names:
            return False
        written = written.removeprefix(CALL).lstrip(":- ")
        self.name = self._offer.resolve(written)
        self.begun = bool(written)
        if self.name is not None and self.name != written:
            self.repairs.append(repaired(Step.NAME, written, self.name))
        return self.name is not None

    # ── keys, values and what is between them ────────────────────────────────────────────────────────────────────

    def _structure(self, text: str, position: int) -> int:
        char = text[position]
        match self._state:
            case _State.NEXT if char == ",":
                self._comma = True
                self._state = _State.VALUE if self._closers[-1] == "]" else _State.KEY
            case _State.NEXT | _State.KEY | _State.VALUE if char == self._closers[-1]:
                return self._close_one(position)
            case _State.COLON if char in ":=":
                self._ready.append(":")
                self._state = _State.VALUE
            case _State.KEY | _State.VALUE if char == "<":
                return self._open_string(text, position)
            case _State.KEY | _State.VALUE if char in "\"'":
                self._lead()
                self._scanner = JsonScanner(self._offer.steps)
                return position
            case _State.KEY if _KEY.match(char).end():  # type: ignore[union-attr]  # it matches the empty string too
                self._state = _State.IN_KEY
                return position
            case _State.VALUE if char in "{[":
                if len(self._closers) == MAX_DEPTH:
                    return self._refuse(position)
                self._lead()
                self._push(char, char)
            case _State.VALUE if char not in ",}])(:=":
                self._lost = False
                self._state = _State.BARE
                return position
            case _:
                return self._refuse(position)
        return position + 1

    def _close_one(self, position: int) -> int:
        """A closer: right behind a comma, where JSON has none, or behind an opener or a value."""
        if self._state is _State.VALUE and self._closers[-1] != "]":
            return self._refuse(position)
        if self._comma:
            if Step.COMMAS not in self._offer.steps:
                return self._refuse(position)
            self.repairs.append(repaired(Step.COMMAS, "," + self._closers[-1], self._closers[-1]))
            self._comma = False
        self._pop()
        return position + 1

    def _push(self, char: str, meant: str) -> None:
        self._closers.append(_CLOSERS[char])
        self._ready.append(meant)
        self._state = _State.VALUE if meant == "[" else _State.KEY

    def _pop(self) -> None:
        closer = self._closers.pop()
        self._ready.append("]" if closer == "]" else "}")
        self._state = _State.NEXT
        if not self._closers:
            self.status = Status.DONE

    def _lead(self) -> None:
        if self._comma:
            self._ready.append(",")
            self._comma = False

    def _in_key(self, text: str, start: int) -> int:
        end = _KEY.match(text, start).end()  # type: ignore[union-attr]  # it matches the empty string too
        self._bare.append(text[start:end])
        if end < len(text):
            self._lead()
            self._ready.append(json.dumps("".join(self._bare), ensure_ascii=False))
            self._bare.clear()
            self._state = _State.COLON
        return end

    def _after(self) -> None:
        """A key or a value has ended."""
        self._state = _State.COLON if self._state is _State.KEY else _State.NEXT

    # ── strings ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _quoted(self, scanner: JsonScanner, text: str, position: int) -> int:
        """A string in plain quotes."""
        end = scanner.feed(text, position)
        self._ready.append(scanner.take())
        if scanner.status is Status.DONE:
            self.repairs += scanner.repairs
            self._scanner = None
            self._after()
        elif scanner.status is Status.BAD:
            return self._refuse(end)
        return end

    def _open_string(self, text: str, position: int) -> int:
        """What must be the opening delimiter of a string."""
        closing = next((quote for quote in QUOTES if text.startswith(quote, position)), None)
        if closing is None:
            self._waits = could_be(QUOTES, text, position)
            return position if self._waits else self._refuse(position)
        self._closing = closing
        self._lead()
        self._ready.append('"')
        self._is_key = self._state is _State.KEY
        self._state = _State.STRING
        return position + len(closing)

    def _string(self, text: str, start: int) -> int:
        end = _TEXT.match(text, start).end()  # type: ignore[union-attr]  # it matches the empty string too
        if text.startswith(self._closing, end):
            self._ready.append(_escaped(text[start:end]) + '"')
            self._state = _State.COLON if self._is_key else _State.NEXT
            return end + len(self._closing)
        self._waits = end < len(text) and could_be((self._closing,), text, end)
        if end < len(text) and not self._waits:
            if text[end] != "<":
                return self._refuse(end)
            end += 1
        self._ready.append(_escaped(text[start:end]))
        return end

    # ── values without an opening delimiter ──────────────────────────────────────────────────────────────────────

    def _in_bare(self, text: str, start: int) -> int:
        """A number or word ends at a comma or closer; a string that lacks its opening delimiter at its closing one."""
        end = (_TEXT if self._lost else _BARE).match(text, start).end()  # type: ignore[union-attr]
        self._bare.append(text[start:end])
        if end == len(text):
            return end
        for quote in QUOTES:
            if text.startswith(quote, end):
                return self._end_lost(end + len(quote))
        self._waits = could_be((*QUOTES, *ENDS), text, end)
        if self._waits:
            return end
        if not self._lost and self._end_bare(delimited=True):
            return end
        if Step.QUOTES not in self._offer.steps or text.startswith(ENDS, end) or _SURROGATE.match(text, end):
            return self._refuse(end)
        self._lost = True
        self._bare.append(text[end])
        return end + 1

    def _end_bare(self, *, delimited: bool) -> bool:
        word = "".join(self._bare).strip(WHITESPACE)
        if word in LITERALS:
            meant = json.dumps(LITERALS[word])
            if meant != word:
                self.repairs.append(repaired(Step.WORDS, word, meant))
        elif delimited and len(word) <= _LONGEST_NUMBER and _NUMBER.fullmatch(word):
            meant = word
        else:
            return False
        self._bare.clear()
        self._lead()
        self._ready.append(meant)
        self._state = _State.NEXT
        return True

    def _end_lost(self, position: int) -> int:
        text = "".join(self._bare)
        if Step.QUOTES not in self._offer.steps or _SURROGATE.search(text):
            return self._refuse(position)
        self._bare.clear()
        self._lead()
        meant = json.dumps(text, ensure_ascii=False)
        self.repairs.append(repaired(Step.QUOTES, text, meant))
        self._ready.append(meant)
        self._state = _State.NEXT
        return position

    def _refuse(self, position: int) -> int:
        self.status = Status.BAD
        return position


def _escaped(text: str) -> str:
    """Text as it stands inside a JSON string."""
    return encode_basestring(text)[1:-1] if text else ""


def gemma_call(*, marked: bool = True) -> Callable[[Offer], GemmaCall]:
    """A maker of calls of one kind, for a family's table."""
    return lambda offer: GemmaCall(offer, marked=marked)
