"""Thoughts as clients keep them who want nothing kept here: one opaque text, which they send back. Pure.

It hides nothing. The digest tells whether it came back whole; what others made, or what was changed, is none of ours.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import blake2b

PREFIX = "cortex1-"
DIGEST = 16


def sealed(text: str) -> str:
    """The text that stands for these thoughts."""
    data = text.encode("utf-8", "surrogatepass")
    return PREFIX + base64.b64encode(_digest(data) + data).decode()


def unsealed(given: str) -> str | None:
    """The thoughts that it stands for; None if it was not made here."""
    if not given.startswith(PREFIX):
        return None
    try:
        data = base64.b64decode(given.removeprefix(PREFIX), validate=True)
        digest, text = data[:DIGEST], data[DIGEST:]
        return text.decode() if digest == _digest(text) else None
    except (binascii.Error, ValueError):
        return None


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST).digest()
