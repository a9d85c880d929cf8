"""A table without lines that gives way to a narrow terminal: first the lesser columns go, then long cells fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from cortex.broker.ctl.render.words import NONE

GAP = 2
FOLDED = 14
"""The least width of a column that folds."""

Cell = str | Text


@dataclass(frozen=True, slots=True)
class Column:
    """`gives` is the rank in which it is left out of a narrow table, 1 first; 0: never.

    `spare` columns are left out when every cell is a dash.
    """

    name: str
    right: bool = False
    gives: int = 0
    folds: bool = False
    spare: bool = False


class Grid:
    """Rows under a heading, as wide as they need to be or as the console allows."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        self.columns = columns
        self.rows = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        used = [
            n
            for n, column in enumerate(self.columns)
            if not column.spare or any(row[n].plain != NONE for row in self.rows)
        ]
        shown = self.fitting(used, options.max_width)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for n in shown:
            column = self.columns[n]
            table.add_column(
                column.name,
                justify="right" if column.right else "left",
                no_wrap=not column.folds,
                overflow="fold",
            )
        for row in self.rows:
            cells = [row[n] for n in shown]
            if cells and cells[-1].plain == NONE and len(cells) > 1 and not self.columns[shown[-1]].right:
                cells[-1] = Text()  # a dash keeps a column's place; nothing follows the last one
            table.add_row(*cells)
        yield table
        missing = [self.columns[n].name for n in used if n not in shown]
        if missing:
            yield Text(f"(this terminal is too narrow for: {', '.join(missing)})", style="dim")

    def fitting(self, used: list[int], width: int) -> list[int]:
        """The columns that fit into `width` once those that fold have folded."""
        shown = list(used)
        for n in sorted(
            (n for n in used if self.columns[n].gives), key=lambda number: self.columns[number].gives
        ):
            if sum(map(self._least, shown)) + GAP * (len(shown) - 1) <= width:
                break
            shown.remove(n)
        return shown

    def _least(self, n: int) -> int:
        column = self.columns[n]
        widest = max([len(column.name), *(row[n].cell_len for row in self.rows)])
        return min(widest, max(FOLDED, len(column.name))) if column.folds else widest
