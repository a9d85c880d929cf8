"""The rim of the keys: reads their file, looks every half second whether it is another one, and turns away who has no key.

Files are read in a thread, for many keys take seconds and nobody's stream shall wait for them. The file is taken all or
not at all: while it is wrong, what was read before stays. Where nothing was, nobody is let in: a file that is there
turns keys on, also one that cannot be read.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cortex.edge.keys import NO_BEARER, NO_KEY, Keys
from cortex.protocol.faults import Code, Fault
from cortex.protocol.keys import KeyFile
from cortex.protocol.kit import keyfile
from cortex.protocol.kit.settings import SettingsError

log = logging.getLogger("cortex.edge")

LOOK_S = 0.5
PATIENCE = 10
"""Looks until a file that could not be read is read again though it seems the same: what was in the way may be gone."""
OPEN = frozenset({"/", "/livez", "/readyz", "/health"})
"""What anybody may ask: is somebody there, and well? Every other path needs a key, those that do not exist too."""
UNREADABLE = Fault(
    code=Code.KEYS_UNREADABLE,
    message="The gateway cannot read its API keys; try again, and tell its operator to look into its log.",
)


class Keyring:
    """The keys in force; none without a file. `required`: the file must be there, as the settings say.

    It must also be there once keys have been in use, in whichever of the processes that have this in common by a fork.
    """

    def __init__(self, path: Path | None = None, *, required: bool = False) -> None:
        self.path = path
        self.keys: Keys | None = None
        """None: no keys are in use, and everybody is let in."""
        self.unreadable = False
        self._in_use = mmap.mmap(-1, 1)
        """Not 0 once keys were in use. Shared memory: a worker that replaces another one knows nothing else of it."""
        self._in_use[0] = required
        self._mark: keyfile.Mark | None = None
        """Of the file that was looked at last, read or not; None if there was none."""
        self._failed = 0
        """Looks until it is read once more; 0 if it was read."""
        self._complaint = ""
        self._watching: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Keyring {self.path}: {self.keys if self.keys is not None else 'off'}>"

    def load(self) -> None:
        """Read the file if it is there. Raises `SettingsError` if it is wrong, or missing and required."""
        if self.path is None:
            return
        self._failed = PATIENCE
        self._mark = keyfile.mark(self.path)  # before reading: what is written meanwhile is a change
        if self._mark is not None or self._in_use[0]:
            self.keys = Keys(keyfile.read(self.path))
            self._in_use[0] = True
        else:
            self.keys = None
        self.unreadable = False
        self._failed = 0

    def load_or_close(self) -> None:
        """The same for a worker: where the file cannot be read, nobody is let in until it can.

        What the process that it was forked from had read may be older than a revocation.
        """
        try:
            self.load()
        except SettingsError as error:
            self.keys = None
            self._do_without(error)

    def look(self) -> None:
        """Read the file again if it is another one than was looked at last, and now and then if it could not be read."""
        if self.path is None or not self._is_due(self.path):
            return
        try:
            self.load()
        except SettingsError as error:
            self._do_without(error)
            return
        self._complaint = ""
        log.info("%s was read again: %d key(s)", self.path, len(self.keys or ()))

    def _is_due(self, path: Path) -> bool:
        if self._failed:
            self._failed -= 1
            if not self._failed:
                return True
        try:
            return keyfile.mark(path) != self._mark
        except SettingsError:
            return not self._failed

    def _do_without(self, error: SettingsError) -> None:
        """What was read before stays in force; nothing was, and nobody is let in."""
        self.unreadable = self.unreadable or self.keys is None
        self.keys = self.keys or Keys(KeyFile())
        if str(error) != self._complaint:
            what = (
                "nobody is let in until it can be read"
                if self.unreadable
                else "the keys read before stay in force"
            )
            log.error("%s: %s", error, what)
        self._complaint = str(error)

    def start(self) -> None:
        """Look every `LOOK_S` seconds; called in the worker's own event loop."""
        if self.path is not None:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(self.look)
            except Exception:
                log.exception("the keys could not be looked at")


class Gate:
    """Lets a request in, or says why not. It leaves the key in `scope["cortex.key"]`; None where none is asked for."""

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._clock = clock

    def __call__(self, scope: dict[str, Any]) -> Fault | None:
        scope["cortex.key"] = None
        keys = self._keyring.keys
        if keys is None or scope["path"] in OPEN:
            return None
        if self._keyring.unreadable:
            return UNREADABLE
        found = keys.holder(credentials(scope["headers"]), self._clock())
        if isinstance(found, Fault):
            written = any(name == b"authorization" for name, _ in scope["headers"])
            return NO_BEARER if found is NO_KEY and written else found
        scope["cortex.key"] = found
        return None


def credentials(headers: list[tuple[bytes, bytes]]) -> Iterator[str]:
    """What a client presents: the bearer's token, and `x-api-key`. Some clients send both, and one of them is made up."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() == "bearer" and token:
                yield token.strip()
        elif name == b"x-api-key" and value:
            yield value.decode("latin-1").strip()
