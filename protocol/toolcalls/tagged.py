"""A call whose arguments are text between tags, typed by its tool's schema and read as it comes.

    <function=NAME> <parameter=KEY> value </parameter> … </function>

What is between the tags is bare text, in which a file may hold the very tag that closes it. So a closer counts only
where it can stand: before the next parameter, or before what closes the call. Until that is known it is kept, and
if it was none it is text like the rest.

Text is consumed up to what could still be the beginning of a tag, which is to be shown again with more behind it.
"""

from __future__ import annotations

import re
from enum import IntEnum, auto

from cortex.protocol.toolcalls.bare_values import HALF_PAIR, BareValue, encoded
from cortex.protocol.toolcalls.json_stream import JsonScanner, Status
from cortex.protocol.toolcalls.markers import WHITESPACE, could_be, past
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.steps import Repair, Step, repaired
from cortex.protocol.toolcalls.tags import LONGEST_TAG, Key, Tags, name_in

_BARE_NAME = re.compile(r"[^\s<{]*")
_UNDECIDED = -1


class _At(IntEnum):
    OPENING = auto()
    NAME = auto()
    BETWEEN = auto()
    """Behind the name, or before what ended a parameter."""
    KEY = auto()
    """Behind a key whose value has a tag of its own."""
    VALUE = auto()
    CLOSER = auto()
    """Behind what closes a value, if it does."""
    NOWHERE = auto()
    """It cannot become a call any more."""


class Tagged:
    """One call; see `bodies.Body`. Its arguments may also be one JSON object behind the name."""

    def __init__(self, offer: Offer, tags: Tags) -> None:
        self.status = Status.OPEN
        self.name: str | None = None
        self.begun = False
        self.repairs: list[Repair] = []
        self._offer = offer
        self._tags = tags
        self._at = _At.OPENING if tags.calls else _At.NAME
        self._written = ""
        """The name as far as it was read."""
        self._keys: set[str] = set()
        self._value: BareValue | None = None
        self._closers: tuple[str, ...] = ()
        """What may close the value; only the first is meant for it."""
        self._closer = ""
        self._kept: list[str] = []
        """A closer that may be none, and whitespace behind it."""
        self._torn = False
        """Whether the text at hand ends in what could begin another parameter."""
        self._scanner: JsonScanner | None = None
        self._out: list[str] = []

    def feed(self, text: str, start: int) -> int:
        """Consume what is certain; answers the position behind that, or of the character refused."""
        self._torn = False
        position = start
        while position < len(text) and self.status is Status.OPEN:
            end = self._read(text, position)
            if end == _UNDECIDED:
                self._torn = not text.startswith("</", position)
                break
            position = end
        return position

    def take(self) -> str:
        """The next stretch of the arguments that may leave."""
        stretch = self._out[0] if len(self._out) == 1 else "".join(self._out)
        self._out.clear()
        return stretch

    def close(self, *, delimited: bool) -> None:
        """Nothing more of it comes. Closers that are missing behind a complete parameter are added, if allowed."""
        if self._scanner is not None:
            self._scanner.close(delimited=delimited)
            self._scanned(self._scanner)
            return
        if self._at is _At.NAME and not self._tags.calls and self.status is Status.OPEN:
            self._name_is(self._written)
        if self._at is _At.CLOSER and not self._torn:
            self._value_ended()
        if self._at is _At.BETWEEN and not self._torn and self._could_be_whole():
            self._mend()
        else:
            self._refuse()

    def _could_be_whole(self) -> bool:
        """Whether nothing says that parameters are missing: there are some, or its tool needs none."""
        return bool(self._keys) or (self.name is not None and self._offer.fits(self.name, {}))

    def _read(self, text: str, position: int) -> int:
        """One step; answers where the next one begins, or _UNDECIDED."""
        if self._at is _At.VALUE:
            return self._in_value(text, position)
        if self._at is _At.NAME:
            return self._in_name(text, position)
        if self._scanner is not None:
            end = self._scanner.feed(text, position)
            self._scanned(self._scanner)
            return end
        start = past(text, position, WHITESPACE)
        if start > position:
            if self._at is _At.CLOSER:
                self._kept.append(text[position:start])
            return start
        match self._at:
            case _At.OPENING:
                return self._opening(text, start)
            case _At.KEY:
                return self._behind_key(text, start)
            case _At.CLOSER:
                return self._behind_closer(text, start)
            case _:
                return self._between(text, start)

    # ── the name ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _opening(self, text: str, start: int) -> int:
        for opener in self._tags.calls:
            if text.startswith(opener, start):
                self._at = _At.NAME
                return start + len(opener)
        return _UNDECIDED if could_be(self._tags.calls, text, start) else self._refuse(start)

    def _in_name(self, text: str, position: int) -> int:
        tagged = bool(self._tags.calls)
        if not tagged and not self._written:
            position = past(text, position, WHITESPACE)
        limit = position + LONGEST_TAG - len(self._written)
        if tagged:
            end = text.find(">", position, limit)
        else:
            match = _BARE_NAME.match(text, position, limit)
            end = match.end() if match and match.end() < min(len(text), limit) else -1
        self._written += text[position : end if end >= 0 else limit]
        if end < 0:
            return self._refuse(limit) if limit <= len(text) else len(text)
        self._name_is(self._written)
        self.begun = tagged
        if not tagged:
            return end
        return self._refuse(end + 1) if self.name is None else end + 1

    def _name_is(self, written: str) -> None:
        """The name is whole. One that is bare and unknown is refused only when it is seen to be one."""
        self._at = _At.BETWEEN
        name = name_in(written)
        self.name = self._offer.resolve(name) if name else None
        if self.name is not None and self.name != name:
            self.repairs.append(repaired(Step.NAME, name, self.name))

    # ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────

    def _between(self, text: str, start: int) -> int:
        closer = next((one for one in self._tags.after if text.startswith(one, start)), "")
        if not self._keys and (end := self._past_extra(self._tags.strays, text, start)) != start:
            return end
        key = False if closer else self._tags.key_at(text, start)
        json = text[start] == "{" and not self._keys
        if closer or json or isinstance(key, Key):
            self.begun = bool(self._written)
            if self.name is None:
                return self._refuse(start)
        if isinstance(key, Key):
            return self._begin(key)
        if closer in self._tags.closes:
            self._finish()
            return start + len(closer)
        if closer:
            self._mend()
        elif json:
            self._scanner = JsonScanner(self._offer.steps)
        elif key is None or could_be(self._tags.after, text, start):
            return _UNDECIDED
        else:
            self.status = Status.BAD  # what refused it may be a marker, and then it is whole all the same
        return start

    def _begin(self, key: Key) -> int:
        if key.name in self._keys or self.name is None or HALF_PAIR.search(key.name):
            return self._refuse(key.end)
        head = f"{', ' if self._keys else '{'}{encoded(key.name)}: "
        types = self._offer.types(self.name, key.name)
        self._value = BareValue(head, types, said=key.text, newlines=self._tags.newlines)
        self._keys.add(key.name)
        self._closers = (key.closer, *self._tags.after)
        if not self._tags.value:
            return self._open(key.end)
        self._at = _At.KEY
        return key.end

    def _open(self, position: int) -> int:
        assert self._value is not None
        self._out.append(self._value.begin())
        self._at = _At.VALUE
        return position

    def _behind_key(self, text: str, start: int) -> int:
        """A closer of the key that is there twice is dropped, the tag that opens the value may be missing."""
        tag = self._tags.value
        if text.startswith(tag, start):
            return self._open(start + len(tag))
        if (end := self._past_extra((self._tags.key_ends,), text, start)) != start:
            return end
        if could_be((tag,), text, start):
            return _UNDECIDED
        if Step.BRACKETS not in self._offer.steps:
            return self._refuse(start)
        self.repairs.append(repaired(Step.BRACKETS, "", tag))
        return self._open(start)

    def _past_extra(self, closers: tuple[str, ...], text: str, start: int) -> int:
        """The position behind a closer too many that stands here and may be dropped, else `start`."""
        if Step.BRACES not in self._offer.steps:
            return start
        if could_be(closers, text, start):
            return _UNDECIDED
        extra = next((one for one in closers if text.startswith(one, start)), "")
        if extra:
            self.repairs.append(repaired(Step.BRACES, extra, ""))
        return start + len(extra)

    def _in_value(self, text: str, position: int) -> int:
        closers = self._closers
        at = text.find("</", position)
        while at >= 0 and not text.startswith(closers, at) and not could_be(closers, text, at):
            at = text.find("</", at + 1)
        end = at if at >= 0 else len(text) - text.endswith("<")
        if end > position:
            return self._add(text[position:end], end)
        if not text.startswith(closers, position):
            return _UNDECIDED
        self._closer = next(closer for closer in closers if text.startswith(closer, position))
        self._kept = [self._closer]
        self._at = _At.CLOSER
        return position + len(self._closer)

    def _add(self, stretch: str, end: int) -> int:
        assert self._value is not None
        half = HALF_PAIR.search(stretch)
        sound = stretch if half is None else stretch[: half.start()]
        self._out.append(self._value.add(sound))
        return end if half is None else self._refuse(end - len(stretch) + len(sound))

    def _behind_closer(self, text: str, start: int) -> int:
        own = self._closer == self._closers[0]
        followers = self._tags.after
        if not own:  # the call is closed while its parameter is not: then what closes the block must come
            followers = self._tags.ends if self._closer in self._tags.closes else ()
        key = self._tags.key_at(text, start) if own else False
        real = text.startswith(followers, start) or isinstance(key, Key)
        if not real and (key is None or could_be(followers, text, start)):
            return _UNDECIDED
        if not real:
            self._at = _At.VALUE
            return self._add("".join(self._kept), start)
        self._value_ended()
        if not own and self.status is Status.OPEN:
            self._mend()
        return start

    def _value_ended(self) -> None:
        assert self._value is not None
        rest = self._value.end()
        self._at = _At.BETWEEN
        if rest is None:
            self._refuse()
        else:
            self._out.append(rest)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _scanned(self, scanner: JsonScanner) -> None:
        self._out.append(scanner.take())
        self.status = scanner.status
        if self.status is Status.DONE:
            self.repairs += scanner.repairs

    def _mend(self) -> None:
        """All parameters are whole, but a closer is missing."""
        if Step.BRACKETS not in self._offer.steps:
            self._refuse()
            return
        self.repairs.append(repaired(Step.BRACKETS, "", self._tags.closes[0]))
        self._finish()

    def _finish(self) -> None:
        self._out.append("}" if self._keys else "{}")
        self.status = Status.DONE

    def _refuse(self, position: int = 0) -> int:
        self.status = Status.BAD
        self._at = _At.NOWHERE
        return position
