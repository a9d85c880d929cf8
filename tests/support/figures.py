"""Benchmark results: a table on the terminal and a flat JSON file, figure → number, with machine and versions."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import time
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table

BUILD = Path(__file__).parents[2] / "build" / "bench"
PACKAGES = ("pyzmq", "msgspec", "msgpack", "falcon", "gunicorn", "uvloop")


def processor() -> str:
    """The processor's name as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def interpreter_speed() -> float:
    """Millions of loop turns a second of this interpreter now: machines, and hours on one machine, differ by factors."""
    count, best = 2_000_000, float("inf")
    for _ in range(5):
        began, total = time.perf_counter(), 0
        for number in range(count):
            total += number
        best = min(best, time.perf_counter() - began)
    return round(count / best / 1e6, 1)


class Figures:
    """Collects the figures of one benchmark file."""

    def __init__(self, name: str, packages: tuple[str, ...] = PACKAGES) -> None:
        self.name = name
        self.about: dict[str, object] = {package: metadata.version(package) for package in packages}
        """What else a reader has to know to compare."""
        self.values: dict[str, float] = {}
        self.notes: dict[str, str] = {}

    def add(self, figure: str, value: float, note: str = "") -> None:
        self.values[figure] = round(value, 3)
        self.notes[figure] = note

    def write(self) -> Path:
        """Print the table and write `build/bench/NAME.json`."""
        table = Table(title=self.name)
        for column in ("figure", "value", "how"):
            table.add_column(column, justify="right" if column == "value" else "left")
        for figure, value in self.values.items():
            table.add_row(figure, f"{value:,}", self.notes[figure])
        Console(width=150).print(table)
        BUILD.mkdir(parents=True, exist_ok=True)
        path = BUILD / f"{self.name}.json"
        about = {
            "date": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
            "machine": f"{processor()}, {os.cpu_count()} cores",
            "million_loop_turns_per_s": interpreter_speed(),
            "python": platform.python_version(),
            **self.about,
        }
        path.write_text(json.dumps({**self.values, "about": about}, indent=2) + "\n")
        return path
