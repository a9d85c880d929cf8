"""What a family of models writes round its calls and its reasoning: data, read by `reading.MarkedParser`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from cortex.protocol.toolcalls.bodies import BodyMaker
from cortex.protocol.toolcalls.markers import Markers

FENCE = "```"
SHORTEST = 3
"""Characters of a marker that is told to others."""


@dataclass(frozen=True, eq=False)
class Form:
    """One way to write a call: `opens`, a body, `closes`.

    `inclusive`: the opener is the body's own beginning. `separators` lead from one call straight to the next.
    `wary`: the call counts only once it is whole and fits its tool's schema, and leaves in one piece.
    `echoed`: models write such a call again behind its end, without the opener: the same one is no second call then.
    `drafts`: it is looked for in reasoning too.
    `fenced`: its text may open a code fence, in which the text goes on where it is no call or does not close it.
    """

    body: BodyMaker
    opens: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    separators: tuple[str, ...] = ()
    inclusive: bool = False
    wary: bool = False
    echoed: bool = False
    drafts: bool = True
    fenced: bool = False

    @cached_property
    def delimiters(self) -> tuple[str, ...]:
        """What may follow a body that was left incomplete."""
        return (*self.closes, *self.opens)


@dataclass(frozen=True, eq=False)
class Family:
    """`bare` are forms without a marker, by the character that a reply must begin with; "" is for any letter.

    `wrappers` may stand before the first opener and mean nothing by themselves; `noise` is dropped. `thinking` are
    pairs of markers round reasoning, of which `reasoning_open` means the first; one opener may have several closers.
    `sentences` are such pairs that are plain words: they count only where nothing has been said yet. `answer` is a
    pair of tags round the whole answer, dropped with the newlines before the closer.
    """

    name: str
    forms: tuple[Form, ...] = ()
    bare: tuple[tuple[str, Form], ...] = ()
    wrappers: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    thinking: tuple[tuple[str, str], ...] = (("<think>", "</think>"),)
    stray: tuple[str, ...] = ()
    """Closers of reasoning that come once more, or without their opener: dropped while nothing has been said."""
    sentences: tuple[tuple[str, str], ...] = ()
    answer: tuple[str, str] | None = None
    inner: tuple[str, ...] = ()
    """Markers inside its calls."""
    shape_id: Callable[[str], str] | None = None
    """Makes any id one that the family's chat templates accept, and leaves alone what is one already."""

    @cached_property
    def markers(self) -> frozenset[str]:
        """All that means something to it, inside calls too."""
        forms = (*self.forms, *(form for _, form in self.bare))
        of_calls = [marker for form in forms for marker in (*form.opens, *form.closes)]
        of_thinking = [marker for pair in (*self.thinking, *self.sentences) for marker in pair]
        markers = (*of_calls, *of_thinking, *self.wrappers, *self.noise, *(self.answer or ()), *self.inner)
        # A lone bracket says nothing about the tokens in which it occurs.
        return frozenset(marker for marker in markers if len(marker) >= SHORTEST)

    @cached_property
    def by_opener(self) -> dict[str, Form]:
        return {opener: form for form in self.forms for opener in form.opens}

    @cached_property
    def after_thinking(self) -> dict[str, tuple[str, ...]]:
        """What ends reasoning, by what opens it."""
        closers: dict[str, tuple[str, ...]] = {}
        for opener, closer in (*self.thinking, *self.sentences):
            closers[opener] = (*closers.get(opener, ()), closer)
        return closers

    @cached_property
    def only_first(self) -> frozenset[str]:
        """Openers that count only where nothing has been said yet."""
        return frozenset(opener for opener, _ in self.sentences)

    @cached_property
    def openers(self) -> tuple[str, ...]:
        return tuple(self.by_opener)

    @cached_property
    def in_text(self) -> Markers:
        """The markers that are live in text where tools are on offer."""
        return Markers(*self.around, *self.openers, *self.wrappers, FENCE)

    @cached_property
    def answer_tags(self) -> tuple[str, ...]:
        """The tags round the answer, the second also with the newline that belongs to it."""
        return () if self.answer is None else (*self.answer, f"\n{self.answer[1]}")

    @cached_property
    def around(self) -> tuple[str, ...]:
        """The markers that have nothing to do with calls."""
        return (*self.after_thinking, *self.noise, *self.stray, *self.answer_tags)

    @cached_property
    def in_text_without_tools(self) -> Markers | None:
        return Markers(*self.around) if self.around else None

    @cached_property
    def in_reasoning(self) -> dict[tuple[str, ...], Markers]:
        """The markers that are live in reasoning, by what ends it, where tools are on offer."""
        openers = [opener for opener, form in self.by_opener.items() if form.drafts]
        return {closers: Markers(*closers, *openers, FENCE) for closers in self.after_thinking.values()}

    @cached_property
    def in_reasoning_without_tools(self) -> dict[tuple[str, ...], Markers]:
        return {closers: Markers(*closers) for closers in self.after_thinking.values()}

    @cached_property
    def in_draft(self) -> dict[tuple[tuple[str, ...], Form], Markers]:
        """What ends a call inside reasoning at the latest: the reasoning's end, or the beginning of the next one."""
        return {
            (closers, form): Markers(*closers, *form.opens)
            for closers in self.after_thinking.values()
            for form in self.forms
        }
