"""Hermes: `<think>…</think>` around reasoning, `<tool_call>{"name": …, "arguments": …}</tool_call>` round each call.

Theory of operation. In text the two openers are live, in reasoning only `</think>`; inside a call no marker is: the
call's JSON ends where its depth says so, and its strings may hold any marker. Held back is only what could still
become a live marker, and a call until its name is known and its arguments begin.

    text ──<think>──▶ reasoning ──</think>──▶ text ──<tool_call>──▶ call ──}──▶ closing ──</tool_call>──▶ text

Whitespace belongs to the markers: what leads up to the first marker of a reply, all of it after `<think>` and round
a call's JSON, after `</tool_call>`, and the newlines after `</think>`. It is dropped with them.

A body that is not a call becomes text again as it came, marker included, up to the character that refuted it; from
there on text is read as ever, so a real call after a false start is still found. If a part of the call has left
already, nothing can be taken back: `malformed` says so and nothing more leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from cortex.protocol.deltas import Piece, ReasoningPiece, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.toolcalls.base import merged
from cortex.protocol.toolcalls.envelope import Envelope
from cortex.protocol.toolcalls.json_stream import Status
from cortex.protocol.toolcalls.markers import WHITESPACE, Markers, past

THINK, THINK_END = "<think>", "</think>"
CALL, CALL_END = "<tool_call>", "</tool_call>"
NEWLINES = "\r\n"

_IN_TEXT = Markers(THINK, CALL)
_IN_TEXT_WITHOUT_TOOLS = Markers(THINK)
_IN_REASONING = Markers(THINK_END)


class State(Enum):
    TEXT = auto()
    REASONING = auto()
    CALL = auto()
    CLOSING = auto()
    BROKEN = auto()


class HermesParser:
    """One choice's text → pieces; `offered` are the names of the tools on offer."""

    def __init__(
        self, offered: frozenset[str], *, reasoning_open: bool, call_id: Callable[[int], str]
    ) -> None:
        self.malformed: str | None = None
        self._offered = offered
        self._call_id = call_id
        self._live = _IN_TEXT if offered else _IN_TEXT_WITHOUT_TOOLS
        self._state = State.REASONING if reasoning_open else State.TEXT
        self._held = ""
        self._trim = WHITESPACE if reasoning_open else ""
        self._lead: list[str] | None = None if reasoning_open else []
        """The reply's leading whitespace, while there has been nothing else."""
        self._index = 0
        self._envelope = Envelope(offered)
        self._raw: list[str] = []
        """The present call as it came, while nothing of it has left."""

    @property
    def in_reasoning(self) -> bool:
        return self._state is State.REASONING

    def push(self, text: str) -> list[Piece]:
        """Read a chunk; answer what is certain now."""
        text = self._held + text
        self._held = ""
        out: list[Piece] = []
        position = 0
        while position < len(text):
            position = self._step(text, position, out)
        return merged(out) if len(out) > 1 else out

    def finish(self) -> list[Piece]:
        """The text has ended: what was held back is not a marker, and an open call is none."""
        held, self._held = self._held, ""
        match self._state:
            case State.REASONING:
                return [ReasoningPiece(held)] if held else []
            case State.CALL:
                return self._refuse("the reply ended inside it")
            case _:
                text = "".join(self._lead or ()) + held
                self._lead = None
                return [TextPiece(text)] if text else []

    def _step(self, text: str, position: int, out: list[Piece]) -> int:
        match self._state:
            case State.TEXT:
                return self._in_text(text, position, out)
            case State.REASONING:
                return self._in_thought(text, position, out)
            case State.CALL:
                return self._in_call(text, position, out)
            case State.CLOSING:
                return self._closing(text, position)
            case State.BROKEN:
                return len(text)

    def _in_text(self, text: str, position: int, out: list[Piece]) -> int:
        start = past(text, position, self._trim if self._lead is None else WHITESPACE)
        if self._lead is not None:
            self._lead.append(text[position:start])
        begin, end, marker = self._live.find(text, start)
        if begin > start:
            out.append(TextPiece("".join(self._lead or ()) + text[start:begin]))
            self._lead = None
            self._trim = ""
        if not marker:
            self._held = text[begin:]
        elif marker == THINK:
            self._lead = None
            self._enter(State.REASONING, trim=WHITESPACE)
        else:
            self._envelope = Envelope(self._offered)
            self._raw = [*(self._lead or ()), marker]
            self._lead = None
            self._enter(State.CALL)
        return end

    def _in_thought(self, text: str, position: int, out: list[Piece]) -> int:
        start = past(text, position, self._trim)
        begin, end, marker = _IN_REASONING.find(text, start)
        if begin > start:
            out.append(ReasoningPiece(text[start:begin]))
            self._trim = ""
        if marker:
            self._enter(State.TEXT, trim=NEWLINES)
        else:
            self._held = text[begin:]
        return end

    def _in_call(self, text: str, position: int, out: list[Piece]) -> int:
        envelope = self._envelope
        end = envelope.feed(text, position)
        stretch = envelope.take()
        if stretch and envelope.name is not None:
            if self._raw:
                self._raw = []
                out.append(ToolStart(self._index, self._call_id(self._index), envelope.name))
            out.append(ToolArguments(self._index, stretch))
        elif self._raw:
            self._raw.append(text[position:end])
        if envelope.status is Status.BAD:
            out += self._refuse("its JSON is not that of one call")
        elif envelope.status is Status.DONE:
            out.append(ToolEnd(self._index))
            self._index += 1
            self._enter(State.CLOSING)
        return end

    def _closing(self, text: str, position: int) -> int:
        start = past(text, position, WHITESPACE)
        if text.startswith(CALL_END, start):
            self._enter(State.TEXT, trim=WHITESPACE)
            return start + len(CALL_END)
        if CALL_END.startswith(text[start : start + len(CALL_END)]):
            self._held = text[start:]
            return len(text)
        self._enter(State.TEXT)
        return start

    def _enter(self, state: State, *, trim: str = "") -> None:
        self._state = state
        self._trim = trim

    def _refuse(self, why: str) -> list[Piece]:
        """The present call is none: back to text with all of it, unless a part has left already."""
        if not self._raw:
            self.malformed = f"tool call {self._index}: {why}"
            self._enter(State.BROKEN)
            return []
        raw = "".join(self._raw)
        self._raw = []
        self._enter(State.TEXT)
        return [TextPiece(raw)]
