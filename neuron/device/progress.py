"""What the device thread is doing, written by it and read by the pulse: plain attributes, no lock.

Liveness is not progress. A turn of the loop that lasts longer than five times the slowest such turn so far (and at
least 3.5 s; at most 30 s while decoding, 120 s during a prefill chunk) is a stall. A stall that lasts is not waited out:
the process gives itself up, for a fresh one.
"""

from __future__ import annotations

from cortex.protocol.values import Phase, Use

LEAST = 3.5
SLOWER = 5.0
CEILING: dict[Phase, float] = {"decode": 30.0, "prefill": 120.0, "idle": LEAST}
PREFILL = 4.0
"""How much longer than a token a chunk of a prompt may take before the process gives itself up."""
TOLD = 8
"""Requests that are named where many are in hand."""
GLANCE = 1.0
"""Seconds that count at most between two looks: a process that was frozen as a whole did not stand by itself."""


class Progress:
    """One device thread's whereabouts."""

    def __init__(self, now: float) -> None:
        self.turn = 0
        self.phase: Phase = "starting"
        self.since = now
        self.detail = ""
        self.taking = ""
        """The request that is being taken just now: read, rendered, seated."""
        self.live: tuple[tuple[tuple[str, int], ...], ...] = ()
        """Per broker, in the order of the settings, the attempts that it has in hand here."""
        self.use: dict[str, tuple[int, float]] = {}
        """Per hot model: requests in hand, and when the last of the others ended."""
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

    def live_of(self, index: int) -> tuple[tuple[str, int], ...]:
        """What one broker has in hand; nothing before the device thread's first turn."""
        live = self.live
        return live[index] if index < len(live) else ()

    def used(self, now: float) -> dict[str, Use]:
        """How much the hot models are used; one that works is not idle."""
        return {
            model: Use(running, 0 if running else max(0, int(1000 * (now - since))))
            for model, (running, since) in self.use.items()
        }

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

    @property
    def words(self) -> str:
        """What the thread is at, for people."""
        if self.taking:
            return f"taking request {self.taking}"
        names = [name for link in self.live for name, _ in link]
        more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
        return f"in a step ({self.phase}) with {', '.join(names[:TOLD]) or 'no request'}{more} in hand"


class Standing:
    """How long the thread has been at the same spot, in time for which this process ran."""

    def __init__(self, progress: Progress, stall_s: float) -> None:
        self._progress = progress
        self._stall_s = stall_s
        """After so long it is hopeless; 0 is never."""
        self._spot: tuple[int, Phase, float] | None = None
        self._seen = 0.0
        self._stood = 0.0

    def is_hopeless(self, now: float) -> bool:
        """Look again, a few times a second. Starting and loading take what they take."""
        progress = self._progress
        spot = (progress.turn, progress.phase, progress.since)
        self._stood = self._stood + min(now - self._seen, GLANCE) if spot == self._spot else 0.0
        self._spot, self._seen = spot, now
        limit = self._stall_s * (PREFILL if progress.phase == "prefill" else 1.0)
        return 0 < limit < self._stood and progress.is_stalled(now)
