"""How one call is written between its markers: what every reader of a body offers, and two that delegate.

A reader knows neither markers nor indices. It says where the body ends, what of the arguments may leave, and whether
the whole is a call of a tool on offer; how its text is cut into chunks never matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from cortex.protocol.toolcalls.json_stream import JsonScanner, Status
from cortex.protocol.toolcalls.markers import WHITESPACE, could_be, past
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.steps import Repair, Step, repaired

LONGEST_HEAD = 256
"""Characters before a call's arguments."""


class Body(Protocol):
    """One call under way."""

    status: Status
    """OPEN until it is whole (DONE) or a character was met that cannot belong to it (BAD)."""

    @property
    def name(self) -> str | None:
        """The tool's name as it was offered, once it is known."""

    @property
    def begun(self) -> bool:
        """Whether it looked like a call at least at its beginning."""

    @property
    def repairs(self) -> list[Repair]:
        """What was mended so far."""

    def feed(self, text: str, start: int) -> int:
        """Consume what belongs to it; answers the position behind that, or of the character refused.

        What it leaves while it is OPEN, a few characters at the end, is shown again with more behind it.
        """

    def take(self) -> str:
        """The next stretch of the arguments that may leave: all of them joined are a prefix of one JSON object."""

    def close(self, *, delimited: bool) -> None:
        """Nothing more of it comes, for a marker follows (`delimited`) or the text is at its end: it is DONE or BAD.

        A body that met a marker is BAD already and may become DONE all the same.
        """


BodyMaker = Callable[[Offer], Body]


class Sniffing:
    """A body whose first character tells how it is written."""

    def __init__(
        self, offer: Offer, kinds: dict[str, BodyMaker], *, skip: str | tuple[str, ...] = ()
    ) -> None:
        """`kinds`: first characters → reader; "" is for all others. Each of `skip` may come before, once, in order."""
        self.status = Status.OPEN
        self._offer = offer
        self._kinds = kinds
        self._skip = (skip,) if isinstance(skip, str) else skip
        self._body: Body | None = None

    @property
    def name(self) -> str | None:
        return self._body.name if self._body else None

    @property
    def begun(self) -> bool:
        return self._body is not None and self._body.begun

    @property
    def repairs(self) -> list[Repair]:
        return self._body.repairs if self._body else []

    @property
    def id(self) -> str:
        return getattr(self._body, "id", "")

    def feed(self, text: str, start: int) -> int:
        if self._body is None:
            start = past(text, start, WHITESPACE)
            while self._skip:
                if could_be(self._skip, text, start):
                    return start
                first, *others = self._skip
                self._skip = tuple(others)
                if text.startswith(first, start):
                    start = past(text, start + len(first), WHITESPACE)
            if start == len(text):
                return start
            maker = next(
                (make for chars, make in self._kinds.items() if chars and text[start] in chars), None
            )
            maker = maker or self._kinds.get("")
            if maker is None:
                self.status = Status.BAD
                return start
            self._body = maker(self._offer)
        end = self._body.feed(text, start)
        self.status = self._body.status
        return end

    def take(self) -> str:
        return self._body.take() if self._body else ""

    def close(self, *, delimited: bool) -> None:
        if self._body is None:
            self.status = Status.BAD
            return
        self._body.close(delimited=delimited)
        self.status = self._body.status


class Headed:
    """A head that names the tool, then its arguments as one JSON object; `id` if the head gives one."""

    def __init__(
        self,
        offer: Offer,
        head: re.Pattern[str],
        *,
        could: re.Pattern[str] | None = None,
        marks: tuple[str, ...] = (),
        inside: BodyMaker | None = None,
    ) -> None:
        """`head` must match all before the arguments, with a group `name` and maybe a group `id`.

        `could` matches as much as may become a head, so that other text is refused where it begins; `marks` are the
        markers inside heads, of which it matches none in part. `inside` reads the object where the head is one but names no tool on offer.
        """
        self.status = Status.OPEN
        self.name: str | None = None
        self.begun = False
        self.repairs: list[Repair] = []
        self.id = ""
        self._offer = offer
        self._head = head
        self._could = could
        self._marks = marks
        self._inside = inside
        self._before = ""
        self._ready = ""
        self._noted = 0
        self._scanner: JsonScanner | Body | None = None

    def feed(self, text: str, start: int) -> int:
        if self.status is not Status.OPEN:
            return start
        if self._scanner is None:
            limit = min(len(text), start + LONGEST_HEAD - len(self._before))
            brace = text.find("{", start, limit)
            end = limit if brace < 0 else brace
            reach = self._reach(text, start, end)
            self._before += text[start:reach]
            if reach < end:
                self.status = Status.OPEN if could_be(self._marks, text, reach) else Status.BAD
                return reach
            named = brace >= 0 and self._named()
            reads_on = named or (brace >= 0 and self.begun and self._inside is not None)
            if len(self._before) == LONGEST_HEAD or (brace >= 0 and not reads_on):
                self.status = Status.BAD
            if brace < 0 or self.status is Status.BAD:
                return end
            start = brace
            if named or self._inside is None:
                self._scanner = JsonScanner(self._offer.steps)
            else:
                self._scanner = self._inside(self._offer)
        end = self._scanner.feed(text, start)
        self._told(self._scanner)
        return end

    def take(self) -> str:
        stretch, self._ready = self._ready, ""
        return self._scanner.take() if self._scanner is not None else stretch

    def close(self, *, delimited: bool) -> None:
        if self._scanner is not None:
            self._scanner.close(delimited=delimited)
            self._told(self._scanner)
            return
        # A head alone is a call where its tool needs no arguments.
        unread = delimited or self.status is Status.OPEN
        if self.name is None and unread and self._named() and self._needs_nothing():
            self._ready = "{}"
            self.status = Status.DONE
        else:
            self.begun = False
            self.status = Status.BAD

    def _reach(self, text: str, start: int, end: int) -> int:
        """How far the text there may be a part of the head."""
        known = len(self._before)
        found = self._could.match(self._before + text[start:end]) if self._could is not None else None
        return end if found is None else start + max(0, found.end() - known)

    def _needs_nothing(self) -> bool:
        return self.name is not None and self._offer.fits(self.name, {})

    def _told(self, scanner: JsonScanner | Body) -> None:
        """Take over what the reader of the object says."""
        self.status = scanner.status
        if not isinstance(scanner, JsonScanner):
            self.name = scanner.name
        if self.status is not Status.OPEN:
            self.repairs += scanner.repairs[self._noted :]
            self._noted = len(scanner.repairs)

    def _named(self) -> bool:
        """Whether what came before the arguments is a head that names a tool on offer."""
        found = self._head.fullmatch(self._before)
        if found is None:
            return False
        written = found["name"].strip()
        self.begun = True
        self.name = self._offer.resolve(written)
        if self.name is not None and self.name != written:
            self.repairs.append(repaired(Step.NAME, written, self.name))
        self.id = found.groupdict().get("id") or ""
        return self.name is not None
