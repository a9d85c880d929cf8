"""A link without a broker: tests script what the fleet says, and see what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from cortex.edge.brokers import BrokerHealth
from cortex.edge.catalogue import Catalogue
from cortex.edge.events import Ticket
from cortex.edge.keeping import SILENT
from cortex.edge.link import GONE
from cortex.edge.stream import Item, Stream
from cortex.protocol.codec import decode_request
from cortex.protocol.deltas import Delta, Finish, Piece, TextPiece
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import Accepted, CatalogueEntry, Finished, Names, Welcome
from cortex.protocol.request import Chat
from cortex.protocol.values import Usage

Script = Callable[[Ticket, Stream], None]
DEMO = CatalogueEntry(
    id="demo",
    loaded=True,
    state="hot",
    context=4096,
    capabilities=("text", "tools"),
    locations=(("host/0", "hot", 0),),
)
ORG_DEMO = CatalogueEntry(id="org/demo-1b", loaded=False)


class MemoryKeeper:
    """Keeps everything, and answers at once, or that it is kept once `gate` opens; without a broker it raises."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}
        self.silent = False
        self.gate: asyncio.Event | None = None

    async def keep(self, name: str, principal: str, data: bytes) -> bool:
        self.kept[name, principal] = data
        if self.gate is not None:
            await self.gate.wait()
        return True

    async def fetch(self, name: str, principal: str) -> bytes | None:
        if self.silent:
            raise FaultError(SILENT)
        return self.kept.get((name, principal))

    async def forget(self, name: str, principal: str) -> bool:
        return self.kept.pop((name, principal), None) is not None


class MemoryLink:
    """Runs `script` on each request at once; without one the test puts items into `streams` itself."""

    def __init__(
        self,
        script: Script | None = None,
        models: Iterable[CatalogueEntry] = (DEMO, ORG_DEMO),
        names: Names | None = None,
    ) -> None:
        self.catalogue = Catalogue()
        self.keeping = MemoryKeeper()
        self.script = script
        self.tickets: list[Ticket] = []
        self.streams: dict[str, Stream] = {}
        self.cancelled: list[str] = []
        self.running = False
        self.keepalive_s = 10.0
        self.others: tuple[BrokerHealth, ...] = ()
        """Brokers besides the one that tells the catalogue."""
        self._models = tuple(models)
        self._names = names
        self.meet_broker()

    def meet_broker(self) -> None:
        welcome = Welcome(broker="memory", catalogue=1, neurons=1, models=self._models, names=self._names)
        self.catalogue.update(welcome)

    @property
    def brokers(self) -> tuple[BrokerHealth, ...]:
        return (BrokerHealth(self.catalogue.broker, live=bool(self.catalogue.broker)), *self.others)

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def open(self, ticket: Ticket) -> Stream:
        if not self.catalogue.broker:
            raise FaultError(Fault(code=Code.BROKER_LOST, message="no broker can be reached; try again"))
        stream = Stream(ticket.request, leave=self._leave, keepalive_s=self.keepalive_s)
        self.tickets.append(ticket)
        self.streams[ticket.request] = stream
        if self.script is not None:
            self.script(ticket, stream)
        return stream

    def close(self, fault: Fault) -> None:
        for stream in self.streams.values():
            if not stream.ended:
                stream.end(fault)

    def _leave(self, request: str) -> None:
        self.cancelled.append(request)
        self.streams[request].end(GONE)

    @property
    def chat(self) -> Chat:
        """The last request, as a neuron would decode it."""
        request = decode_request(self.tickets[-1].attachments[0])
        assert isinstance(request, Chat)
        return request


def delta(ticket: Ticket, seq: int, *pieces: Piece, choice: int = 0, tokens: int = 1) -> Delta:
    """A delta of `tokens` tokens."""
    return Delta(ticket.request, 1, choice, seq, list(range(seq, seq + tokens)), list(pieces))


def accepted(ticket: Ticket) -> Accepted:
    return Accepted(request=ticket.request, attempt=1, prompt_tokens=7, cached_tokens=3)


def finished(ticket: Ticket, *totals: int) -> Finished:
    usage = Usage(prompt=7, completion=sum(totals), cached=3, reasoning=1)
    return Finished(request=ticket.request, attempt=1, totals=totals, usage=usage)


def answer(*pieces: Piece, tokens_each: int = 1) -> Script:
    """A script that accepts, says these pieces one delta each, and finishes."""

    def script(ticket: Ticket, stream: Stream) -> None:
        stream.put(accepted(ticket))
        seq = 0
        for piece in pieces:
            stream.put(delta(ticket, seq, piece, tokens=tokens_each))
            seq += tokens_each
        stream.end(finished(ticket, seq))

    return script


def say(text: str) -> Script:
    """A script that answers with this text, word by word."""
    words = [TextPiece(word) for word in text.replace(" ", "\0 ").split("\0")]
    return answer(*words, Finish("stop"))


def fail(code: Code, *, first: tuple[Item, ...] = (), retry_after: float | None = None) -> Script:
    """A script that fails, after these items."""

    def script(_ticket: Ticket, stream: Stream) -> None:
        for item in first:
            stream.put(item)
        stream.end(Fault(code=code, message=f"scripted {code.value}", retry_after=retry_after))

    return script
