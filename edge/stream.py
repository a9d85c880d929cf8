"""The mailbox of one request: what the broker says about it, as its HTTP handler takes it. Bounded in bytes of memory.

Everything that is there is taken at once, so that one wake-up costs one write, however many tokens have come; of a box
that filled up behind a slow reader no more than a write's worth, so that other requests have their turn. It knows no
sockets and no dialect; whoever fills it decides what an overflow means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cortex.protocol.deltas import Delta, ReasoningPiece, Scores, TextPiece, ToolArguments, ToolStart
from cortex.protocol.faults import Fault, FaultError
from cortex.protocol.messages import Accepted, Counted, Finished, Loading, Queued
from cortex.protocol.values import Usage

Outcome = Finished | Counted | Fault
Item = Queued | Loading | Accepted | Delta | Finished | Counted | Fault

MAX_BYTES = 4 * 1024 * 1024
WRITE_BYTES = 64 * 1024
"""What is taken at once: some milliseconds of encoding."""
ITEM_BYTES = 400
"""What an item weighs in memory besides its text."""
RATED_BYTES = 128
"""What each token weighs that a score names; with twenty alternatives they are nearly all of a delta."""


class Stream:
    """One request, from its submission to its one terminal, which is the last item taken."""

    def __init__(
        self,
        request: str,
        *,
        leave: Callable[[str], None],
        keepalive_s: float = 10.0,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.request = request
        self.payload: tuple[bytes, ...] = ()
        """What came with the terminal: an embedding's vectors."""
        self._leave = leave
        self._loop = asyncio.get_running_loop()
        self._items: list[Item] = []
        self._bytes = 0
        self._parts = 0
        """How many parts of a prompt that is said again are among the items."""
        self._max_bytes = max_bytes
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._keepalive_s = keepalive_s
        self.overdue = False
        """Whether its client has heard nothing for `keepalive_s`, whatever has come: a parser may hold all of it back."""
        self._said_at = self._loop.time()
        self._nudge = self._loop.call_later(keepalive_s, self._on_quiet)

    @property
    def ended(self) -> bool:
        """Whether the terminal has come."""
        return self._ended

    def put(self, item: Item) -> bool:
        """Add an item; False if its client reads too slowly to hold more."""
        self._items.append(item)
        self._bytes += _weight(item)
        self._parts += _is_part(item)
        self._wake()
        return self._bytes <= self._max_bytes

    def end(self, outcome: Outcome, payload: tuple[bytes, ...] = ()) -> None:
        """Add the terminal."""
        self._ended = True
        self.payload = payload
        self._nudge.cancel()
        self._items.append(outcome)
        self._wake()

    def cancel(self) -> None:
        """Nobody wants the answer any more. Does nothing once it has ended."""
        if not self._ended:
            self._leave(self.request)

    async def verdict(self) -> None:
        """Wait until the broker has said something; raises its fault if that is the first thing it says."""
        while not self._items:
            await self._wait()
        first = self._items[0]
        if isinstance(first, Fault):
            raise FaultError(first)

    async def take(self) -> list[Item]:
        """All items that are there, in order; waits for one. Empty where nothing has been said for `keepalive_s`.

        Of more than `WRITE_BYTES` the rest comes next time, and so do the parts of a prompt that is said again, one by
        one: they take a while to write, and other requests have their turn between them.
        """
        if not self._items:
            await self._wait()
        elif self._is_crowded():
            await asyncio.sleep(0)
        items, self._items = self._items, []
        if self._is_crowded():
            items, self._items = _cut(items)
            self._bytes -= sum(map(_weight, items))
            self._parts -= _is_part(items[-1])
        else:
            self._bytes = 0
        return items

    def said(self) -> None:
        """Its client has just been sent something: `keepalive_s` begin anew."""
        self._said_at = self._loop.time()
        self.overdue = False

    def _is_crowded(self) -> bool:
        return bool(self._parts) or self._bytes > WRITE_BYTES

    @property
    def known(self) -> Usage:
        """What is known of the prompt, if it is served already and nothing has been taken yet; else nothing."""
        for item in self._items:
            if isinstance(item, Accepted):
                return Usage(prompt=item.prompt_tokens, cached=item.cached_tokens)
        return Usage()

    async def outcome(self) -> Finished | Counted:
        """Wait for the end; raises the fault if it is one."""
        while True:
            for item in await self.take():
                if isinstance(item, Finished | Counted):
                    return item
                if isinstance(item, Fault):
                    raise FaultError(item)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_quiet(self) -> None:
        """One timer per stream, moved along, rather than one per wait."""
        due = self._said_at + self._keepalive_s
        now = self._loop.time()
        if now >= due:
            self._said_at = now
            self.overdue = True
            self._wake()
            due = now + self._keepalive_s
        self._nudge = self._loop.call_at(due, self._on_quiet)


def _is_part(item: Item) -> bool:
    return type(item) is Delta and not item.tokens


def _cut(items: list[Item]) -> tuple[list[Item], list[Item]]:
    """What is written now, and the rest: up to the first part of a prompt, or as much as a write's worth."""
    size = 0
    for at, item in enumerate(items, start=1):
        size += _weight(item)
        if size >= WRITE_BYTES or _is_part(item):
            return items[:at], items[at:]
    return items, []


def _weight(item: Item) -> int:
    """The terminal weighs nothing, nor a prompt that is said again: it comes once, and is as long as the client made it."""
    if type(item) is not Delta:
        return 0 if isinstance(item, Outcome) else ITEM_BYTES
    if not item.tokens:
        return 0
    weight = ITEM_BYTES
    for piece in item.pieces:
        if type(piece) is TextPiece or isinstance(piece, (ReasoningPiece, ToolArguments)):
            weight += len(piece.text)
        elif isinstance(piece, Scores):
            weight += RATED_BYTES * sum(1 + len(score.likeliest) for score in piece.scores)
        elif isinstance(piece, ToolStart):
            weight += len(piece.id) + len(piece.name)
    return weight
