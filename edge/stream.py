"""The mailbox of one request: what the broker says about it, as its HTTP handler takes it. Bounded in bytes.

Everything that is there is taken at once, so that one wake-up costs one write, however many tokens have come. It
knows no sockets and no dialect; whoever fills it decides what an overflow means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cortex.protocol.deltas import Delta, ReasoningPiece, TextPiece, ToolArguments
from cortex.protocol.faults import Fault, FaultError
from cortex.protocol.messages import Accepted, Counted, Finished, Loading, Queued

Outcome = Finished | Counted | Fault
Item = Queued | Loading | Accepted | Delta | Finished | Counted | Fault

MAX_BYTES = 1024 * 1024
ITEM_BYTES = 64
"""What an item weighs besides its text."""


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
        self.keepalive_s = keepalive_s
        self._taken_at = self._loop.time()
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
        """All items that are there, in order; waits for one. Empty after `keepalive_s` of silence.

        The parts of a prompt that is said again come one at a time: each takes a while to write, if it is rated, and
        other requests have their turn between them.
        """
        if not self._items:
            await self._wait()
        elif self._parts:
            await asyncio.sleep(0)
        items, self._items = self._items, []
        self._bytes = 0
        if self._parts:
            cut = next((at for at, item in enumerate(items, start=1) if _is_part(item)), len(items))
            items, self._items = items[:cut], items[cut:]
            self._bytes = sum(map(_weight, self._items))
            self._parts -= _is_part(items[-1])
        self._taken_at = self._loop.time()
        return items

    @property
    def prompt_tokens(self) -> int:
        """The prompt's length, if it is served already and nothing has been taken yet; else 0."""
        accepted = [item for item in self._items if isinstance(item, Accepted)]
        return accepted[0].prompt_tokens if accepted else 0

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
        due = self._taken_at + self.keepalive_s
        now = self._loop.time()
        if now >= due:
            self._taken_at = now
            self._wake()
            due = now + self.keepalive_s
        self._nudge = self._loop.call_at(due, self._on_quiet)


def _is_part(item: Item) -> bool:
    return type(item) is Delta and not item.tokens


def _weight(item: Item) -> int:
    """A prompt that is said again weighs nothing: it comes once, and is as long as the client made it."""
    weight = ITEM_BYTES
    if type(item) is Delta and item.tokens:
        for piece in item.pieces:
            if type(piece) is TextPiece or isinstance(piece, (ReasoningPiece, ToolArguments)):
                weight += len(piece.text)
    return weight
