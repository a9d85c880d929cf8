"""A call written as Python: `name(key=literal, …)`.

Where it ends is a matter of depth outside strings, so that text may come in any chunks. Each argument is read when
it ends, by its literals (`python_text`), and all of them leave together, at the end. What a string holds is put into
the argument's text as both Python and JSON write it, so that nothing of it can be taken for anything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from cortex.protocol.toolcalls.bodies import LONGEST_HEAD
from cortex.protocol.toolcalls.json_stream import Status
from cortex.protocol.toolcalls.markers import WHITESPACE, past
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.python_text import literal, unescaped, written
from cortex.protocol.toolcalls.schemas import LITERALS
from cortex.protocol.toolcalls.steps import Repair, Step, repaired

LONGEST = 1_000_000
"""Characters of one call, all of which are held until its end."""
DEPTH = 64
"""Of brackets within brackets."""

_NAME = re.compile(r"[\w.:/-]*")
_PLAIN = re.compile(r"[\w \t\r\n.+=:-]*")
"""What may stand outside strings, apart from brackets, commas and quotes."""
_INSIDE = re.compile(r"""[^"'\\\x00\r\n]*""")
_PREFIX = re.compile(r"\w*\Z")
_KEYWORD = re.compile(r"\s*([^\W\d][\w-]*)\s*=(?!=)")
_LAST_WORD = re.compile(r"[\w.]+\Z")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


class PythonString:
    """The string literal under way, from behind its opening quote."""

    def __init__(self, quote: str, prefix: str, steps: frozenset[Step]) -> None:
        self._quote = quote
        self._raw = prefix == "r"
        self._steps = steps
        self._quotes = 1
        """Quotes in a row so far, at its beginning or, in one of three quotes, at its end."""
        self._beginning = True
        self._triple = False
        self._escaping = False
        self._parts: list[str] = []
        self._lines = ""
        """The first line break, or other character, that must not stand in it as it is."""

    def feed(self, text: str, start: int) -> tuple[int, bool]:
        """Read on; answers where it stopped, and whether it has ended there."""
        position = start
        while position < len(text):
            char = text[position]
            if self._beginning:
                if char == self._quote and self._quotes < 3:
                    self._quotes += 1
                    position += 1
                    continue
                self._beginning = False
                self._triple = self._quotes == 3
                if self._quotes == 2:
                    return position, True
                self._quotes = 0
            if self._escaping:
                self._escaping = False
                self._parts.append(char)
                position += 1
                continue
            if char == self._quote:
                self._quotes += 1
                position += 1
                if not self._triple or self._quotes == 3:
                    return position, True
                continue
            self._parts.append(self._quote * self._quotes)
            self._quotes = 0
            end = _INSIDE.match(text, position).end()  # type: ignore[union-attr]  # it matches the empty string too
            if end == position:
                self._escaping = char == "\\"
                if char in "\x00\r\n" and not self._triple:
                    self._lines = self._lines or char
                end += 1
            self._parts.append(text[position:end])
            position = end
        return position, False

    def value(self, repairs: list[Repair]) -> str:
        """What it means; ValueError if it means nothing."""
        text = "".join(self._parts)
        if self._lines:
            if Step.CONTROLS not in self._steps:
                raise ValueError("a line break in a string")
            repairs.append(repaired(Step.CONTROLS, self._lines, json.dumps(self._lines)[1:-1]))
        return text if self._raw else unescaped(text, self._steps, repairs)

    @property
    def is_empty(self) -> bool:
        """Whether two quotes have been read, of which nobody knows yet whether they are a string or begin one."""
        return self._beginning and self._quotes == 2


class PythonCall:
    """One call; see `bodies.Body`."""

    def __init__(self, offer: Offer, *, marked: bool = True, alone: bool = False, method: str = "") -> None:
        """Not `marked`: only the exact name of a tool begins one. `alone`: on its line nothing may follow it.

        `method` may stand behind the name, as that of what is called.
        """
        self.status = Status.OPEN
        self.name: str | None = None
        self.begun = False
        self.repairs: list[Repair] = []
        self._offer = offer
        self._marked = marked
        self._alone = alone
        self._method = method
        self._written = ""
        self._size = 0
        self._closers: list[str] = []
        self._string: PythonString | None = None
        self._source: list[str] = []
        """The argument under way, without the meaning of its strings."""
        self._last = ""
        """The end of what was read of it outside strings."""
        self._arguments: dict[str, Any] = {}
        self._given = 0
        self._whole = ""
        """All arguments, once the call has ended."""
        self._ready = ""
        self._wrong = False

    def feed(self, text: str, start: int) -> int:
        """Consume what belongs to the call; answers the position behind it, or of the character refused."""
        room = LONGEST - self._size
        longer = len(text) - start > room
        if longer:
            text = text[: start + room]
        position = start
        while position < len(text) and self.status is Status.OPEN:
            if self._string is not None:
                position = self._in_string(self._string, text, position)
            elif self._whole:
                position = self._behind(text, position)
            elif self._closers:
                position = self._in_argument(text, position)
            else:
                position = self._head(text, position)
        self._size += position - start
        if longer and self.status is Status.OPEN:
            self._wrongly(position)
        return position

    def take(self) -> str:
        """The arguments, once the call has ended."""
        ready, self._ready = self._ready, ""
        return ready

    def close(self, *, delimited: bool) -> None:
        """Nothing more of it comes. Brackets that are missing behind a complete value are added, if that is allowed."""
        if self.status is Status.BAD and (self._wrong or not delimited):
            return
        if self._whole:
            self._done()
            return
        if self._string is not None and self._string.is_empty:
            self._end_string(self._string)
        word = _LAST_WORD.search(self._last.rstrip(WHITESPACE))
        complete = self._last.rstrip(WHITESPACE).endswith(("'", '"', ")", "]", "}"))
        complete = complete or (word is not None and (delimited or word[0] in LITERALS))
        if (
            not (self._closers and complete and self._string is None)
            or Step.BRACKETS not in self._offer.steps
        ):
            self._refuse()
            return
        missing = "".join(reversed(self._closers))
        self._source.append(missing[:-1])
        self._closers.clear()
        if self._argument():
            self.repairs.append(repaired(Step.BRACKETS, "", missing))
            self._ended()
            self._done()

    # ── its head ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _head(self, text: str, start: int) -> int:
        position = past(text, start, WHITESPACE) if not self._written else start
        end = _NAME.match(text, position).end()  # type: ignore[union-attr]  # it matches the empty string too
        self._written += text[position : min(end, position + LONGEST_HEAD)]
        if not self._marked and not any(name.startswith(self._written) for name in self._offer.names):
            return self._refuse(end)
        if len(self._written) > LONGEST_HEAD:
            return self._refuse(end)
        if end == len(text):
            return end
        if text[end] != "(" or not self._named():
            return self._refuse(end)
        self._closers.append(")")
        return end + 1

    def _named(self) -> bool:
        written = self._written
        if self._method and written not in self._offer.names:
            written = written.removesuffix(self._method)
        self.name = self._offer.resolve(written) if self._marked or written in self._offer.names else None
        self.begun = self.name is not None or (self._marked and bool(written))
        if self.name is not None and self.name != written:
            self.repairs.append(repaired(Step.NAME, written, self.name))
        return self.name is not None

    # ── its arguments ────────────────────────────────────────────────────────────────────────────────────────────

    def _in_argument(self, text: str, start: int) -> int:
        end = _PLAIN.match(text, start).end()  # type: ignore[union-attr]  # it matches the empty string too
        self._read(text[start:end])
        if end == len(text):
            return end
        char = text[end]
        if char in "\"'":
            return self._begin_string(char, end)
        if char in _CLOSERS:
            if len(self._closers) == DEPTH:
                return self._wrongly(end)
            self._closers.append(_CLOSERS[char])
        elif char == self._closers[-1]:
            if len(self._closers) == 1:
                if not self._argument():
                    return end
                self._closers.clear()
                self._ended()
                if not self._alone:
                    self._done()
                return end + 1
            self._closers.pop()
        elif char == "," and len(self._closers) == 1:
            if not self._blank() and self._argument():
                return end + 1
            return self._wrongly(end)
        elif char != ",":
            return self._refuse(end)
        self._read(char)
        return end + 1

    def _read(self, text: str) -> None:
        if text:
            self._source.append(text)
            self._last = (self._last + text[-LONGEST_HEAD:])[-LONGEST_HEAD:]

    def _begin_string(self, quote: str, position: int) -> int:
        prefix = _PREFIX.search(self._last)[0].lower()  # type: ignore[index]  # it matches the empty string too
        if prefix not in {"", "r", "u"}:
            return self._wrongly(position)
        self._string = PythonString(quote, prefix, self._offer.steps)
        if prefix:
            self._source[-1] = self._source[-1][:-1]
        return position + 1

    def _in_string(self, string: PythonString, text: str, start: int) -> int:
        end, ended = string.feed(text, start)
        if ended:
            self._end_string(string)
        return end

    def _end_string(self, string: PythonString) -> None:
        self._string = None
        try:
            self._source.append(written(string.value(self.repairs)))
        except ValueError:
            self._wrongly(0)
        self._last = '"'

    def _blank(self) -> bool:
        return not any(part.strip(WHITESPACE) for part in self._source)

    def _argument(self) -> bool:
        """An argument has ended: whether it is one. One dict without a keyword stands for all arguments."""
        if self._blank():
            return True
        source = "".join(self._source)
        self._source.clear()
        self._last = ""
        keyword = _KEYWORD.match(source)
        try:
            value = literal(source[keyword.end() :] if keyword else source)
        except ValueError:
            self._wrongly(0)
            return False
        if keyword is not None and keyword[1] not in self._arguments:
            self._arguments[keyword[1]] = value
        elif keyword is None and not self._given and isinstance(value, dict):
            self._arguments = value
        else:
            self._wrongly(0)
        self._given += 1
        return not self._wrong

    # ── its end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _ended(self) -> None:
        try:
            self._whole = _encode(self._arguments)
        except ValueError:
            self._wrongly(0)

    def _behind(self, text: str, start: int) -> int:
        end = past(text, start, " \t")
        if end < len(text):
            if text[end] in ",;\r\n<":
                self._done()
            else:
                self._refuse()
        return end

    def _done(self) -> None:
        if not self._wrong:
            self._ready = self._whole
            self.status = Status.DONE

    def _refuse(self, position: int = 0) -> int:
        self.status = Status.BAD
        return position

    def _wrongly(self, position: int) -> int:
        """What was read makes no call, whatever follows."""
        self._wrong = True
        return self._refuse(position)


def python_call(
    *, marked: bool = True, alone: bool = False, method: str = ""
) -> Callable[[Offer], PythonCall]:
    """A maker of calls of one kind, for a family's table."""
    return lambda offer: PythonCall(offer, marked=marked, alone=alone, method=method)
