"""What goes on until Ctrl-C: events as they come, and the status redrawn. Both outlive a restart of the broker."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cortex.broker.ctl.client import Client, NoAnswerError
from cortex.broker.ctl.output import Output
from cortex.broker.ctl.render.events import EventLines
from cortex.broker.ctl.render.status import status
from cortex.protocol.messages import Events, EventsSince, Status, StatusQuery

HELD_MS = 10_000
SECOND_S = 1.0


def follow_events(
    client: Client, output: Output, since: int, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Print decisions as they are taken. Returns on Ctrl-C.

    A broker that was started again counts from the start, and is known by its session: everything it has decided is
    new then. Raises `NoAnswerError` only when not even the first question is answered.
    """
    lines = EventLines()
    peer = b""
    held = 0
    missing = False
    try:
        while True:
            try:
                page = client.ask(EventsSince(since=since, patience_ms=held), Events, held_ms=held)
            except NoAnswerError as error:
                if not peer:
                    raise
                if not missing:
                    output.complain(f"{error}; waiting for it")
                missing = True
                sleep(SECOND_S)
                continue
            missing = False
            if (peer and client.peer != peer) or page.next < since:
                output.complain("the broker was started again; its events are numbered from 1")
                since = 0
                peer, held = client.peer, 0
                continue
            peer = client.peer
            new = tuple(decision for decision in page.events if decision.number > since)
            # Nothing new at once: from here on the broker holds the question until there is.
            held = 0 if new else HELD_MS
            if new:
                since = new[-1].number
                for decision, line in zip(new, lines.lines(new), strict=True):
                    if output.as_json:
                        output.json(decision, lines=True)
                    else:
                        output.text(line)
    except KeyboardInterrupt:
        return


def top(client: Client, output: Output, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show the status again every second. Returns on Ctrl-C; raises `NoAnswerError` when the first one fails."""
    report = client.ask(StatusQuery(), Status)
    try:
        if not output.live:
            while True:
                if output.as_json:
                    output.json(report, lines=True)
                else:
                    output.text(Group(status(report), ""))
                sleep(SECOND_S)
                report = client.ask(StatusQuery(), Status)
        with Live(console=output.console, screen=True, auto_refresh=False) as screen:
            trouble = ""
            while True:
                screen.update(_screen(report, trouble), refresh=True)
                sleep(SECOND_S)
                try:
                    report, trouble = client.ask(StatusQuery(), Status), ""
                except NoAnswerError as error:
                    trouble = str(error)
    except KeyboardInterrupt:
        return


def _screen(report: Status, trouble: str) -> RenderableType:
    foot = Text(trouble, style="red") if trouble else Text("Ctrl-C ends", style="dim")
    return Group(status(report), "", foot)
