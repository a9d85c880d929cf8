"""Changes: a command with an id of its own, then one long poll after another until it is done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from cortex.broker.ctl.client import Client
from cortex.broker.ctl.output import Output
from cortex.broker.ctl.progress import progress_of
from cortex.broker.ctl.render.words import duration
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import Command, Operation, Verb, Wait

HELD_MS = 10_000
TOLD_AGAIN = 5
"""How often a command is given again to brokers that do not know it (any more)."""
LEAST_S = 0.2
"""Between two questions, should the broker answer at once without news."""

GOING_ON: dict[Verb, str] = {
    "load": "loading",
    "unload": "unloading once its running requests have ended",
    "pin": "being pinned",
    "unpin": "being unpinned",
    "drain": "draining: waiting for what runs there to end",
    "resume": "being put into service",
    "reload": "being read",
}
DONE: dict[Verb, str] = {
    "load": "loaded",
    "unload": "unloaded",
    "pin": "pinned",
    "unpin": "no longer pinned",
    "drain": "drained",
    "resume": "in service again",
    "reload": "read again",
}


class FailedError(Exception):
    """The operation ended badly, or was not waited for to its end; the message says which."""


def new_command(verb: Verb, *, model: str = "", node: str = "") -> Command:
    """A command that nobody has given before."""
    return Command(command=os.urandom(8).hex(), verb=verb, model=model, node=node)


def perform(
    client: Client,
    output: Output,
    command: Command,
    *,
    wait: bool = True,
    timeout_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Send it and wait for its end. Raises `FailedError` when it failed or is still running at the end of `timeout_s`."""
    started = clock()
    what = _subject(command)
    operation = client.ask(command, Operation)
    if wait and operation.state == "running":
        until = None if timeout_s is None else started + timeout_s
        try:
            operation = _track(client, output, command, operation, until=until, clock=clock, sleep=sleep)
        except KeyboardInterrupt:
            raise FailedError(_still(command, what)) from None
    if output.as_json:
        output.json(operation)
    if command.verb != "reload":  # which says the same itself
        output.note(operation.outdated)
    if operation.state == "failed":
        raise FailedError(f"{command.verb} {what}: {_reason(operation.fault, operation.detail)}")
    if operation.state == "running":
        if wait:
            raise FailedError(f"after {duration(clock() - started)} {_still(command, what)}")
        detail = operation.detail or GOING_ON[command.verb]
    else:
        took = clock() - started
        detail = DONE[command.verb] + (f" in {duration(took)}" if took >= 1 else "")
        detail += f" ({operation.detail})" if operation.detail else ""
    output.line(f"{what}: {detail}")


def _track(
    client: Client,
    output: Output,
    command: Command,
    operation: Operation,
    *,
    until: float | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Operation:
    """Follow the operation to its end, or to the end of the patience; shows what is known of it all the while."""
    told_again = 0
    with progress_of(
        output, _subject(command), GOING_ON[command.verb], measured=command.verb == "load"
    ) as progress:
        progress.show(operation)
        while operation.state == "running":
            asked = clock()
            if until is not None and asked >= until:
                break
            held = HELD_MS if until is None else min(HELD_MS, int(1000 * (until - asked)) + 1)
            try:
                news = client.ask(Wait(command=command.command, patience_ms=held), Operation, held_ms=held)
            except FaultError as error:
                # Who answers has not heard of it, or has lost the broker that it was passed on to: it is told again,
                # under the same id.
                if error.fault.code is not Code.UNKNOWN_REQUEST or told_again >= TOLD_AGAIN:
                    raise
                told_again += 1
                news = client.ask(command, Operation)
            if news == operation and clock() - asked < LEAST_S:
                sleep(LEAST_S)
            operation = news
            progress.show(operation)
    return operation


def _subject(command: Command) -> str:
    """What it is about, in the words of whoever typed it."""
    return command.model or command.node or "models.toml"


def _still(command: Command, what: str) -> str:
    look = "neurons" if command.node and not command.model else "models"
    doing = {"load": "loading", "unload": "unloading", "drain": "draining"}.get(command.verb, "in progress")
    return f"{what} is still {doing}; cortex-ctl {look} shows it"


def _reason(fault: Fault | None, detail: str) -> str:
    return explain_fault(fault) if fault else detail or "it failed, and the broker does not say why"


def explain_fault(fault: Fault) -> str:
    """What went wrong, and when to try again where that is known."""
    again = f" (try again in {duration(fault.retry_after)})" if fault.retry_after else ""
    return fault.message + again
