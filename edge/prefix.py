"""Hashes of a conversation's beginnings: where one was seen before, a replica may hold its keys and values. Pure.

Tools and leading system turns are the first block, each further turn is one more. A block's hash covers all that came
before it, under a salt of principal and model: nobody can learn by timing what somebody else has asked. They are hints
for routing and never an identity, so what changes without mattering is left out: lines that tell the date, the ids of
calls, and reasoning, which templates drop from the past. It costs 0.1 to 0.8 ms per 100 kB, the
more the shorter the turns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

from cortex.edge.billing import MARK
from cortex.protocol.request import Chat, Text, Turn

Blocks = tuple[tuple[bytes, int], ...]

HASH_BYTES = 8
FIRST = 8
LAST = 56
"""A longer conversation keeps its first and last blocks: the head that many share, and the turns that come next."""
SEARCHED = 16 * 1024
"""How many bytes of a system text are searched for lines that change."""
SEARCHED_AT_ALL = 4 * SEARCHED
"""And how many of all of them: a search may cost a thousand times what a hash does."""
LONGEST_LINE = 200
"""A longer line says more than what time it is."""

_MONTH = rb"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_MOMENT = re.compile(
    rb"\d{4}-\d\d-\d\d|\d{1,2}:\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\b[0-9a-f]{8}-[0-9a-f]{4}-"
    rb"|\b%b \d{1,2}\b|\b\d{1,2}(?:st|nd|rd|th)?\.? %b" % (_MONTH, _MONTH)
)
_BILLING = MARK.encode()
_WORDS = (b"date", b"time", b"today", b"now", b"clock", b"as of", b"session", b"request", _BILLING)
_NOW = re.compile(rb"\b(?:today|date|time|timestamp|now|clock|as of|(?:session|request)[ _-]?id)\b")


def blocks(chat: Chat, principal: str) -> Blocks:
    """(hash, bytes covered) of the first and the last beginnings, shortest first."""
    running = blake2b(_framed(principal, chat.model), digest_size=HASH_BYTES)
    pieces = list(_pieces(chat))
    found: list[tuple[bytes, int]] = []
    covered = 0
    for index, piece in enumerate(pieces):
        running.update(piece)
        covered += len(piece)
        if index < FIRST or index >= len(pieces) - LAST:
            found.append((running.copy().digest(), covered))
    return tuple(found)


def _pieces(chat: Chat) -> Iterator[bytes]:
    """The canonical bytes of each block."""
    turns = chat.turns
    head = [part for tool in chat.tools for part in ("tool", tool.name, tool.description, tool.schema)]
    system = 0
    left = SEARCHED_AT_ALL
    while system < len(turns) and turns[system].role == "system":
        head.append("system")
        for text in _texts(turns[system]):
            head.append(without_volatile(text, min(left, SEARCHED)))
            left -= min(left, len(text))
        system += 1
    if head:
        yield _framed(*head)
    for turn in turns[system:]:
        calls = [part for call in turn.tool_calls for part in ("call", call.name, call.arguments)]
        yield _framed(turn.role, turn.name, *_texts(turn), *calls)


def _texts(turn: Turn) -> Iterator[bytes]:
    for part in turn.parts:
        yield _bytes(part.text) if isinstance(part, Text) else _bytes(part.mime) + blake2b(part.data).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _framed(*parts: str | bytes) -> bytes:
    """Parts behind their lengths: no two lists of parts have the same bytes."""
    out = [b"%d;" % len(parts)]
    for part in parts:
        data = part if isinstance(part, bytes) else _bytes(part)
        out += (b"%d:" % len(data), data)
    return b"".join(out)


def without_volatile(text: bytes, searched: int = SEARCHED) -> bytes:
    """A system text without the lines that differ from one request to the next: billing headers, dates, times.

    They are looked for in so many bytes at its front.
    """
    whole_lines = len(text) if len(text) <= searched else text.rfind(b"\n", 0, searched) + 1
    if not whole_lines:
        return text
    head = text[:whole_lines].lower()
    dropped: dict[int, int] = {}
    for word in _WORDS:  # a search for words is quick, and few lines have one
        at = head.find(word)
        while at >= 0:
            start, end = head.rfind(b"\n", 0, at) + 1, head.find(b"\n", at)
            end = len(head) if end < 0 else end
            if start not in dropped and _is_volatile(head[start:end]):
                dropped[start] = end
            at = head.find(word, end)
    kept: list[bytes] = []
    at = 0
    for start in sorted(dropped):
        kept.append(text[at:start])
        at = dropped[start] + 1
    return b"".join((*kept, text[at:]))


def _is_volatile(line: bytes) -> bool:
    if line.lstrip().startswith(_BILLING):
        return True
    return len(line) <= LONGEST_LINE and _NOW.search(line) is not None and _MOMENT.search(line) is not None
