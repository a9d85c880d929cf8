"""What the device thread is doing, written by it and read by the pulse: plain attributes, no lock.

Liveness is not progress. A turn of the loop that lasts longer than five times the slowest such turn so far (and at
least 3.5 s; at most 30 s while decoding, 120 s during a prefill chunk) is a stall.
"""

from __future__ import annotations

from cortex.protocol.values import Phase

LEAST = 3.5
SLOWER = 5.0
CEILING: dict[Phase, float] = {"decode": 30.0, "prefill": 120.0, "idle": LEAST}


class Progress:
    """One device thread's whereabouts."""

    def __init__(self, now: float) -> None:
        self.turn = 0
        self.phase: Phase = "starting"
        self.since = now
        self.detail = ""
        self.live: tuple[tuple[str, int], ...] = ()
        self.tokens = 0
        self.free_bytes = 0
        self._slowest: dict[Phase, float] = {}

    def begin(self, phase: Phase, now: float) -> None:
        """A phase of work begins; the one before it is measured."""
        spent = now - self.since
        if spent > self._slowest.get(self.phase, 0.0):
            self._slowest[self.phase] = spent
        self.phase = phase
        self.since = now

    def busy_s(self, now: float) -> float:
        """How long the present phase lasts; an idle thread is not busy."""
        return 0.0 if self.phase == "idle" else max(0.0, now - self.since)

    def is_stalled(self, now: float) -> bool:
        """Whether the thread has stood for too long. Starting and loading take what they take."""
        ceiling = CEILING.get(self.phase)
        if ceiling is None:
            return False
        limit = min(ceiling, max(LEAST, SLOWER * self._slowest.get(self.phase, 0.0)))
        return now - self.since > limit
