"""Between brokers: who lives and how busy each is, and operators' questions passed to the owner of a model."""

from __future__ import annotations

from msgspec import Struct

from cortex.protocol.values import Ms


class PeerBeat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A broker lives. Once a second to every other one; three missed ones and its models move."""

    name: str
    interval_ms: Ms = 1000
    running: int = 0
    waiting: int = 0
    served: int = 0
    owns: int = 0
    catalogue: bytes = b""
    """Digest of its models.toml: brokers that disagree say so."""


class Forward(Struct, frozen=True, kw_only=True):
    """An operator's message, as (kind, body), for the owner of the model that it names. Never forwarded again."""

    number: int
    kind: int
    body: bytes


class Forwarded(Struct, frozen=True, kw_only=True):
    """The answer to `Forward`, as (kind, body)."""

    number: int
    kind: int
    body: bytes
