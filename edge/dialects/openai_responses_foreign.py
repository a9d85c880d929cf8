"""Items of tools that run elsewhere, as conversations hold that were begun elsewhere: calls, and what came of them. Pure.

None of these tools is offered here, but the model has to see what was done, or it does not know what its next message
follows from. So each becomes a call of a tool of its name, with whatever its item says as arguments.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Raw

from cortex.edge.dialects.decoding import TOO_DEEP, invalid, unsupported
from cortex.protocol.request import ToolCall

SILENT = frozenset({"mcp_list_tools", "additional_tools", "configuration_update"})
"""They say nothing that was said: tools and settings."""
UNREADABLE = frozenset({"compaction", "context_compaction", "compaction_summary", "compaction_trigger"})
ANSWERED = frozenset(
    {
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "computer_call",
        "tool_search_call",
        "program",
        "mcp_approval_request",
    }
)
"""Calls that another item answers."""
ANSWERS = {
    "local_shell_call_output": "output",
    "shell_call_output": "output",
    "apply_patch_call_output": "output",
    "computer_call_output": "output",
    "tool_search_output": "tools",
    "program_output": "result",
    "mcp_approval_response": "approve",
}
"""What came of them, and the field that tells."""
COMPLETE = {
    "mcp_call": "output",
    "code_interpreter_call": "outputs",
    "file_search_call": "results",
    "web_search_call": "results",
    "image_generation_call": "result",
}
"""Calls that hold what came of them, if anything, in this field."""
PICTURES = frozenset({"image_generation_call", "computer_call_output"})
OWN = ("message", "reasoning", "function_call", "function_call_output", "custom_tool_call")
LONGEST = 40
_HIDDEN = frozenset({"type", "id", "call_id", "status", "created_by", "caller", "async", "fingerprint"})
"""Fields that are about the item, not about the call."""

_fields = msgspec.json.Decoder(dict[str, Raw])
_text_decoder = msgspec.json.Decoder(str)


class Done(NamedTuple):
    """A call, or what came of one, or both."""

    call_id: str
    call: ToolCall | None = None
    answer: str | None = None


def read(kind: str, raw: Raw, at: str) -> Done:
    """What such an item says was done. Raises `FaultError` for one that nobody knows."""
    if kind in UNREADABLE:
        raise unsupported(
            at,
            f"is of type {kind}, which only the place that made it can read; send the items that it stands for",
        )
    if kind not in ANSWERED and kind not in ANSWERS and kind not in COMPLETE:
        raise invalid(
            f"{at}.type",
            f"is {kind[:LONGEST]}, which nobody here knows; send {', '.join(OWN[:-1])} or {OWN[-1]}",
        )
    try:
        fields = _fields.decode(raw)
    except RecursionError as error:
        raise invalid(at, TOO_DEEP) from error
    call_id = _id_of(fields)
    if kind in ANSWERS:
        return Done(call_id, answer=_told(kind, fields, ANSWERS[kind]))
    told = COMPLETE.get(kind)
    given = {name: value for name, value in fields.items() if name not in _HIDDEN and name != told}
    call = ToolCall(id=call_id, name=kind.removesuffix("_call"), arguments=msgspec.json.encode(given))
    return Done(call_id, call, None if told is None else _told(kind, fields, told))


def _id_of(fields: dict[str, Raw]) -> str:
    for name in ("call_id", "approval_request_id", "id"):
        if name in fields and (found := _text(fields[name])):
            return found
    return ""


def _told(kind: str, fields: dict[str, Raw], name: str) -> str:
    value = fields.get(name, Raw(b"null"))
    if bytes(value) == b"null":
        value = fields.get("error", value)
    if bytes(value) in (b"null", b"[]"):
        return "[result omitted]"
    if kind in PICTURES:
        return "[image omitted]"
    text = _text(value)
    return bytes(value).decode() if text is None else text


def _text(value: Raw) -> str | None:
    try:
        return _text_decoder.decode(value)
    except msgspec.ValidationError:
        return None
