"""A device's mind: which broker asked for what, and who is told what the engine produced.

Messages and link changes in, outboxes filled; the rim (`cortex.neuron.device.loop`) empties them. One link per broker.
Which models there are is decided in `cortex.neuron.placing` and kept in `cortex.neuron.residency`. Generate is idempotent
by (request, attempt): a duplicate of a live attempt is answered `Accepted` again, one of an attempt that ended gets the
recorded terminal again. Work whose broker is gone for 5 s is cancelled. No clock here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from msgspec import Struct, structs

from cortex.neuron.config import ModelSettings
from cortex.neuron.ended import Ended
from cortex.neuron.engine.base import Embedded, Engine, Job, Key, Output
from cortex.neuron.invariants import check as check_residency
from cortex.neuron.outbox import Outbox
from cortex.neuron.placing import DRAINED, Placing
from cortex.neuron.residency import Residency
from cortex.protocol import messages as m
from cortex.protocol.codec import WireError, decode_request
from cortex.protocol.deltas import Delta
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.frames import Frame
from cortex.protocol.request import model_of

ORPHAN = 5.0
"""Seconds for which work goes on without its broker."""
BACKLOG = 65_536
"""Tokens that may wait for one broker before its work is cancelled: nobody is reading."""
TELLING = frozenset({Code.BUSY, Code.DRAINING})
"""Refusals that come with the models as they are, for the broker believed otherwise."""
LEAVING = Fault(code=Code.DRAINING, message="The neuron is shutting down; try again.", retry_after=1)


@dataclass(slots=True)
class Link:
    """One broker, as seen from here. `down_since` is None while it can be written to."""

    index: int
    counter: bytes = b""
    """The routing id of the socket on which tokens are counted for it."""
    session: bytes = b""
    registered: bool = False
    answers_beats: bool = False
    announced: int = -1
    down_since: float | None = 0.0
    outbox: Outbox = field(default_factory=Outbox)

    @property
    def awaits(self) -> bool:
        """Whether it is to say something soon."""
        return self.answers_beats or not self.registered


@dataclass(slots=True)
class Work:
    """A live attempt at a request for `model`: who asked for it and where its deltas go."""

    model: str
    link: Link
    session: bytes
    edge: bytes


class Core:
    """See the module's docstring."""

    def __init__(
        self,
        node: str,
        engine: Engine,
        links: int,
        budget: int,
        asleep_budget: int = 0,
        *,
        counters: tuple[bytes, ...] = (),
    ) -> None:
        self.node = node
        self.engine = engine
        self.residency = Residency(engine, budget, asleep_budget)
        self.placing = Placing(self.residency)
        self.links = [Link(index, counter) for index, counter in enumerate(counters or (b"",) * links)]
        self.work: dict[Key, Work] = {}
        self.dropped = 0
        self.tokens = 0
        self._ended = Ended()
        self._leaving = False
        self._live: tuple[tuple[Key, ...], ...] | None = None

    def start(self, models: tuple[ModelSettings, ...], now: float) -> None:
        """Begin to load what neuron.toml names. The engine has been started."""
        self.placing.start(models, now)

    # ── links ────────────────────────────────────────────────────────────────────────────────────────────────────

    def link_up(self, index: int) -> None:
        """The broker can be written to (again): introduce ourselves, which is idempotent.

        What waited in the outbox stays: the socket may only have been full. If the connection was lost instead, the
        edge finds the gap by its sequence numbers.
        """
        link = self.links[index]
        link.down_since = None
        self._introduce(link)

    def link_down(self, index: int, now: float) -> None:
        """The broker cannot be written to."""
        link = self.links[index]
        if link.down_since is None:
            link.down_since = now
            link.registered = False

    def link_renewed(self, index: int, counter: bytes, now: float) -> None:
        """The broker was silent. It is called over another connection, as if for the first time: what it had is lost."""
        link = self.links[index]
        self._cancel_all(link)
        link.counter = counter
        link.answers_beats = False
        self.link_down(index, now)

    def tick(self, now: float) -> None:
        """Cancel work that nobody can be reading, and tell of residency: what changed, and how far loads are."""
        progress = self.residency.tick(now)
        for link in self.links:
            lost = link.down_since is not None and now - link.down_since >= ORPHAN
            if lost or link.outbox.tokens > BACKLOG:
                self._cancel_all(link)
            if link.registered:
                if link.announced != self.residency.version:
                    self._announce(link)
                for message in progress:
                    link.outbox.post(message)

    def _introduce(self, link: Link) -> None:
        link.registered = False
        device = self.residency.device
        link.outbox.post(m.Register(node=self.node, device=device, counter=link.counter))

    def _cancel_all(self, link: Link) -> None:
        link.outbox.clear()
        for key, work in self.work.items():
            if work.link is link:
                self.engine.cancel(key)

    def _announce(self, link: Link) -> None:
        residency = self.residency
        link.announced = residency.version
        link.outbox.post(
            m.Ready(
                version=residency.version,
                device=residency.device,
                models=residency.models,
                drained=residency.drained,
                cycles=residency.cycles,
                evictions=residency.evictions,
            )
        )

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(
        self, index: int, session: bytes, message: Struct, payload: tuple[Frame, ...], now: float
    ) -> None:
        """Take a broker's message; a kind that does not belong here is counted and dropped."""
        link = self.links[index]
        match message:
            case m.Registered():
                link.answers_beats = message.answers_beats
                if not link.registered or session != link.session:
                    link.registered = True
                    link.session = session
                    self._announce(link)
            case m.RegisterAgain():
                self._introduce(link)
            case m.Generate():
                self._generate(link, session, message, payload, now)
            case m.Cancel():
                self._cancel(link, message)
            case m.Place() | m.Commit() | m.Pin() | m.Drain():
                answer = self.placing.carry_out(message, now)
                if answer is not None:
                    link.outbox.post(answer)
            case _:
                self.dropped += 1

    def _generate(
        self, link: Link, session: bytes, message: m.Generate, payload: tuple[Frame, ...], now: float
    ) -> None:
        key = (message.request, message.attempt)
        accepted = m.Accepted(request=key[0], attempt=key[1])
        if key in self.work:
            link.outbox.post(accepted)
            return
        if (told := self._ended.of(key)) is not None:
            link.outbox.post(*told)
            return
        try:
            if self._leaving:
                raise FaultError(LEAVING)
            if self.residency.drained:
                raise FaultError(DRAINED)
            job = self._job(key, message, payload)
            model = model_of(job.request)
            self.residency.demand(model)
            known = self.engine.admit(job, now)
        except FaultError as error:
            models = self.residency.models if error.fault.code in TELLING else ()
            link.outbox.post(m.Refused(request=key[0], attempt=key[1], fault=error.fault, models=models))
            return
        self.work[key] = Work(model, link, session, message.edge)
        self._live = None
        self.residency.began(model)
        link.outbox.post(structs.replace(accepted, prompt_tokens=known.prompt, cached_tokens=known.cached))

    def _job(self, key: Key, message: m.Generate, payload: tuple[Frame, ...]) -> Job:
        if not payload:
            raise FaultError(Fault(code=Code.INTERNAL, message="The request came without its body."))
        try:
            request = decode_request(payload[0])
        except WireError as error:
            self.dropped += 1
            fault = Fault(code=Code.INTERNAL, message=f"The request could not be decoded ({error.reason}).")
            raise FaultError(fault) from error
        attachments = tuple(bytes(frame) for frame in payload[1:])
        return Job(key, request, message.prefix, attachments, message.principal)

    def _cancel(self, link: Link, message: m.Cancel) -> None:
        key = (message.request, message.attempt)
        if key in self.work:
            self.engine.cancel(key)
        elif (told := self._ended.of(key)) is not None:
            link.outbox.post(*told)

    # ── what the engine produced ─────────────────────────────────────────────────────────────────────────────────

    def produced(self, outputs: list[Output], now: float) -> None:
        """Address the outputs of one step."""
        for output in outputs:
            if isinstance(output, Delta):
                work = self.work[output.request, output.attempt]
                self.tokens += len(output.tokens)
                work.link.outbox.say(work.edge, output)
            elif isinstance(output, m.Finished | m.Failed):
                self._end(output, (), now)
            elif isinstance(output, Embedded):
                self._end(output.finished, (output.vectors,), now)
            else:
                self.residency.took(output, now)

    def _end(self, terminal: m.Finished | m.Failed, payload: tuple[bytes, ...], now: float) -> None:
        key = (terminal.request, terminal.attempt)
        work = self.work.pop(key)
        self._live = None
        self._ended.note(key, terminal, payload)
        work.link.outbox.post(terminal, payload)
        self.residency.ended(work.model, now)

    def leave(self, now: float) -> None:
        """Take nothing new, fail what runs, say goodbye."""
        self._leaving = True
        for key in list(self.work):
            self.engine.cancel(key)
            self._end(m.Failed(request=key[0], attempt=key[1], fault=LEAVING), (), now)
        for link in self.links:
            link.outbox.post(m.Goodbye())

    @property
    def wants_restart(self) -> bool:
        """Whether the process has nothing in hand and was told to make room for a fresh one."""
        return self.placing.restart and not self.work

    @property
    def live(self) -> tuple[tuple[Key, ...], ...]:
        """Per link the attempts in hand, for the heartbeats: a broker must not take another's for strays."""
        if self._live is None:
            per_link: list[list[Key]] = [[] for _ in self.links]
            for key, work in self.work.items():
                per_link[work.link.index].append(key)
            self._live = tuple(tuple(keys) for keys in per_link)
        return self._live

    def check(self) -> None:
        """Assert what must always hold."""
        assert not self.work.keys() & self._ended.keys(), "an attempt is live and ended"
        check_residency(self.residency)
        running = Counter(work.model for work in self.work.values())
        counted = {name: one.running for name, one in self.residency.holdings.items() if one.running}
        assert counted == running, f"in hand {dict(running)}, counted {counted}"
