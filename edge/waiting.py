"""What a client is told while it waits: comments in a stream of events, which every client skips and people can read.

`: queued, 3 ahead: every replica is busy`, `: loading MODEL on NODE 43 %`. Once a second at most. It knows no clock.
"""

from __future__ import annotations

from cortex.protocol.messages import Loading, Queued

EVERY_S = 1.0
PING = b": ping\n\n"


class Waiting:
    """The comments of one request for `model`, as its client may call it; `discreet`: they name no other one."""

    def __init__(self, model: str, *, discreet: bool = False) -> None:
        self._model = model
        self._discreet = discreet
        self._state = ""
        self._said_at = -EVERY_S

    def hear(self, item: Queued | Loading, now: float) -> bytes:
        """A comment about this, or nothing if the last one is less than a second old."""
        if isinstance(item, Loading):
            place = f" on {item.node}" if item.node else ""
            self._state = f"loading {self._model}{place} {item.percent} %"
        else:
            reason = item.discreet or item.reason if self._discreet else item.reason
            why = f": {reason}" if reason else ""
            self._state = f"queued, {item.position} ahead{why}"
        return self._say(now)

    def serve(self) -> None:
        """The wait is over."""
        self._state = ""

    def quiet(self, now: float) -> bytes:
        """Nothing has come for a while: how things stand, so that nobody on the way closes the stream."""
        return self._say(now) or PING

    def _say(self, now: float) -> bytes:
        if not self._state or now < self._said_at + EVERY_S:
            return b""
        self._said_at = now
        return b": " + " ".join(self._state.split()).encode("utf-8", "replace") + b"\n\n"
