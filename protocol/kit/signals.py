"""SIGTERM and SIGINT → one flag and one readable descriptor, so that a poll loop wakes at once."""

from __future__ import annotations

import os
import signal
from types import FrameType


class Stop:
    """Set by the first SIGTERM or SIGINT. `fileno()` becomes readable then; usable in a `zmq.Poller`."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self.requested = False

    def install(self) -> Stop:
        """Take over the two signals; call from the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        return self

    def fileno(self) -> int:
        return self._read

    def request(self) -> None:
        """Ask to stop, from any thread or a signal handler."""
        if not self.requested:
            self.requested = True
            os.write(self._write, b"\0")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.request()
