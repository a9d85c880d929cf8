"""One table: what each family of models writes. The formats are those of the models' own chat templates."""

from __future__ import annotations

from cortex.protocol.toolcalls.bodies import Body
from cortex.protocol.toolcalls.envelope import Envelope
from cortex.protocol.toolcalls.family import Family, Form
from cortex.protocol.toolcalls.offer import Offer


def _json(offer: Offer) -> Body:
    return Envelope(offer)


HERMES = Family("hermes", (Form(_json, ("<tool_call>",), ("</tool_call>",)),))

FAMILIES: dict[str, Family] = {family.name: family for family in (HERMES,)}
