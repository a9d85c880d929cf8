"""Where answers go: text for people, wide and without control characters unless on a terminal, or JSON for scripts."""

from __future__ import annotations

import io
import json
import os
import sys
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TextIO

from msgspec import Struct, structs
from rich.console import Console, RenderableType
from rich.text import Text

from cortex.broker.ctl.render.words import clean
from cortex.protocol.messages import Outdated

ENDLESS = 100_000
"""Columns of what is no terminal: nothing is folded or cut there."""


class Output:
    """Standard output in one of its two languages. `live` tells whether lines may be drawn again."""

    def __init__(
        self,
        *,
        as_json: bool,
        stream: TextIO | None = None,
        complaints: TextIO | None = None,
        program: str = "cortex-ctl",
    ) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.complaints = sys.stderr if complaints is None else complaints
        self.as_json = as_json
        self.program = program
        self.terminal = self.stream.isatty() and not as_json
        self.live = self.terminal and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}
        for each in (self.stream, self.complaints):
            if isinstance(each, io.TextIOWrapper):
                each.reconfigure(errors="replace")  # an arrow must not end a command under LANG=C
        self.console = Console(
            file=self.stream,
            force_terminal=self.terminal,
            color_system="auto" if self.live else None,
            width=None if self.terminal else ENDLESS,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def show(self, message: Struct, view: RenderableType) -> None:
        """The message itself in JSON, or its view."""
        if self.as_json:
            self.json(message)
        else:
            self.text(view)

    def json(self, message: Struct, *, lines: bool = False) -> None:
        """One object; on one line where many follow one another."""
        self.stream.write(json.dumps(as_plain(message), indent=None if lines else 2) + "\n")
        self.stream.flush()

    def text(self, view: RenderableType) -> None:
        """Text for people."""
        if self.terminal:
            self.console.print(view)
            return
        with self.console.capture() as captured:
            self.console.print(view)
        self.stream.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())
        self.stream.flush()

    def raw(self, text: str) -> None:
        """Lines as they are, such as those of a file; what is not printable is replaced."""
        self.stream.writelines(clean(line, keep="\t") + "\n" for line in text.splitlines())

    def line(self, text: str) -> None:
        """One line about what happens; scripts do not see it."""
        if not self.as_json:
            self.text(Text(clean(text), no_wrap=True, overflow="ignore"))

    def note(self, outdated: Outdated | None) -> None:
        """One line on standard error while models.toml is wrong."""
        if outdated is not None:
            since = f"{datetime.fromtimestamp(outdated.since_ms / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
            self.complain(
                f"what models.toml said before holds, for it is wrong since {since}: {outdated.problem}"
            )

    def complain(self, text: str) -> None:
        """One line on standard error."""
        self.complaints.write(f"{self.program}: {clean(text)}\n")
        self.complaints.flush()


def as_plain(value: object) -> Any:
    """A message as JSON can hold it: every field is there, its default too; bytes are hexadecimal."""
    if isinstance(value, Struct):
        return {name: as_plain(item) for name, item in structs.asdict(value).items()}
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return value.value if isinstance(value, Enum) else value
