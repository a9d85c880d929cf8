"""What a test runs in a thread of its own, from the entry of a `with` to its end."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Self


class InThread(ABC):
    """`run` sets `ready` once it can be talked to, and returns soon after `stop` is set."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self.ready.wait(5)
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop.set()
        self._thread.join(5)

    @abstractmethod
    def run(self) -> None:
        """What it does there."""
