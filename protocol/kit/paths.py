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
