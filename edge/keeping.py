"""What outlives a request, as an edge worker leaves it with a broker and finds it again. No broker is waited for longer
than a second.

The rendezvous hash of a name says who is to have what it stands for. One that is dead or stands still lives for a few
seconds more in everybody's eyes: if it does not answer soon, the next in rank keeps it as well. And one that joined may
have become the owner of a name without having anything. So all that live are asked, at once, where something is.

It may be megabytes. Who asks for the same at the same time shares one answer, and of one principal no more than a few are
on their way or handed out at a time: others have the connection and the loop between them. It knows no sockets and
nothing of what is kept.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from typing import Protocol
from weakref import WeakValueDictionary

from msgspec import Struct

from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import Fetch, Forget, Held, Keep

DEADLINE_S = 1.0
PATIENCE_S = 0.25
"""Seconds that a broker has to say that it keeps something, before the next one is given it too."""
AT_ONCE = 2
"""How many are fetched, or handed out to be decoded, at a time for one principal."""
LARGE = 64 * 1024
"""Bytes from which on handing out takes a turn: less is decoded in no time."""
_Answer = asyncio.Future[bytes | None]
SILENT = Fault(code=Code.BROKER_LOST, message="The broker that keeps responses does not answer; try again.")


class Keeper(Protocol):
    """Where something is kept for a while, by name, for one principal."""

    async def keep(self, name: str, principal: str, data: bytes) -> bool:
        """Whether it is kept. It may be lost at any time. Raises nothing."""

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
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._ranked = ranked
        self._send = send
        self._deadline_s = deadline_s
        self._patience_s = patience_s
        self._numbers = itertools.count()
        self._asked: dict[tuple[int, int], _Answer] = {}
        """By (broker, number)."""
        self._fetching: dict[tuple[str, str], asyncio.Task[bytes | None]] = {}
        """By (name, principal); who asks for it meanwhile waits for the same."""
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """By principal, as long as somebody has a turn or waits for one."""

    def answered(self, broker: int, held: Held, payload: tuple[bytes, ...]) -> None:
        """A broker has answered; what nobody waits for any more is dropped."""
        waiting = self._asked.get((broker, held.ask))
        if waiting is not None and not waiting.done():
            found = payload[0] if payload else b""
            waiting.set_result(found if held.found else None)

    async def keep(self, name: str, principal: str, data: bytes) -> bool:
        """Leave it with its owner; with the next in rank too if that one does not keep it, or does not say so."""
        waiting: set[_Answer] = set()
        try:
            async with asyncio.timeout(self._deadline_s):
                for broker in self._ranked(name):
                    message = Keep(ask=next(self._numbers), name=name, principal=principal)
                    waiting.add(self._ask(broker, message, data))
                    if await _is_kept(waiting, self._patience_s):
                        return True
                while waiting:
                    if await _is_kept(waiting):
                        return True
        except TimeoutError:
            return False
        finally:
            _give_up(waiting)
            self._fetching.pop((name, principal), None)  # who asks from now on is to find it
        return False

    async def fetch(self, name: str, principal: str) -> bytes | None:
        """Ask all for it, once for everybody who wants it; what is large is handed out a few at a time."""
        fetching = self._fetching.get((name, principal))
        if fetching is None:
            fetching = asyncio.ensure_future(self._fetch(name, principal))
            self._fetching[name, principal] = fetching
        found = await asyncio.shield(fetching)
        if found is not None and len(found) >= LARGE:
            turn = self._turn(principal)
            await turn.acquire()
            # It is decoded now, before the loop comes to this.
            asyncio.get_running_loop().call_soon(turn.release)
        return found

    async def forget(self, name: str, principal: str) -> bool:
        """Have all drop it: more than one may have it."""
        waiting = self._ask_all(name, lambda number: Forget(ask=number, name=name, principal=principal))
        try:
            done, silent = await asyncio.wait(waiting, timeout=self._deadline_s)
        finally:
            _give_up(waiting)
            self._fetching.pop((name, principal), None)  # who asks from now on is not to find it
        if any(answer.result() is not None for answer in done):
            return True
        if silent:
            raise FaultError(SILENT)
        return False

    async def _fetch(self, name: str, principal: str) -> bytes | None:
        """In its turn. Those that wait for a turn to decode came before: no more is fetched than can be handed out."""
        try:
            async with self._turn(principal):
                return await self._first(name, principal)
        finally:
            if self._fetching.get((name, principal)) is asyncio.current_task():
                del self._fetching[name, principal]

    async def _first(self, name: str, principal: str) -> bytes | None:
        """The first answer that it is there, None if all say that it is not."""
        waiting = self._ask_all(name, lambda number: Fetch(ask=number, name=name, principal=principal))
        try:
            async with asyncio.timeout(self._deadline_s):
                for earliest in asyncio.as_completed(waiting):
                    if (found := await earliest) is not None:
                        return found
        except TimeoutError as error:
            raise FaultError(SILENT) from error
        finally:
            _give_up(waiting)
        return None

    def _turn(self, principal: str) -> asyncio.Semaphore:
        """Who waits first has it first."""
        turn = self._turns.get(principal)
        if turn is None:
            turn = self._turns[principal] = asyncio.Semaphore(AT_ONCE)
        return turn

    def _ask_all(self, name: str, message: Callable[[int], Keep | Fetch | Forget]) -> set[_Answer]:
        """Whoever lives. Raises `FaultError` if nobody does."""
        brokers = self._ranked(name)
        if not brokers:
            raise FaultError(SILENT)
        return {self._ask(broker, message(next(self._numbers))) for broker in brokers}

    def _ask(self, broker: int, message: Keep | Fetch | Forget, *attachments: bytes) -> _Answer:
        key = broker, message.ask
        waiting: _Answer = asyncio.get_running_loop().create_future()
        self._asked[key] = waiting
        waiting.add_done_callback(lambda _: self._asked.pop(key, None))
        self._send(broker, message, attachments)
        return waiting


async def _is_kept(waiting: set[_Answer], timeout_s: float | None = None) -> bool:
    """Wait for one answer more, and take what has come from `waiting`: does one of them keep it?"""
    done, _ = await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    waiting -= done
    return any(answer.result() is not None for answer in done)


def _give_up(waiting: Iterable[_Answer]) -> None:
    for answer in waiting:
        answer.cancel()
