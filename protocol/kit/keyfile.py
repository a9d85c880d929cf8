"""keys.toml: read under its permissions, and written so that a reader sees the old one or the new one, whole.

It knows the file, not what a key is good for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from cortex.protocol.keys import KeyFile
from cortex.protocol.kit.settings import Document, SettingsError, read_text

KEYS_TOML = "keys.toml"
ALLOWED = 0o640
"""The owner may read and write it, the group may read it."""
MAKE_KEYS = "make one with cortex-ctl keys new NAME, "
"""What may be done where an address needs keys, as `check_host` puts it."""
HEADING = """# API keys of this cortex, by digest. Written by cortex-ctl keys, which keeps no comments; the gateway
# reads it again within a second of a change. A file that is there turns keys on: whoever has none is refused.

"""

Mark = tuple[int, int, int, int]


class KeysAt(NamedTuple):
    """Where the API keys are; `required`: the settings name the file, so it must be there."""

    path: Path
    required: bool

    @property
    def in_use(self) -> bool:
        """Whether a gateway that starts now asks for keys."""
        return self.required or self.path.exists()


def keys_at(named: str, cortex_toml: Path | None, data: Path) -> KeysAt:
    """The key file that cortex.toml names, relative to itself, else the one in the data directory."""
    if not named:
        return KeysAt(data.absolute() / KEYS_TOML, required=False)
    beside = (cortex_toml.parent if cortex_toml is not None else data).absolute()
    return KeysAt(beside / Path(named).expanduser(), required=True)


def parse(text: str, where: str) -> KeyFile:
    """The text of a key file, called `where` in errors. Raises `SettingsError`."""
    return Document(text, where).read(KeyFile)


def read(path: Path) -> KeyFile:
    """Read it. Raises `SettingsError` if it is wrong, not there, or readable by others."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: no such file; cortex-ctl keys new NAME makes one") from error
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    if mode & ~ALLOWED:
        raise SettingsError(
            f"{path}: its mode is {mode:04o}, which lets others at it; it must be 0600 or 0640 "
            f"(try: chmod 600 {path})"
        )
    return parse(read_text(path), str(path))


def mark(path: Path) -> Mark | None:
    """What tells two versions of a file apart, its mode too; None if it is not there.

    Raises `SettingsError` if that cannot be found out: whoever asks must not take it for a file that is not there.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode


@contextlib.contextmanager
def editing(path: Path) -> Iterator[None]:
    """While this lasts nobody else edits the file: two that add a key at the same time add two."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write(path: Path, content: KeyFile) -> None:
    """Put the file in place of the one that is there, whose owner and group it keeps where this user may do so."""
    text = HEADING + "\n".join(_table(structs.asdict(entry)) for entry in content.keys)
    parse(text, str(path))  # what cannot be read again is not written
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            with contextlib.suppress(OSError):
                found = path.stat()
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
                os.fchmod(file.fileno(), found.st_mode & ALLOWED)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _table(entry: dict[str, object]) -> str:
    """One key in TOML, whose strings, numbers and lists of strings are JSON's but for one control character."""
    lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in entry.items())
    return "\n".join(("[[keys]]", *lines, "")).replace("\x7f", "\\u007f")
