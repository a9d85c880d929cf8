"""One table: what each family of models writes. The formats are those of the models' own chat templates."""

from __future__ import annotations

from dataclasses import dataclass

from cortex.protocol.toolcalls.family import Family, Form
from cortex.protocol.toolcalls.harmony import MARKERS, HarmonyParser
from cortex.protocol.toolcalls.json_families import BARE, JSON_FAMILIES, TOOLS_BLOCK
from cortex.protocol.toolcalls.pythonic_families import PYTHON_FAMILIES
from cortex.protocol.toolcalls.tagged_families import QWEN, TAGGED, json_or_qwen

HERMES = Family(
    "hermes",
    (Form(json_or_qwen, ("<tool_call>",), ("</tool_call>", *QWEN.closes)), TOOLS_BLOCK),
    BARE,
)

FAMILIES: dict[str, Family] = {
    family.name: family for family in (HERMES, *JSON_FAMILIES, *TAGGED, *PYTHON_FAMILIES)
}


@dataclass(frozen=True)
class Messages:
    """A family whose replies are messages, not text with calls in it: its parser, and the markers that this knows."""

    parser: type[HarmonyParser]
    markers: frozenset[str]


MESSAGES: dict[str, Messages] = {"harmony": Messages(HarmonyParser, MARKERS)}
