"""Where a local cortex keeps its things: one data directory, and under it the sockets of its planes."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

CORTEX_TOML = "cortex.toml"


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


def note_keys(data: Path, path: Path) -> int | None:
    """Write down which key file the gateway of a data directory reads, for this process's life.

    Answers the handle that says that it lives; None where another gateway has done it, or this user may not. Nothing but
    the convenience of `cortex-ctl keys` hangs on it.
    """
    noted = _keys_noted(data)
    try:
        noted.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(noted, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    os.ftruncate(handle, 0)
    os.write(handle, os.fsencode(path))
    return handle


def keys_of(data: Path) -> Path | None:
    """The key file that the running gateway of a data directory reads; None if none runs there, as far as can be seen."""
    with contextlib.suppress(OSError), _keys_noted(data).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            noted = os.fsdecode(file.read())
            return Path(noted) if noted else None
    return None


def _keys_noted(data: Path) -> Path:
    return data.absolute() / "run" / "keys.path"


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
