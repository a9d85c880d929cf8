"""Where a local cortex keeps its things: one data directory, and under it the sockets of its planes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def default_data_directory() -> Path:
    """`$CORTEX_DATA`, else the user's data directory as the XDG base directory specification names it."""
    if given := os.environ.get("CORTEX_DATA"):
        return Path(given).absolute()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "cortex"


def note_ctl(data: Path, endpoint: str) -> None:
    """Write down where the broker of a data directory answers operators: its settings may name another place."""
    _noted(data).write_text(f"{endpoint}\n", encoding="utf-8")


def ctl_of(data: Path) -> str:
    """Where the broker of a data directory answers operators, as it wrote down itself, else the usual socket."""
    try:
        return _noted(data).read_text(encoding="utf-8").strip() or Planes.under(data).ctl
    except OSError:
        return Planes.under(data).ctl


def _noted(data: Path) -> Path:
    return data.absolute() / "run" / "ctl.endpoint"


@dataclass(frozen=True, slots=True)
class Planes:
    """The endpoints of a broker that runs on this machine."""

    edge: str
    neuron: str
    ctl: str

    @classmethod
    def under(cls, data: Path) -> Planes:
        """The ipc sockets in the private runtime directory `data`/run."""
        run = data.absolute() / "run"
        return cls(f"ipc://{run}/edge.sock", f"ipc://{run}/neuron.sock", f"ipc://{run}/ctl.sock")
