"""What would become of a request, in sentences, then every place that was looked at."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cortex.broker.ctl.render.grid import Column, Grid
from cortex.broker.ctl.render.words import NONE, clean, count, duration, plain, word, words
from cortex.protocol.messages import Explanation

COLUMNS = (
    Column("place"),
    Column("verdict"),
    Column("would evict", folds=True, spare=True),
    Column("reason", folds=True),
)


def explanation(report: Explanation, asked: str) -> RenderableType:
    """`asked` is the name that was typed, an alias perhaps."""
    parts: list[RenderableType] = [Text(line) for line in sentences(report, asked)]
    if report.options:
        rows = [
            (
                plain(option.node),
                word(option.verdict),
                words([plain(victim) for victim in option.victims]),
                plain(option.reason) if option.reason else NONE,
            )
            for option in report.options
        ]
        parts += ["", Grid(COLUMNS, rows)]
    return Group(*parts)


def sentences(report: Explanation, asked: str) -> list[str]:
    """The decision first, the reason next, then who keeps the queue."""
    lines = []
    if report.model != asked:
        lines.append(f"{clean(asked)} is another name of {clean(report.model)}.")
    lines.append(_verdict(report))
    if report.reason:
        lines.append(f"Reason: {_ended(report.reason)}")
    if report.fault and report.fault.message != report.reason:
        lines.append(f"The client would read: {_ended(report.fault.message)}")
    if report.owner or report.waiting:
        keeper = f"Broker {clean(report.owner)} keeps its queue" if report.owner else "Its queue"
        lines.append(f"{keeper}: {count(report.waiting, 'request')} waiting.")
    return lines


def _verdict(report: Explanation) -> str:
    start = f"A request for {clean(report.model)} would"
    node = clean(report.node) or "a device"
    wait = f"about {duration(report.wait_ms / 1000)}" if report.wait_ms else ""
    match report.verdict:
        case "serve":
            return f"{start} be served by {node}, {f'after {wait}' if wait else 'at once'}."
        case "join":
            return f"{start} wait for the load that is under way on {node}{wait and f', {wait}'}."
        case "load":
            victims = " and ".join(map(clean, report.victims))
            room = f"evicting {victims} to make room" if victims else "where there is room for it"
            return f"{start} load it on {node}, {room}; {f'it would wait {wait}' if wait else 'how long is not known yet'}."
        case "wait":
            return f"{start} wait in its queue{wait and f', {wait}'}."
        case "refuse":
            return f"{start} be refused."


def _ended(text: str) -> str:
    """As a sentence."""
    text = clean(text).strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
