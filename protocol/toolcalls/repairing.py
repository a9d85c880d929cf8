"""Bodies of calls that somebody else could not read, made into calls where that is no guess.

For whoever has only the text of a call: an agent whose model wrote one that no parser took. It reads them with the
same reader as the parsers do, so that what is repaired here is what is repaired there.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls.envelope import Envelope
from cortex.protocol.toolcalls.json_stream import Status
from cortex.protocol.toolcalls.markers import WHITESPACE
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.schemas import parsed
from cortex.protocol.toolcalls.steps import ALL, Repair, Step, repaired


class Repaired(Struct, frozen=True):
    """A call: the tool's name as it was offered, its arguments as one JSON object, and what had to be done."""

    name: str
    arguments: str
    repairs: tuple[Repair, ...] = ()


class Call(Struct, frozen=True):
    """A call that an agent is about to make."""

    id: str
    name: str
    arguments: str


class Swept(Struct, frozen=True):
    """`buckets` with the calls that were recovered, and the bodies that stay `malformed`."""

    buckets: dict[int, Call]
    malformed: tuple[str, ...]


def repair(raw: str, tools: Iterable[ToolSpec], *, steps: frozenset[Step] = ALL) -> Repaired | None:
    """The call of one of `tools` that a JSON body is, mended if need be; None if it is none or that would be a guess.

    The steps compose: closers too many or missing, quotes, commas, control characters, arguments as a string, names in
    another form, among the arguments or missing. A string, number or word that was cut is never completed, and where
    closers are missing, the arguments must be all that the tool requires. To be asked only for a reply that ended by
    itself: of one that a limit cut, a body may look whole and not be.
    """
    offer = Offer(tools, steps)
    body = Envelope(offer)
    end = body.feed(raw, 0)
    arguments = body.take()
    if body.status is Status.OPEN:
        body.close(delimited=False)
        arguments += body.take()
    rest = raw[end:].strip(WHITESPACE)
    if body.status is not Status.DONE or body.name is None:
        return None
    repairs = list(body.repairs)
    if any(one.step is Step.BRACKETS for one in repairs) and not offer.fits(body.name, parsed(arguments)):
        return None
    if rest:
        if rest.strip("}") or Step.BRACES not in steps:
            return None
        repairs.append(repaired(Step.BRACES, rest, ""))
    return Repaired(body.name, arguments, tuple(repairs))


def sweep_malformed(
    buckets: Mapping[int, Call],
    malformed: Iterable[str],
    tools: Iterable[ToolSpec],
    *,
    new_id: Callable[[], str] = lambda: f"call_{uuid.uuid4().hex[:24]}",
) -> Swept:
    """Put the malformed bodies that can be repaired behind the calls in `buckets`, in order, and keep the rest.

    Each takes the next free index, and an id from `new_id` that no call of the whole session may have had.
    """
    swept = dict(buckets)
    kept: list[str] = []
    offered = tuple(tools)
    for raw in malformed:
        found = repair(raw, offered)
        if found is None:
            kept.append(raw)
        else:
            swept[max(swept, default=-1) + 1] = Call(new_id(), found.name, found.arguments)
    return Swept(swept, tuple(kept))
