"""From a model's text to structured pieces: reasoning, text and tool calls, one parser per family of formats.

Everything here is pure and incremental. A parser does not know tokens, sockets or what becomes of its pieces; how
the stream is cut into chunks never changes what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls.base import Parser
from cortex.protocol.toolcalls.families import FAMILIES, MESSAGES
from cortex.protocol.toolcalls.ids import call_ids
from cortex.protocol.toolcalls.naming import infer_tool_name, try_repair_missing_name
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.plain import PlainParser
from cortex.protocol.toolcalls.reading import MarkedParser
from cortex.protocol.toolcalls.repairing import repair, sweep_malformed
from cortex.protocol.toolcalls.steps import ALL, Step

__all__ = [
    "KNOWN",
    "call_ids",
    "infer_tool_name",
    "parser_for",
    "repair",
    "sweep_malformed",
    "try_repair_missing_name",
]

PLAIN = "plain"
KNOWN = (*FAMILIES, *MESSAGES, PLAIN)
"""Names of families."""


def parser_for(
    family: str,
    tools: Iterable[ToolSpec],
    *,
    reasoning_open: bool = False,
    call_id: Callable[[int], str] = "call_{}".format,
    steps: frozenset[Step] = ALL,
) -> Parser:
    """Make the parser of one choice. `reasoning_open`: the prompt itself ended in the opening reasoning marker.

    `call_id` gives the id of the call with this index; `steps` are the repairs that may be made. Without tools on offer
    nothing is read as a call.
    """
    if family == PLAIN:
        return PlainParser()
    if family in MESSAGES:
        return MESSAGES[family].parser(Offer(tools, steps), reasoning_open=reasoning_open, call_id=call_id)
    found = FAMILIES.get(family)
    if found is None:
        raise ValueError(f"unknown tool-call family {family!r}; known: {', '.join(KNOWN)}")
    return MarkedParser(found, Offer(tools, steps), reasoning_open=reasoning_open, call_id=call_id)


def markers_of(family: str) -> frozenset[str]:
    """The texts that mean something to this family's parser, which no tokenizer may leave out."""
    found = MESSAGES.get(family) or FAMILIES.get(family)
    return frozenset() if found is None else found.markers
