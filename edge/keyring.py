"""The rim of the keys: reads their file, looks every half second whether it is another one, and turns away who has no key.

Nothing is read while somebody waits to be let in. The file is taken all or not at all: while it is wrong, what was read
before stays. A worker that finds a wrong one at its start has nothing that could stay, and lets nobody in.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cortex.edge.keys import Keys
from cortex.protocol.faults import Code, Fault
from cortex.protocol.keys import KeyFile
from cortex.protocol.kit import keyfile
from cortex.protocol.kit.settings import SettingsError

log = logging.getLogger("cortex.edge")

LOOK_S = 0.5
OPEN = frozenset({"/", "/livez", "/readyz", "/health"})
"""What anybody may ask: is somebody there, and well? Every other path needs a key, those that do not exist too."""
UNREADABLE = Fault(
    code=Code.KEYS_UNREADABLE,
    message="The gateway cannot read its API keys; try again, and tell its operator to look into its log.",
)


class Keyring:
    """The keys in force; none without a file. `required`: the file must be there, for keys are in use already."""

    def __init__(self, path: Path | None = None, *, required: bool = False) -> None:
        self.path = path
        self.keys: Keys | None = None
        """None: no keys are in use, and everybody is let in."""
        self.unreadable = False
        self._required = required
        self._mark: keyfile.Mark | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._complaint = ""

    def __repr__(self) -> str:
        return f"<Keyring {self.path}: {self.keys if self.keys is not None else 'off'}>"

    def load(self) -> None:
        """Read the file if it is there. Raises `SettingsError` if it is wrong, or missing and required."""
        if self.path is None:
            return
        self._mark = keyfile.mark(self.path)  # before reading: what is written meanwhile is a change
        if self._mark is None and not self._required:
            return
        document = keyfile.read(self.path)
        self.keys = Keys(document)
        self._required = True
        self.unreadable = False

    def load_or_close(self) -> None:
        """The same for a worker: where the file cannot be read, nobody is let in until it can."""
        try:
            self.load()
        except SettingsError as error:
            self.keys = Keys(KeyFile())
            self.unreadable = True
            log.error("%s: nobody is let in until it can be read", error)

    def look(self) -> None:
        """Read the file again if it is another one than was read last."""
        if self.path is None or keyfile.mark(self.path) == self._mark:
            return
        try:
            self.load()
        except SettingsError as error:
            if str(error) != self._complaint:
                log.error("%s: the keys that were read before stay in force", error)
            self._complaint = str(error)
            return
        self._complaint = ""
        log.info("%s was read again: %d key(s)", self.path, len(self.keys or ()))

    def start(self) -> None:
        """Look every `LOOK_S` seconds; called in the worker's own event loop."""
        if self.path is not None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._turn)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        try:
            self.look()
        except Exception:
            log.exception("the keys could not be looked at")
        self.start()


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
            return found
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
