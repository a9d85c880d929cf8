"""One table: what each family of models writes. The formats are those of the models' own chat templates."""

from __future__ import annotations

from cortex.protocol.toolcalls.family import Family, Form
from cortex.protocol.toolcalls.tagged_families import QWEN, TAGGED, json_or_qwen

HERMES = Family("hermes", (Form(json_or_qwen, ("<tool_call>",), ("</tool_call>", *QWEN.closes)),))

FAMILIES: dict[str, Family] = {family.name: family for family in (HERMES, *TAGGED)}
