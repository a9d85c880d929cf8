"""The body of a harmony message that is a call: its arguments as one JSON object, for a tool that its header names."""

from __future__ import annotations

from cortex.protocol.toolcalls.json_stream import JsonScanner, Status
from cortex.protocol.toolcalls.markers import WHITESPACE, past
from cortex.protocol.toolcalls.naming import hoisted
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.steps import Repair, Step, repaired


class HarmonyArguments:
    """One call; see `bodies.Body`."""

    def __init__(self, offer: Offer, name: str | None, written: str | None) -> None:
        """`name`: that of a tool on offer, which the header had as `written`.

        Without one, that of the one tool which the arguments fit is taken, once they are whole.
        """
        self.status = Status.OPEN
        self.name = name
        self.begun = name is not None
        self.repairs: list[Repair] = []
        if name is not None and written is not None and name != written:
            self.repairs.append(repaired(Step.NAME, written, name))
        self._offer = offer
        self._scanner: JsonScanner | None = None
        self._waiting: list[str] | None = None if name is not None else []
        self._ready = ""

    def feed(self, text: str, start: int) -> int:
        """Consume what belongs to the object; answers the position behind it, or of the character refused."""
        if self.status is not Status.OPEN:
            return start
        if self._scanner is None:
            start = past(text, start, WHITESPACE)
            if start == len(text):
                return start
            if text[start] != "{":
                self.status = Status.BAD
                return start
            self.begun = True
            self._scanner = JsonScanner(self._offer.steps)
        end = self._scanner.feed(text, start)
        self._scanned(self._scanner)
        return end

    def take(self) -> str:
        """The next stretch of the arguments that may leave."""
        ready, self._ready = self._ready, ""
        return ready

    def close(self, *, delimited: bool) -> None:
        """Nothing more of it comes. No body at all means that there are no arguments."""
        if self._scanner is not None:
            self._scanner.close(delimited=delimited)
            self._scanned(self._scanner)
        elif self.name is not None and (delimited or self.status is Status.OPEN):
            self._ready = "{}"
            self.status = Status.DONE
        else:
            self.status = Status.BAD

    def _scanned(self, scanner: JsonScanner) -> None:
        self.status = scanner.status
        if self._waiting is None:
            self._ready += scanner.take()
        else:
            self._waiting.append(scanner.take())
        if self.status is not Status.DONE:
            return
        self.repairs += scanner.repairs
        if self._waiting is None:
            return
        found = hoisted("".join(self._waiting), self._offer)
        if found is None:
            self.status = Status.BAD
            return
        self.name, self._ready, repairs = found
        self.repairs += repairs
