"""How far an operation is: a bar that is drawn again on a terminal, a line for each step elsewhere, nothing in JSON."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from cortex.broker.ctl.output import Output
from cortex.broker.ctl.render.words import clean, duration
from cortex.protocol.messages import Operation

STEP = 10
"""Percent between two plain lines of the same detail."""


class Shown(Protocol):
    """Shows an operation as it moves; a context, so that the terminal is left as it was."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, operation: Operation) -> None: ...


def progress_of(output: Output, what: str, doing: str, *, measured: bool) -> Shown:
    """The right kind for where the output goes. `measured`: percents are to be expected."""
    return Bar(output, what, doing, measured=measured) if output.live else Lines(output, what, doing)


class Lines:
    """A line when something has changed that is worth a line."""

    def __init__(self, output: Output, what: str, doing: str) -> None:
        self._output = output
        self._what = what
        self._doing = doing
        self._told: tuple[int, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Nothing to put back."""

    def show(self, operation: Operation) -> None:
        now = (operation.percent // STEP, operation.detail)
        if operation.state != "running" or now == self._told:
            return
        self._told = now
        percent = f"{operation.percent} % " if operation.percent else ""
        self._output.line(f"{self._what}: {percent}{operation.detail or self._doing}")


class Bar:
    """What, a bar, percent, time, detail; a spinner where there is nothing to measure."""

    def __init__(self, output: Output, what: str, doing: str, *, measured: bool) -> None:
        self._doing = doing
        columns: tuple[ProgressColumn, ...] = (
            (BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f} %", markup=False), Elapsed())
            if measured
            else (SpinnerColumn(), Elapsed())
        )
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            *columns,
            TextColumn("{task.fields[detail]}", markup=False),
            console=output.console,
            transient=True,
        )
        self._task = self._progress.add_task(clean(what), total=100, detail=doing)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, operation: Operation) -> None:
        self._progress.update(
            self._task, completed=operation.percent, detail=clean(operation.detail) or self._doing
        )


class Elapsed(ProgressColumn):
    """Seconds since the start, in words."""

    def render(self, task: Task) -> Text:
        return Text(duration(int(task.elapsed or 0)).replace(".0 ", " "))
