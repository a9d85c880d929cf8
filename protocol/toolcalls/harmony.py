"""gpt-oss writes messages, each with a header that says what it is: this reads them as reasoning, text and calls.

    <|start|>role to=R<|channel|>channel to=R <|constrain|>type<|message|>body<|end|> or <|call|> or <|return|>

A reply begins behind `<|start|>assistant`. The analysis channel is reasoning, a body for one of the functions on
offer is a call, all else is text: `final`, and `commentary` for nobody, which tells the user what comes next. Models
leave out every single one of these markers now and then, repeat them, and write what belongs nowhere into headers.
A header is held until it ends, and what never becomes one is text as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import IntEnum, auto
from typing import NamedTuple

from cortex.protocol.deltas import Piece, ReasoningPiece, TextPiece
from cortex.protocol.toolcalls.base import merged
from cortex.protocol.toolcalls.calls import Calls, Outcome
from cortex.protocol.toolcalls.family import Form
from cortex.protocol.toolcalls.harmony_body import HarmonyArguments
from cortex.protocol.toolcalls.markers import WHITESPACE, Markers
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.steps import Malformed, Note

START, CHANNEL, CONSTRAIN, MESSAGE = "<|start|>", "<|channel|>", "<|constrain|>", "<|message|>"
ENDS = ("<|end|>", "<|call|>", "<|return|>")
MARKERS = frozenset({START, CHANNEL, CONSTRAIN, MESSAGE, *ENDS})
LONGEST_HEADER = 256
BUILT_IN = frozenset({"browser", "python", "container"})
"""Tools that the engines of some servers run themselves, and that models were trained to call."""

_IN_BODY = Markers(START, CHANNEL, *ENDS)
_IN_HEADER = Markers(START, CHANNEL, CONSTRAIN, MESSAGE, *ENDS)
_RECIPIENT = re.compile(r"\bto=\s*([^\s<]+)")
_CHANNELS = re.compile(r"analysis|commentary|final")
_MARKER = re.compile(r"<\|\w+\|>")
_WORD = re.compile(r"[\w.-]+")
_UNMARKED = re.compile(r".*<\|channel\|>\s*(analysis|commentary|final)\s*", re.DOTALL)
_JUNK = re.compile(r"(?>assistant|analysis|commentary|final|json|code|to=\S*+|[\W\d_]++)*+")
_KNOWN = ("assistant", "analysis", "commentary", "final", "json", "code")


class State(IntEnum):
    GAP = auto()
    """Between messages, and at the beginning: only a header is expected."""
    HEADER = auto()
    BODY = auto()
    CALL = auto()
    CLOSING = auto()
    BROKEN = auto()


class Header(NamedTuple):
    """What a header says."""

    recipient: str
    channel: str
    constrained: bool
    """Whether a type of content is named by its marker: JSON, for a call."""


def header_of(text: str) -> Header:
    """Read a header, with whatever does not belong there."""
    recipient = _RECIPIENT.search(text)
    channels = _CHANNELS.findall(_RECIPIENT.sub(" ", text))
    named = recipient[1] if recipient and recipient[1] not in {"assistant", "user", "all"} else ""
    return Header(named, channels[-1] if channels else "", CONSTRAIN in text)


class HarmonyParser:
    """One choice's text → pieces."""

    def __init__(self, offer: Offer, *, reasoning_open: bool, call_id: Callable[[int], str]) -> None:
        self.malformed: str | None = None
        self._offer = offer
        self._calls = Calls(offer, call_id)
        self._state = State.BODY if reasoning_open else State.GAP
        self._kind: type[TextPiece | ReasoningPiece] = ReasoningPiece if reasoning_open else TextPiece
        self._header: list[str] = []
        self._length = 0
        self._first = True
        """Whether this is the reply's beginning, where whitespace may be all that there is."""
        self._held = ""

    @property
    def in_reasoning(self) -> bool:
        return self._state is State.BODY and self._kind is ReasoningPiece

    @property
    def notes(self) -> list[Note]:
        return self._calls.notes

    def push(self, text: str) -> list[Piece]:
        """Read a chunk; answer what is certain now."""
        text = self._held + text
        self._held = ""
        out: list[Piece] = []
        position = 0
        while position < len(text):
            position = self._step(text, position, out)
        return merged(out) if len(out) > 1 else out

    def finish(self, *, cut: bool = False) -> list[Piece]:
        """The text has ended: what was held back is no marker. Nothing is mended if it was `cut`."""
        held, self._held = self._held, ""
        out: list[Piece] = []
        match self._state:
            case State.CALL:
                self._after(self._calls.finish(out, cut=cut), out)
            case State.CLOSING if held and not cut and self._calls.is_extra(held):
                held = ""
            case State.GAP:
                text, held = "".join([*self._header, held]), ""
                if self._first or text.strip(WHITESPACE):
                    self._say(TextPiece, text, out)
            case State.HEADER:
                held = ""  # a part of a marker says nothing
                self._unfinished(out)
        if self._state is not State.BROKEN:
            self._say(self._kind, held, out)
        return merged(out)

    def _step(self, text: str, position: int, out: list[Piece]) -> int:
        match self._state:
            case State.GAP | State.HEADER:
                return self._in_header(text, position, out)
            case State.BODY:
                return self._in_body(text, position, out)
            case State.CALL:
                return self._in_call(text, position, out)
            case State.CLOSING:
                return self._closing(text, position)
            case State.BROKEN:
                return len(text)

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _in_body(self, text: str, position: int, out: list[Piece]) -> int:
        begin, end, marker = _IN_BODY.find(text, position)
        self._say(self._kind, text[position:begin], out)
        if not marker:
            self._held = text[begin:end]
        else:
            self._next(marker)
        return end

    def _next(self, marker: str) -> None:
        """A marker ends what was before: the message, or a header that came to nothing."""
        self._header = [marker] if marker in {START, CHANNEL} else []
        self._length = 0
        self._state = State.HEADER if self._header else State.GAP
        self._kind = TextPiece

    def _in_header(self, text: str, position: int, out: list[Piece]) -> int:
        begin, end, marker = _IN_HEADER.find(text, position)
        stop = min(begin, position + max(LONGEST_HEADER - self._length, 0))
        brace = text.find("{", position, stop) if self._state is State.HEADER else -1
        if brace >= 0:
            stop = brace
        self._header.append(text[position:stop])
        self._length += stop - position
        if self._state is State.GAP and not _headish("".join(self._header)):
            self._loose(out)
        elif brace >= 0:
            self._unmarked_call()
            if self._state is State.HEADER:
                self._header.append("{")
                self._length += 1
                stop += 1
        elif stop < begin or self._length >= LONGEST_HEADER:
            self._loose(out)
        elif not marker:
            self._held = text[begin:end]
            return end
        else:
            return self._at(marker, begin, end, out)
        return stop

    def _at(self, marker: str, begin: int, end: int, out: list[Piece]) -> int:
        """A marker in a header, or in a gap; answers where reading goes on."""
        self._first = False
        if marker == MESSAGE:
            self._message()
        elif marker == "<|call|>" and self._unmarked_call():
            return begin
        elif marker in ENDS or (marker == START and self._header):
            self._unfinished(out)
            self._next(marker)
        else:
            self._header.append(marker)
            self._length += len(marker)
            self._state = State.HEADER
        return end

    def _message(self) -> None:
        """A header has ended, and a body begins."""
        text = "".join(self._header)
        header = header_of(text)
        name = self._tool(header, text)
        if name is not None:
            self._begin(name, [text, MESSAGE], header, wary=not header.recipient)
        elif (
            header.channel == "commentary"
            and header.constrained
            and not header.recipient
            and self._offer.names
        ):
            self._begin(None, [], header, wary=True)
        else:
            if header.recipient.startswith("functions."):
                self.notes.append(Malformed(text, "no tool of this name is on offer"))
            self._body(header.channel)

    def _tool(self, header: Header, text: str) -> str | None:
        """The tool that a header means: its recipient, or a word of it that is the name of one."""
        written = header.recipient.removeprefix("functions.")
        if written:
            within = written.split(".")[0] in BUILT_IN and written not in self._offer.names
            return None if within else self._offer.resolve(written)
        words = [word.removeprefix("functions.") for word in _WORD.findall(_MARKER.sub(" ", text))]
        return next((word for word in words if word in self._offer.names and word not in _KNOWN), None)

    def _body(self, channel: str) -> None:
        self._kind = ReasoningPiece if channel == "analysis" else TextPiece
        self._state = State.BODY

    # ── what lacks a marker ──────────────────────────────────────────────────────────────────────────────────────

    def _unmarked_call(self) -> bool:
        """A header that names a tool, behind which the arguments follow at once, or none: whether it is one."""
        text = "".join(self._header)
        header = header_of(text)
        name = self._tool(header, text) if header.recipient else None
        if name is not None:
            self._begin(name, [text], header, wary=True)
        return name is not None

    def _loose(self, out: list[Piece]) -> None:
        """What was read can be no header: it is text, or a body behind a header that lacks its end."""
        text = "".join(self._header)
        found = _UNMARKED.match(text)
        if found is not None and not header_of(text).recipient:
            self._body(found[1])
            text = text[found.end() :]
        else:
            self._body("")
        self._first = False
        self._say(self._kind, text, out)

    def _unfinished(self, out: list[Piece]) -> None:
        """A header ends without a body. Nothing is lost with it if it says no more than headers do."""
        text = "".join(self._header)
        if header_of(text).recipient:
            self.notes.append(Malformed(text, "its header never ended"))
        elif _is_junk(text):
            return
        self._loose(out)

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, name: str | None, raw: list[str], header: Header, *, wary: bool) -> None:
        written = header.recipient.removeprefix("functions.") or name
        form = Form(lambda offer: HarmonyArguments(offer, name, written), (START, CHANNEL), ENDS, wary=wary)
        self._calls.begin(form, raw)
        self._state = State.CALL

    def _in_call(self, text: str, position: int, out: list[Piece]) -> int:
        outcome, end = self._calls.read(text, position, out, None)
        if outcome is Outcome.UNDECIDED:
            self._held = text[end:]
            return len(text)
        self._after(outcome, out)
        return end

    def _closing(self, text: str, position: int) -> int:
        outcome, end = self._calls.closing(text, position)
        if outcome is Outcome.UNDECIDED:
            self._held = text[end:]
            return len(text)
        if outcome is Outcome.DONE:
            self._next("")
        return end

    def _after(self, outcome: Outcome, out: list[Piece]) -> None:
        """What the end of a call means for what follows."""
        match outcome:
            case Outcome.DONE:
                self._state = State.CLOSING
            case Outcome.REFUSED:
                self._body("")
                self._say(TextPiece, self._calls.refused, out)
            case Outcome.BROKEN:
                self.malformed = self._calls.refused
                self._state = State.BROKEN

    def _say(self, kind: type[TextPiece | ReasoningPiece], text: str, out: list[Piece]) -> None:
        if text:
            out.append(kind(text))


def _headish(text: str) -> bool:
    """Whether this, in front of a message, may belong to its header: a role, a recipient, or a beginning of one."""
    words = text.split()
    last = words.pop() if words and not text[-1:].isspace() else ""
    whole = all(word.removeprefix("assistant").startswith("to=") or word == "assistant" for word in words)
    return whole and (
        last.removeprefix("assistant").startswith("to=")
        or any(word.startswith(last) for word in ("assistant", "to=", "assistantto="))
    )


def _is_junk(text: str) -> bool:
    """Whether a header, the last word of which may be cut, holds nothing that anybody would miss."""
    text = _MARKER.sub(" ", text)
    words = _WORD.findall(text)
    if words and text.endswith(words[-1]) and any(word.startswith(words[-1]) for word in _KNOWN):
        text = text[: -len(words[-1])]
    return _JUNK.fullmatch(text) is not None
