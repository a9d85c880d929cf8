"""Which tool is meant by a call that does not say: told by its arguments, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.schemas import parsed
from cortex.protocol.toolcalls.steps import Repair, Step, repaired

SHAPES: dict[frozenset[str], str] = {
    frozenset({"command"}): "bash",
    frozenset({"command", "cwd"}): "bash",
    frozenset({"path", "content"}): "write_file",
    frozenset({"path", "old_text", "new_text"}): "edit_file",
}
"""Sets of keys that only one of an agent's usual tools has. `path` alone could be read_file or list_dir: no guess."""

_raw_values = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


def infer_tool_name(arguments: object, tools: Iterable[ToolSpec] | None = None) -> str | None:
    """The name of the tool that these arguments are for, or None where that would be a guess.

    Without `tools` a table of exact key sets decides; with them, the one tool whose schema the arguments satisfy:
    what is required is there, no key is unknown, and types fit. No arguments at all name nothing.
    """
    if not isinstance(arguments, Mapping):
        return None
    if tools is None:
        return SHAPES.get(frozenset(arguments))
    return Offer(tools).infer(arguments)


def try_repair_missing_name(raw: str) -> tuple[str, str] | None:
    """The call (name, arguments as JSON) of a body that lacks only its name; None for every other body.

    Only whole JSON whose `arguments` are an object is read, and any top-level `name`, even null, stops it.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or "name" in body:
        return None
    arguments = body.get("arguments")
    name = infer_tool_name(arguments)
    return None if name is None else (name, json.dumps(arguments, ensure_ascii=False))


def hoisted(text: str, offer: Offer) -> tuple[str, str, list[Repair]] | None:
    """The name of a call with these JSON arguments, its arguments, and what was done: found among them, or by shape.

    A name among the arguments counts only where the tool it names has no parameter `name` and takes all the others.
    """
    try:
        arguments: dict[str, Any] = parsed(text)
        if Step.HOISTED in offer.steps and isinstance(written := arguments.get("name"), str):
            name = offer.resolve(written)
            others = {key: value for key, value in arguments.items() if key != "name"}
            if name is not None and not offer.has(name, "name") and offer.fits(name, others):
                raw = _raw_values.decode(text)
                del raw["name"]
                repairs = [] if name == written else [repaired(Step.NAME, written, name)]
                return name, _encode(raw).decode(), [*repairs, repaired(Step.HOISTED, text, name)]
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None
    if Step.INFERRED in offer.steps and (name := offer.infer(arguments)) is not None:
        return name, text, [repaired(Step.INFERRED, text, name)]
    return None
