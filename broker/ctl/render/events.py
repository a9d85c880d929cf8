"""Decisions, a line each, aligned as far as one can be without knowing those to come."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from rich.text import Text

from cortex.broker.ctl.render.words import clean
from cortex.protocol.messages import Decision

BAD = ("fail", "lost", "refus", "gone", "stall", "malformed")


class EventLines:
    """Remembers the widths that it has used, so that columns only ever move to the right.

    `zone` is the time zone of the reader; None is that of the machine.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._what = 8
        self._subject = 12

    def lines(self, decisions: tuple[Decision, ...]) -> list[Text]:
        for decision in decisions:
            self._what = max(self._what, min(24, len(clean(decision.what))))
            self._subject = max(self._subject, min(48, len(clean(decision.subject))))
        return [self._line(decision) for decision in decisions]

    def _line(self, decision: Decision) -> Text:
        what = clean(decision.what)
        line = Text(f"{self._time(decision.at_ms)}  ")
        line.append(f"{what:<{self._what}}", style="red" if any(bad in what for bad in BAD) else "")
        line.append(f"  {clean(decision.subject):<{self._subject}}  {clean(decision.reason)}")
        line.rstrip()
        return line

    def _time(self, at_ms: int) -> str:
        try:
            at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self._zone)
        except (OverflowError, ValueError, OSError):  # no clock of ours says this
            return str(at_ms)
        return f"{at:%Y-%m-%d %H:%M:%S}"
