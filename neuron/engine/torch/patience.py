"""Bounds what a model's own files make us compute in Python: a chat template may loop for hours.

The work is not moved to another thread, for that could not be ended either. A watcher throws an exception into the
thread that works, which reaches Python code of any kind, between two of its instructions; native code it reaches when
that returns. At most one is thrown for each piece of work, and none can arrive after it.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

LOOK_EVERY = 0.25
"""Seconds between two looks at what is under way."""

ARRIVES_S = 0.05
"""Seconds within which what was thrown has arrived."""

Result = TypeVar("Result")


class OverdueError(Exception):
    """The work did not end within its time."""


class _Strike(BaseException):
    """What is thrown: no `Exception`, for libraries catch those and go on."""


@dataclass(slots=True)
class _Entry:
    """Work under way on a thread; `lock` is held by who ends it and by who throws."""

    thread: int
    until: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_over: bool = False
    struck: bool = False


class Patience:
    """One watcher for all threads of a process; it is started with the first piece of work."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._watcher: threading.Thread | None = None

    def within(self, seconds: float, work: Callable[[], Result]) -> Result:
        """What the work answers. Raises `OverdueError` if it takes longer; not to be nested."""
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="patience", daemon=True)
            self._watcher.start()
        entry = _Entry(threading.get_ident(), time.monotonic() + seconds)
        try:
            try:
                self._entries[entry.thread] = entry
                return work()
            finally:
                self._leave(entry)
        except _Strike:
            raise OverdueError from None

    def _leave(self, entry: _Entry) -> None:
        """From here on nothing is thrown any more; what was thrown and has not arrived is waited for.

        It could be taken back, but the interpreter would look for it for ever, in every thread and loop.
        """
        with entry.lock:
            entry.is_over = True
        self._entries.pop(entry.thread, None)
        if entry.struck and not isinstance(sys.exception(), _Strike):
            until = time.monotonic() + ARRIVES_S
            while (
                time.monotonic() < until
            ):  # it arrives between two instructions, unless somebody has caught it
                pass

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            now = time.monotonic()
            for entry in list(self._entries.values()):
                if now >= entry.until and not entry.struck:
                    self._strike(entry)

    def _strike(self, entry: _Entry) -> None:
        with entry.lock:
            if not entry.is_over:
                entry.struck = True
                _throw(entry.thread, _Strike)


def _throw(thread: int, what: type[BaseException]) -> None:
    """Into the thread of this number."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(what))


PATIENCE = Patience()
"""The process's own."""
