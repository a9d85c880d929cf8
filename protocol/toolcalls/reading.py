"""The parser of every family that marks its calls: text → reasoning, text and calls, as the family's table says.

Theory of operation. In text the openers of reasoning and of calls are live, in reasoning its closer and the openers
of calls; inside a call none is, for its body knows where it ends and its strings may hold any marker. Held back is
only what could still become a live marker, and a call until its name is known and its arguments begin.

    text ──<think>──▶ reasoning ──</think>──▶ text ──<tool_call>──▶ call ──}──▶ closing ──</tool_call>──▶ text

Whitespace belongs to the markers: what leads up to the first marker of a reply, all of it after `<think>` and round
a call's body, after its closer, and the newlines after `</think>`. It is dropped with them, unless the answer goes on
behind a call and would run into what was said before it.

A body that is not a call becomes text again as it came, marker included, up to the character that refuted it; from
there on text is read as ever, so a real call after a false start is still found. If a part of the call has left
already, nothing can be taken back: `malformed` says so and nothing more leaves. Calls in code fences are examples.

A call inside open reasoning is either a draft or the sign of a closer that was forgotten. It counts once it is whole
and fits its tool; the same call again after the reasoning is that call, not a second one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, auto

from cortex.protocol.deltas import Piece, ReasoningPiece, TextPiece
from cortex.protocol.toolcalls.base import merged
from cortex.protocol.toolcalls.calls import Calls, Outcome
from cortex.protocol.toolcalls.family import FENCE, Family, Form
from cortex.protocol.toolcalls.json_stream import Status
from cortex.protocol.toolcalls.markers import WHITESPACE, Markers, could_be, past
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.steps import Note

NEWLINES = "\r\n"
LONGEST_GAP = 32
"""Whitespace behind a call that is kept, should the answer go on there."""


class State(IntEnum):
    TEXT = auto()
    REASONING = auto()
    WRAPPED = auto()
    """Behind a wrapper: a call may begin."""
    CALL = auto()
    CLOSING = auto()
    BROKEN = auto()


class MarkedParser:
    """One choice's text → pieces, for one family."""

    def __init__(
        self, family: Family, offer: Offer, *, reasoning_open: bool, call_id: Callable[[int], str]
    ) -> None:
        self.malformed: str | None = None
        self._family = family
        self._calls = Calls(offer, call_id, family.shape_id)
        self._tools = bool(offer.names)
        self._live = family.in_text if self._tools else family.in_text_without_tools
        self._think_end = family.after_thinking[family.thinking[0][0]] if family.thinking else ()
        reasoning_open = reasoning_open and bool(family.thinking)
        self._state = State.REASONING if reasoning_open else State.TEXT
        self._held = ""
        self._trim = WHITESPACE if reasoning_open else ""
        self._lead: list[str] | None = None if reasoning_open else []
        """The reply's leading whitespace, while there has been nothing else."""
        self._gap = ""
        """The whitespace dropped behind the last call."""
        self._behind = False
        """Whether nothing has been said since that call."""
        self._abrupt = False
        """Whether the answer so far ends without whitespace."""
        self._fresh = True
        """Whether a call without a marker may begin: nothing but reasoning and calls has been said."""
        self._fenced = False
        self._answering = False
        """Whether the tag that opens an answer has been dropped."""
        self._home = State.TEXT
        """Where the call under way began, TEXT or REASONING."""

    @property
    def in_reasoning(self) -> bool:
        inside = self._state in {State.CALL, State.CLOSING}
        return (self._home if inside else self._state) is State.REASONING

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
        if self._state in {State.CALL, State.CLOSING}:
            self._enter(self._home)
        if self._state is not State.BROKEN:
            self._say("".join(self._take_lead()) + held, out)
        return merged(out)

    def _step(self, text: str, position: int, out: list[Piece]) -> int:
        match self._state:
            case State.TEXT:
                return self._in_text(text, position, out)
            case State.REASONING:
                return self._in_thought(text, position, out)
            case State.WRAPPED:
                return self._wrapped(text, position, out)
            case State.CALL:
                return self._in_call(text, position, out)
            case State.CLOSING:
                return self._closing(text, position)
            case State.BROKEN:
                return len(text)

    # ── outside calls ────────────────────────────────────────────────────────────────────────────────────────────

    def _in_text(self, text: str, position: int, out: list[Piece]) -> int:
        start = past(text, position, self._trim if self._lead is None else WHITESPACE)
        if self._behind and start > position:
            self._gap = (self._gap + text[position:start])[:LONGEST_GAP]
        if self._lead is not None:
            self._lead.append(text[position:start])
        if self._fresh and self._tools and (form := self._bare(text, start)) is not None:
            if could_be(self._family.openers, text, start):
                self._held = text[start:]
                return len(text)
            self._fresh = False
            self._begin(form, State.TEXT, self._take_lead())
            return start
        if self._live is None:
            self._say(self._led(text[start:]), out)
            return len(text)
        begin, end, marker = self._live.find(text, start)
        if marker and self._fenced and marker != FENCE:
            begin, marker = end, ""
        if begin > start:
            self._say(self._led(text[start:begin]), out)
            self._trim = ""
        if not marker:
            self._held = text[begin:end]
        elif marker == FENCE:
            self._fenced = not self._fenced
            self._say(self._led(marker), out)
        elif (form := self._family.by_opener.get(marker)) is not None:
            self._begin(form, State.TEXT, [*self._take_lead(), marker], marker)
        elif marker in self._family.wrappers:
            self._lead = [*self._take_lead(), marker]
            self._enter(State.WRAPPED)
        else:
            self._around(marker, out)
        return end

    def _around(self, marker: str, out: list[Piece]) -> None:
        """A marker that is none of a call's, and is text itself where it does not count."""
        family = self._family
        if (closers := family.after_thinking.get(marker)) is not None:
            counts = self._fresh or marker not in family.only_first
        elif family.answer is not None and marker in family.answer_tags:
            opens = marker == family.answer[0]
            counts = self._fresh if opens else self._answering
            self._answering = opens if counts else self._answering
        else:
            # A closer of reasoning that is not open is a slip at the reply's beginning, else text about one.
            counts = self._fresh if marker in family.stray else marker in family.noise
        if not counts:
            self._say(self._led(marker), out)
            return
        self._lead = None
        if closers is None:
            self._trim = NEWLINES
        else:
            self._think_end = closers
            self._enter(State.REASONING, trim=WHITESPACE)

    def _in_thought(self, text: str, position: int, out: list[Piece]) -> int:
        start = past(text, position, self._trim)
        family = self._family
        live = family.in_reasoning if self._tools else family.in_reasoning_without_tools
        begin, end, marker = live[self._think_end].find(text, start)
        form = family.by_opener.get(marker)
        if form is not None and self._fenced:
            begin, marker, form = end, "", None
        if begin > start:
            out.append(ReasoningPiece(text[start:begin]))
            self._trim = ""
        if form is not None:
            self._begin(form, State.REASONING, [marker], marker)
        elif marker in self._think_end:
            self._fenced = False
            # Where a call without a marker may begin now, a space before it is none of the answer's either.
            bare = family.bare and self._tools and self._fresh
            self._enter(State.TEXT, trim=WHITESPACE if bare else NEWLINES)
        elif marker == FENCE:
            self._fenced = not self._fenced
            out.append(ReasoningPiece(marker))
        else:
            self._held = text[begin:end]
        return end

    def _wrapped(self, text: str, position: int, out: list[Piece]) -> int:
        """Behind a wrapper, whose text is kept in `_lead` until a call begins."""
        assert self._lead is not None
        start = past(text, position, WHITESPACE)
        self._lead.append(text[position:start])
        for opener, form in self._family.by_opener.items():
            if text.startswith(opener, start):
                self._begin(form, State.TEXT, [*self._take_lead(), opener], opener)
                return start + len(opener)
        if could_be(self._family.openers, text, start):
            self._held = text[start:]
            return len(text)
        self._say("".join(self._take_lead()), out)
        self._enter(State.TEXT)
        return start

    def _bare(self, text: str, start: int) -> Form | None:
        if text.startswith(self._family.openers, start):
            return None
        first = text[start : start + 1]
        fitting = (
            form for char, form in self._family.bare if char == first or (not char and first.isidentifier())
        )
        return next(fitting, None) if first else None

    def _say(self, text: str, out: list[Piece]) -> None:
        if text:
            self._fresh = self._fresh and not text.strip(WHITESPACE)
            if self._state is State.REASONING:
                out.append(ReasoningPiece(text))
                return
            text = self._gap + text if self._behind and self._abrupt else text
            self._gap, self._behind, self._abrupt = "", False, text[-1] not in WHITESPACE
            out.append(TextPiece(text))

    def _led(self, text: str) -> str:
        """The text behind the whitespace that led up to it."""
        return "".join(self._take_lead()) + text

    def _take_lead(self) -> list[str]:
        lead, self._lead = self._lead or [], None
        return lead

    def _enter(self, state: State, *, trim: str = "") -> None:
        self._state = state
        self._trim = trim
        if state is State.REASONING:
            self._gap = ""  # what is said leaves in order

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, form: Form, home: State, raw: list[str], opener: str = "") -> None:
        self._calls.begin(form, raw, opener, drafted=home is State.REASONING)
        self._home = home
        self._enter(State.CALL)

    def _in_call(self, text: str, position: int, out: list[Piece]) -> int:
        limit: Markers | None = None
        end_of_draft: tuple[str, ...] = ()
        if self._home is State.REASONING:
            end_of_draft = self._think_end
            limit = self._family.in_draft[end_of_draft, self._calls.call.form]
        outcome, end = self._calls.read(text, position, out, limit, end_of_draft)
        if outcome is Outcome.UNDECIDED:
            self._held = text[end:]
            return len(text)
        self._after(outcome, out)
        return end

    def _closing(self, text: str, position: int) -> int:
        outcome, end = self._calls.closing(text, position)
        skipped = text[position:end]
        self._gap = "" if skipped.strip(WHITESPACE) else (self._gap + skipped)[:LONGEST_GAP]
        match outcome:
            case Outcome.UNDECIDED:
                self._held = text[end:]
                return len(text)
            case Outcome.DONE:
                call = self._calls.call
                self._enter(self._home, trim=WHITESPACE if call.closers else "")
                self._fenced |= call.form.fenced and FENCE not in call.closers
            case _ if self._calls.call.body.status is Status.OPEN:
                self._enter(State.CALL)
        return end

    def _after(self, outcome: Outcome, out: list[Piece]) -> None:
        """What the end of a call means for what follows."""
        match outcome:
            case Outcome.DONE:
                self._fresh = self._behind = True
                self._gap = ""
                self._enter(State.CLOSING)
            case Outcome.REFUSED:
                self._enter(self._home)
                self._refused(out)
            case Outcome.BROKEN:
                self.malformed = self._calls.refused
                self._enter(State.BROKEN)

    def _refused(self, out: list[Piece]) -> None:
        """The text of what was no call, and whether a fence in it is open now."""
        refused, self._calls.refused = self._calls.refused, ""
        self._say(refused, out)
        if FENCE in self._calls.call.form.closes and refused.count(FENCE) % 2:
            self._fenced = not self._fenced
