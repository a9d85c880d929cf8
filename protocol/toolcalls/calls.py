"""The calls of one choice, one after the other: what of each may leave, whether it counts, and where it ends.

It is told where a call begins and answers how it goes on (`Outcome`); what becomes of text outside calls is not its
concern.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, auto

from cortex.protocol.deltas import Piece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.toolcalls.bodies import Body
from cortex.protocol.toolcalls.family import FENCE, Form
from cortex.protocol.toolcalls.json_stream import Status
from cortex.protocol.toolcalls.markers import WHITESPACE, Markers, could_be, past
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.schemas import parsed
from cortex.protocol.toolcalls.steps import Malformed, Note, Step, repaired

EXTRA = re.compile(r"}{1,8}[ \t\r\n]{0,32}")
"""Closers too many behind a call."""


class Outcome(IntEnum):
    """How a call stands after what was read of it."""

    OPEN = auto()
    UNDECIDED = auto()
    """The rest of the text may be the beginning of a marker: it is to be shown again, with more behind it."""
    DONE = auto()
    REFUSED = auto()
    """It is none: `refused` is its text."""
    BROKEN = auto()
    """It breaks after a part of it has left."""


@dataclass
class Call:
    """The call under way."""

    form: Form
    body: Body
    drafted: bool
    """Whether it stands inside reasoning."""
    whole: bool
    """Whether it leaves in one piece, at its end."""
    raw: list[str]
    """All of it as it came, while nothing of it has left."""
    pending: list[str] = field(default_factory=list)
    """Arguments that have not left."""
    left: bool = False
    closers: list[str] = field(default_factory=list)
    """Those that have been read behind it."""
    follows: bool = False
    """Whether a separator led to it."""


class Calls:
    """Those of one choice; `index` counts them."""

    def __init__(
        self, offer: Offer, call_id: Callable[[int], str], shape_id: Callable[[str], str] | None = None
    ) -> None:
        self.index = 0
        self.notes: list[Note] = []
        self.refused = ""
        self._offer = offer
        self._call_id = call_id
        self._shape_id = shape_id
        self._ids: set[str] = set()
        self._call: Call | None = None
        self._early: Counter[tuple[str, str]] = Counter()
        """Calls made inside reasoning that have not come again behind it."""
        self._made: set[tuple[str, str]] = set()
        """Calls of which an echo may follow."""

    @property
    def call(self) -> Call:
        """The one under way."""
        assert self._call is not None, "no call is under way"
        return self._call

    def begin(self, form: Form, raw: list[str], opener: str = "", *, drafted: bool = False) -> None:
        """A call begins; `raw` is what has been read of it, with what leads up to it."""
        body = form.body(self._offer)
        if form.inclusive:
            body.feed(opener, 0)
        self._call = Call(form, body, drafted, form.wary or form.echoed or drafted or bool(self._early), raw)

    def read(
        self,
        text: str,
        position: int,
        out: list[Piece],
        limit: Markers | None,
        end_of_draft: tuple[str, ...] = (),
    ) -> tuple[Outcome, int]:
        """Read on; answers where it stopped. A draft goes no further than `limit`, its reasoning's end or the next one."""
        call, body = self.call, self.call.body
        limited = False
        if limit is None:
            end = body.feed(text, position)
        else:
            stop, _, marker = limit.find(text, position)
            limited = bool(marker)
            end = position + body.feed(text[position:stop], 0)
        self._collect(text[position:end], out)
        unread = body.status is Status.OPEN and end < len(text)
        if unread and not limited:
            return Outcome.UNDECIDED, end
        if unread or body.status is Status.BAD:
            delimiters = (*call.form.delimiters, *end_of_draft)
            if call.follows and not body.begun and text.startswith(call.form.closes, end) and self._commas():
                return Outcome.DONE, end
            if unread or text.startswith(delimiters, end):
                body.close(delimited=True)
                self._collect("", out)
            elif could_be(delimiters, text, end):
                return Outcome.UNDECIDED, end
        if body.status is Status.OPEN:
            return Outcome.OPEN, end
        return self._judge(out), end

    def finish(self, out: list[Piece], *, cut: bool) -> Outcome:
        """The text ends inside the call."""
        if self.call.body.status is Status.OPEN and not cut:
            self.call.body.close(delimited=False)
            self._collect("", out)
        return self._judge(out)

    def closing(self, text: str, position: int) -> tuple[Outcome, int]:
        """Read what stands behind a call's body. OPEN: more of it may come, or the next call of the block has begun."""
        call = self.call
        start = past(text, position, WHITESPACE)
        # A second fence opens the next block of code.
        closes = tuple(closer for closer in call.form.closes if closer != FENCE or FENCE not in call.closers)
        for closer in closes:
            if text.startswith(closer, start):
                call.closers.append(closer)
                return Outcome.OPEN, start + len(closer)
        if could_be(closes, text, start):
            return Outcome.UNDECIDED, start
        if call.closers:
            return Outcome.DONE, start
        for separator in call.form.separators:
            if text.startswith(separator, start):
                end = start + len(separator)
                self.begin(call.form, [text[start:end]], drafted=call.drafted)
                self.call.follows = True
                return Outcome.OPEN, end
        if could_be(call.form.separators, text, start):
            return Outcome.UNDECIDED, start
        return self._extra(text, start)

    def _commas(self) -> bool:
        """Whether the separator behind the last call of a block, to which no call followed, may be dropped."""
        raw = "".join(self.call.raw)
        if not raw.startswith(",") or raw[1:].strip(WHITESPACE) or Step.COMMAS not in self._offer.steps:
            return False
        self.notes.append(repaired(Step.COMMAS, raw, ""))
        return True

    def _extra(self, text: str, start: int) -> tuple[Outcome, int]:
        """Closers too many are dropped if the call's own closer follows them."""
        found = EXTRA.match(text, start)
        if found is None or Step.BRACES not in self._offer.steps:
            return Outcome.DONE, start
        delimiters = self.call.form.delimiters
        if text.startswith(delimiters, found.end()):
            self.notes.append(repaired(Step.BRACES, found[0], ""))
            return Outcome.OPEN, found.end()
        if found.end() == len(text) or could_be(delimiters, text, found.end()):
            return Outcome.UNDECIDED, start
        return Outcome.DONE, start

    def is_extra(self, text: str) -> bool:
        """Whether this, with which the reply ends behind a call, is only closers too many; they are dropped then."""
        if Step.BRACES not in self._offer.steps or not EXTRA.fullmatch(text):
            return False
        self.notes.append(repaired(Step.BRACES, text, ""))
        return True

    def _collect(self, read: str, out: list[Piece]) -> None:
        """Take what the body has for the client after it has read this."""
        call = self.call
        stretch = call.body.take()
        if not call.left:
            call.raw.append(read)
        if not stretch:
            return
        if call.whole or call.body.name is None:
            call.pending.append(stretch)
        else:
            self._leave(stretch, out)

    def _leave(self, arguments: str, out: list[Piece]) -> None:
        call = self.call
        if not call.left:
            assert call.body.name is not None, "a call leaves only with its name"
            out.append(ToolStart(self.index, self._id(), call.body.name))
            arguments = "".join(call.pending) + arguments
            call.left = True
            call.raw.clear()
            call.pending.clear()
        out.append(ToolArguments(self.index, arguments))

    def _id(self) -> str:
        """The id that the model gave, if it is one for its template and no other call has it; else a new one."""
        given = getattr(self.call.body, "id", "")
        shape = self._shape_id or str
        if not given or given in self._ids or shape(given) != given:
            given = shape(self._call_id(self.index))
        self._ids.add(given)
        return given

    def _judge(self, out: list[Piece]) -> Outcome:
        """The body has ended: it is a call, or it is none."""
        call = self.call
        if call.body.status is not Status.DONE:
            return self._refuse("its body is not that of one call")
        if call.whole:
            text = "".join(call.pending)
            name, arguments = call.body.name, parsed(text)
            if name is None or ((call.drafted or call.form.wary) and not self._offer.fits(name, arguments)):
                return self._refuse("its arguments do not fit its tool")
            if self._is_new(call, (name, json.dumps(arguments, sort_keys=True))):
                call.pending.clear()
                self._leave(text, out)
        if call.left:
            out.append(ToolEnd(self.index))
            self.index += 1
        self.notes += call.body.repairs
        return Outcome.DONE

    def _is_new(self, call: Call, key: tuple[str, str]) -> bool:
        """Whether this call has not been made already, inside the reasoning or with the marker that it lacks here."""
        if call.form.echoed:
            if not call.form.opens and key in self._made:
                return False
            self._made.add(key)
        if call.drafted:
            self._early[key] += 1
        elif key in self._early:
            if self._early[key] == 1:
                del self._early[key]
            else:
                self._early[key] -= 1
            return False
        return True

    def _refuse(self, why: str) -> Outcome:
        call = self.call
        if call.left:
            self.refused = f"tool call {self.index}: {why}"
            return Outcome.BROKEN
        self.refused = "".join(call.raw)
        if call.body.begun:
            self.notes.append(Malformed(self.refused, why))
        return Outcome.REFUSED
