"""From a model's text to structured pieces: reasoning, text and tool calls, one parser per family of formats.

Everything here is pure and incremental. A parser does not know tokens, sockets or what becomes of its pieces; how
the stream is cut into chunks never changes what it says.
"""

from __future__ import annotations

from collections.abc import Callable

from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls.base import Parser
from cortex.protocol.toolcalls.hermes import HermesParser
from cortex.protocol.toolcalls.plain import PlainParser

FAMILIES = ("hermes", "plain")


def parser_for(
    family: str,
    tools: tuple[ToolSpec, ...],
    *,
    reasoning_open: bool = False,
    call_id: Callable[[int], str],
) -> Parser:
    """Make the parser of one choice. `reasoning_open`: the prompt itself ended in the opening reasoning marker.

    `call_id` gives the id of the call with this index. Without tools on offer nothing is read as a call.
    """
    match family:
        case "hermes":
            offered = frozenset(tool.name for tool in tools)
            return HermesParser(offered, reasoning_open=reasoning_open, call_id=call_id)
        case "plain":
            return PlainParser()
        case _:
            raise ValueError(f"unknown tool-call family {family!r}; known: {', '.join(FAMILIES)}")
