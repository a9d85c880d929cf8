"""The calls of Kimi K2, in which an id names the tool: `functions.NAME:N`, N counting the calls of a chat."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cortex.protocol.toolcalls.bodies import Headed
from cortex.protocol.toolcalls.envelope import Envelope
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.steps import Step, repaired

ARGUMENTS = "<|tool_call_argument_begin|>"

_HEAD = re.compile(rf"\s*(?P<name>\w[\w.:/-]*)\s*(?:{re.escape(ARGUMENTS)}\s*)?")
_COULD = re.compile(rf"\s*[\w.:/-]*\s*(?:{re.escape(ARGUMENTS)}\s*)?")
_ID = re.compile(r"functions\.(.+):\d+")
_WILD = re.compile(r"(?:functions)?[._:]?(.+?)[._:]?(\d*)")


class KimiCall(Headed):
    """One call; see `bodies.Body`. An id that names no tool may be followed by an object that does."""

    def __init__(self, offer: Offer) -> None:
        super().__init__(offer, _HEAD, could=_COULD, marks=(ARGUMENTS,), inside=Envelope)

    def _named(self) -> bool:
        found = _HEAD.fullmatch(self._before)
        if found is None:
            return False
        self.begun = True
        written = found["name"]
        if canonical := _ID.fullmatch(written):
            self.name = self._offer.resolve(canonical[1])
        if self.name is None:
            self.name = self._meant(written)
        elif canonical:
            self.id = written
        if self.name is not None and self.name != (canonical[1] if canonical else written):
            self.repairs.append(repaired(Step.NAME, written, self.name))
        return self.name is not None

    def _meant(self, written: str) -> str | None:
        """The tool that an id of another form names. Its call gets the id that the model should have written."""
        if written in self._offer.names:
            return written
        if Step.NAME not in self._offer.steps:
            return None
        for name, number in _readings(written):
            if name in self._offer.names:
                self.id = f"functions.{name}:{number}" if number else ""
                return name
        return self._offer.resolve(written)


def _readings(written: str) -> Iterator[tuple[str, str]]:
    """What an id may say: a name, of which digits at the end may be a part, and the call's number."""
    found = _WILD.fullmatch(written)
    if found is None:
        return
    prefix = found.start(1)
    yield written[prefix:], ""
    yield found[1], found[2]
