"""What one role logs to its file: the end of it for an error message, its warnings for the terminal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TAIL_BYTES = 4000
TURN_BYTES = 65536
"""Read at a time: what a role logs faster than that is told late, and nothing else waits for it."""
WORTH_TELLING = re.compile(r"\S+ \S+ (?:WARNING|ERROR|CRITICAL) +(?P<told>\S.*)")
"""A line as `cortex.protocol.kit.log` writes it, from the role's name on."""


@dataclass(slots=True)
class LogFile:
    """A log that outlives the processes that write to it.

    `begun`: where the present one's lines begin; `told`: up to where warnings have been asked for, None before the first.
    """

    path: Path
    begun: int = 0
    told: int | None = None

    def open(self) -> IO[bytes]:
        """To be written to by a new process; what its predecessor still logged is told."""
        file = self.path.open("ab")
        if self.told is None:
            self.told = file.tell()
        self.begun = file.tell()
        return file

    def end(self) -> str:
        """The end of what the present process logged, for an error message."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(self.begun)
            text = file.read()[-TAIL_BYTES:].decode(errors="replace").strip()
        return f"; the end of {self.path}:\n{text}" if text else ""

    def warnings(self) -> list[str]:
        """Warnings and errors since the last time, a line each."""
        if self.path.stat().st_size == self.told:  # asked ten times a second, and most often there is nothing
            return []
        with self.path.open("rb") as file:
            begin = file.seek(self.told or 0)
            text = file.read(TURN_BYTES)
        whole = text.rfind(b"\n") + 1 or (len(text) if len(text) == TURN_BYTES else 0)
        self.told = begin + whole
        found = map(WORTH_TELLING.fullmatch, text[:whole].decode(errors="replace").splitlines())
        return [line["told"] for line in found if line is not None]
