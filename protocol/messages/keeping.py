"""What outlives a request for a while: opaque bytes that an edge leaves with a broker, and finds again by their name.

Only who left them gets them. Nothing of it is on disk: with its broker it is lost.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

AskNumber = Annotated[int, Meta(ge=0)]
"""By which an edge worker knows the answer to what it asked."""
KeptName = Annotated[str, Meta(min_length=1, max_length=128)]


class Keep(Struct, frozen=True, kw_only=True):
    """Keep the attachment under this name. Answered by `Held`, with `found` if it is kept."""

    ask: AskNumber
    name: KeptName
    principal: str


class Fetch(Struct, frozen=True, kw_only=True):
    """Give back what is kept under this name. Answered by `Held`, to which it is attached if it is there."""

    ask: AskNumber
    name: KeptName
    principal: str


class Forget(Struct, frozen=True, kw_only=True):
    """Keep it no longer. Answered by `Held`, with `found` if it was there."""

    ask: AskNumber
    name: KeptName
    principal: str


class Held(Struct, frozen=True, kw_only=True):
    """The answer to `ask`. What is not there and what is another's are told alike."""

    ask: AskNumber
    found: bool
