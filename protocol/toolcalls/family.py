"""What a family of models writes round its calls and its reasoning: data, read by `reading.MarkedParser`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cortex.protocol.toolcalls.bodies import BodyMaker
from cortex.protocol.toolcalls.markers import Markers

FENCE = "```"


@dataclass(frozen=True, eq=False)
class Form:
    """One way to write a call: `opens`, a body, `closes`.

    `inclusive`: the opener is the body's own beginning. `separators` lead from one call straight to the next.
    `wary`: the call counts only once it is whole and fits its tool's schema, and leaves in one piece.
    `echoed`: models write such a call again behind its end, without the opener: the same one is no second call then.
    `drafts`: it is looked for in reasoning too.
    """

    body: BodyMaker
    opens: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    separators: tuple[str, ...] = ()
    inclusive: bool = False
    wary: bool = False
    echoed: bool = False
    drafts: bool = True

    @cached_property
    def delimiters(self) -> tuple[str, ...]:
        """What may follow a body that was left incomplete."""
        return (*self.closes, *self.opens)


@dataclass(frozen=True, eq=False)
class Family:
    """`bare` are forms without a marker, by the character that a reply must begin with; "" is for any letter.

    `wrappers` may stand before the first opener and mean nothing by themselves; `noise` is dropped. `thinking` are pairs of markers round
    reasoning, of which `reasoning_open` means the first.
    """

    name: str
    forms: tuple[Form, ...] = ()
    bare: tuple[tuple[str, Form], ...] = ()
    wrappers: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    thinking: tuple[tuple[str, str], ...] = (("<think>", "</think>"),)
    stray: tuple[str, ...] = ()
    """Closers of reasoning that come once more, or without their opener: dropped while nothing has been said."""
    inner: tuple[str, ...] = ()
    """Markers inside its calls."""

    @cached_property
    def markers(self) -> frozenset[str]:
        """All that means something to it, inside calls too."""
        forms = (*self.forms, *(form for _, form in self.bare))
        of_calls = [marker for form in forms for marker in (*form.opens, *form.closes)]
        of_thinking = [marker for pair in self.thinking for marker in pair]
        return frozenset((*of_calls, *of_thinking, *self.wrappers, *self.noise, *self.inner))

    @cached_property
    def by_opener(self) -> dict[str, Form]:
        return {opener: form for form in self.forms for opener in form.opens}

    @cached_property
    def after_thinking(self) -> dict[str, str]:
        return dict(self.thinking)

    @cached_property
    def openers(self) -> tuple[str, ...]:
        return tuple(self.by_opener)

    @cached_property
    def in_text(self) -> Markers:
        """The markers that are live in text where tools are on offer."""
        return Markers(*self.after_thinking, *self.openers, *self.wrappers, *self.noise, *self.stray, FENCE)

    @cached_property
    def in_text_without_tools(self) -> Markers | None:
        live = (*self.after_thinking, *self.noise, *self.stray)
        return Markers(*live) if live else None

    @cached_property
    def in_reasoning(self) -> dict[str, Markers]:
        """The markers that are live in reasoning, by what ends it, where tools are on offer."""
        openers = [opener for opener, form in self.by_opener.items() if form.drafts]
        return {closer: Markers(closer, *openers, FENCE) for _, closer in self.thinking}

    @cached_property
    def in_reasoning_without_tools(self) -> dict[str, Markers]:
        return {closer: Markers(closer) for _, closer in self.thinking}

    @cached_property
    def in_draft(self) -> dict[tuple[str, Form], Markers]:
        """What ends a call inside reasoning at the latest: the reasoning's end, or the beginning of the next one."""
        return {
            (closer, form): Markers(closer, *form.opens) for _, closer in self.thinking for form in self.forms
        }
