"""A child that cannot outlive its parent, when a dead one may be started again, and how a live one is ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

PR_SET_PDEATHSIG: Final = 1
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 30.0
FORGIVEN_AFTER = 60.0
POISONED = 75
STALLED = 79
"""What a process ends with that has made no progress for too long."""


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process when its parent dies; leave at once if that has happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(0)


def end(child: subprocess.Popen[bytes], patience_s: float) -> int:
    """Send SIGTERM, wait, then SIGKILL; answers the exit code."""
    if child.poll() is None:
        child.terminate()
    try:
        return child.wait(patience_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def ending(code: int) -> str:
    """How a child ended, in words, by the exit code that `Popen` gives."""
    if code == STALLED:
        return "made no progress and gave itself up"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


@dataclass(slots=True)
class Restarts:
    """How soon may a device process be started again? Pure arithmetic over `now`."""

    failures: int = 0
    started: float = 0.0

    def pause(self, code: int, now: float) -> float:
        """Seconds to wait after a process that ended with `code`."""
        if now - self.started >= FORGIVEN_AFTER:
            self.failures = 0
        self.failures += 1
        if code == POISONED and self.failures == 1:
            return 0.0
        return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self.failures - 1)))
