"""What outlives a request, as an edge worker leaves it with a broker and finds it again. Waits for a second at most.

The rendezvous hash of its name says which broker has it. One that joined since may have become the owner of a name
without having what it stands for, so the others are asked too. It knows no sockets and nothing of what is kept.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import Fetch, Forget, Held, Keep

DEADLINE_S = 1.0
SILENT = Fault(code=Code.BROKER_LOST, message="The broker that keeps responses does not answer; try again.")


class Keeper(Protocol):
    """Where something is kept for a while, by name, for one principal."""

    async def keep(self, name: str, principal: str, data: bytes) -> bool:
        """Whether it is kept. It may be lost at any time."""

    async def fetch(self, name: str, principal: str) -> bytes | None:
        """What is kept under this name. Raises `FaultError` if nobody answers who could know."""

    async def forget(self, name: str, principal: str) -> bool:
        """Whether it was there. Raises `FaultError` if nobody answers who could know."""


class Keeping:
    """The questions of one worker that are not answered yet."""

    def __init__(
        self,
        ranked: Callable[[str], list[int]],
        send: Callable[[int, Struct, tuple[bytes, ...]], None],
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._ranked = ranked
        self._send = send
        self._deadline_s = deadline_s
        self._numbers = itertools.count()
        self._asked: dict[tuple[int, int], asyncio.Future[bytes | None]] = {}
        """By (broker, number)."""

    def answered(self, broker: int, held: Held, payload: tuple[bytes, ...]) -> None:
        """A broker has answered; what nobody waits for any more is dropped."""
        waiting = self._asked.get((broker, held.ask))
        if waiting is not None and not waiting.done():
            found = payload[0] if payload else b""
            waiting.set_result(found if held.found else None)

    async def keep(self, name: str, principal: str, data: bytes) -> bool:
        """Leave it with its owner."""
        for broker in self._ranked(name)[:1]:
            number = next(self._numbers)
            try:
                async with asyncio.timeout(self._deadline_s):
                    message = Keep(ask=number, name=name, principal=principal)
                    return await self._ask(broker, number, message, data) is not None
            except TimeoutError:
                return False
        return False

    async def fetch(self, name: str, principal: str) -> bytes | None:
        """Ask its owner, then whoever was before."""
        return await self._first(name, lambda number: Fetch(ask=number, name=name, principal=principal))

    async def forget(self, name: str, principal: str) -> bool:
        """Have whoever has it drop it."""
        found = await self._first(name, lambda number: Forget(ask=number, name=name, principal=principal))
        return found is not None

    async def _first(self, name: str, message: Callable[[int], Struct]) -> bytes | None:
        """The first answer that something is there, None if all say that nothing is."""
        brokers = self._ranked(name)
        if not brokers:
            raise FaultError(SILENT)
        try:
            async with asyncio.timeout(self._deadline_s):
                for broker in brokers:
                    number = next(self._numbers)
                    found = await self._ask(broker, number, message(number))
                    if found is not None:
                        return found
        except TimeoutError as error:
            raise FaultError(SILENT) from error
        return None

    async def _ask(self, broker: int, number: int, message: Struct, *attachments: bytes) -> bytes | None:
        waiting: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._asked[broker, number] = waiting
        try:
            self._send(broker, message, attachments)
            return await waiting
        finally:
            del self._asked[broker, number]
