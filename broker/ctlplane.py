"""The operators' plane, rim: questions answered at once, long polls answered when something moves, the rest passed on.

A question about a model goes to the broker that owns it. An asker is whatever takes one reply: an operator's REQ socket,
or another broker that passes an operator's question on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from cortex.broker import control
from cortex.broker.core import Broker
from cortex.broker.events import Event, FromCtl
from cortex.broker.explain import explain
from cortex.broker.operations import Order
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import (
    Command,
    CommandFailed,
    ConfigQuery,
    ConfigReport,
    Events,
    EventsSince,
    Explain,
    Explanation,
    Models,
    ModelsQuery,
    Operation,
    Outdated,
    Status,
    StatusQuery,
    Wait,
)

log = logging.getLogger("cortex.broker")

Reply = Callable[[Struct], None]
NOTED = (Status, Models, Explanation, Operation)
PENDING = 256
"""Long polls held at once; one more is answered as if its patience were over."""
REMEMBERED = 1024


class Settings(Protocol):
    """What the operators' plane needs of files: their texts, and reading the catalogue again."""

    def texts(self) -> dict[str, str]: ...
    def reload(self, now: float) -> str | None:
        """Take the catalogue file as it is now; answers what is wrong with it, and then nothing has changed."""


@dataclass(slots=True)
class Poll:
    """One long poll: of an order since a revision, or of decisions since a number."""

    reply: Reply
    until: float
    order: Order | None = None
    revision: int = 0
    since: int = 0


class CtlPlane:
    """Takes decoded messages; `forward` passes one to a broker by name and answers whether that was possible."""

    def __init__(
        self,
        core: Broker,
        settings: Settings,
        handle: Callable[[Event, float], None],
        forward: Callable[[str, Struct, Reply, float], bool],
        *,
        expected: tuple[str, ...],
        wall_offset: float,
    ) -> None:
        self._core = core
        self._settings = settings
        self._handle = handle
        self._forward = forward
        self._expected = expected
        self._wall_offset = wall_offset
        self._polls: list[Poll] = []
        self._elsewhere: dict[str, str] = {}
        """Commands that were passed on, and to whom."""

    def take(self, message: Struct, reply: Reply, now: float, *, may_forward: bool = True) -> None:
        """Answer, or hold the question, or pass it on."""
        core, reply, message = self._core, self._noting(reply), self._by_id(message)
        match message:
            case StatusQuery():
                reply(control.status(core, now, self._expected))
            case ModelsQuery():
                reply(control.models(core, now))
            case ConfigQuery():
                reply(ConfigReport(files=self._settings.texts()))
            case EventsSince():
                self._events(message, reply, now)
            case Explain(model=model):
                if not (may_forward and self._pass_on(model, message, reply, now)):
                    reply(explain(core.state, model, now))
            case Command():
                self._command(message, reply, now, may_forward=may_forward)
            case Wait(command=command):
                owner = self._elsewhere.get(command)
                if owner is None or not self._forward(owner, message, reply, now):
                    self._wait(message, reply, now)
            case _:
                text = f"This broker does not know the command {type(message).__name__}."
                reply(CommandFailed(fault=Fault(code=Code.UNSUPPORTED_MESSAGE, message=text)))

    def _by_id(self, message: Struct) -> Struct:
        """What is asked or ordered of a model by another name of it is of its id."""
        if not isinstance(message, Explain | Command) or self._core.state.view.exists(message.model):
            return message
        id_ = self._core.state.names.aliases.get(message.model)
        return message if id_ is None else replace(message, model=id_)

    def _noting(self, reply: Reply) -> Reply:
        """Answers that rest on models.toml say so while the file is another one than what holds."""

        def answer(message: Struct) -> None:
            if self._core.state.outdated is not None and isinstance(message, NOTED):
                problem, since = self._core.state.outdated
                outdated = Outdated(since_ms=int(1000 * (since + self._wall_offset)), problem=problem)
                message = replace(message, outdated=message.outdated or outdated)
            reply(message)

        return answer

    def take_from_peer(self, message: Struct, reply: Reply, now: float) -> None:
        """What another broker passed on is answered here, whoever is believed to own it."""
        self.take(message, reply, now, may_forward=False)

    def _pass_on(self, model: str, message: Struct, reply: Reply, now: float) -> bool:
        owner = self._core.state.mesh.owner_of(model)
        return owner != self._core.name and self._forward(owner, message, reply, now)

    def _command(self, message: Command, reply: Reply, now: float, *, may_forward: bool) -> None:
        if message.verb == "reload":
            reply(self._reload(message, now))
            return
        if may_forward and message.model and self._pass_on(message.model, message, reply, now):
            self._elsewhere[message.command] = self._core.state.mesh.owner_of(message.model)
            if len(self._elsewhere) > REMEMBERED:
                del self._elsewhere[next(iter(self._elsewhere))]
            return
        self._handle(FromCtl(message), now)
        reply(self._core.operations.orders[message.command].describe())

    def _reload(self, message: Command, now: float) -> Operation:
        problem = self._settings.reload(now)
        if problem is None:
            count = len(self._core.state.catalogue.models)
            detail = f"{count} profile{'s' * (count != 1)} in force"
            return Operation(command=message.command, state="done", percent=100, detail=detail)
        fault = Fault(code=Code.INVALID_REQUEST, message=problem)
        return Operation(command=message.command, state="failed", detail=problem, fault=fault)

    # ── long polls ───────────────────────────────────────────────────────────────────────────────────────────────

    def _wait(self, message: Wait, reply: Reply, now: float) -> None:
        order = self._core.operations.orders.get(message.command)
        if order is None:
            text = "This broker does not know this command (any more); give it again."
            reply(CommandFailed(fault=Fault(code=Code.UNKNOWN_REQUEST, message=text)))
        elif order.state != "running":
            reply(order.describe())
        else:
            until = now + message.patience_ms / 1000
            self._hold(Poll(reply, until, order, order.revision), now)

    def _events(self, message: EventsSince, reply: Reply, now: float) -> None:
        poll = Poll(reply, now + message.patience_ms / 1000, since=message.since)
        if self._news(poll).events or not message.patience_ms:
            reply(self._news(poll))
        else:
            self._hold(poll, now)

    def _hold(self, poll: Poll, now: float) -> None:
        self._polls.append(poll)
        if len(self._polls) > PENDING:
            self._polls[0].until = now

    def _news(self, poll: Poll) -> Events:
        return control.events(self._core, poll.since, self._wall_offset)

    def tick(self, now: float) -> None:
        """Answer the polls whose subject has moved or whose patience is over."""
        if not self._polls:
            return
        held, self._polls = self._polls, []
        for poll in held:
            if poll.order is not None:
                if poll.order.revision != poll.revision or now >= poll.until:
                    poll.reply(poll.order.describe())
                    continue
            elif self._core.state.decisions.last != poll.since or now >= poll.until:
                poll.reply(self._news(poll))
                continue
            self._polls.append(poll)
