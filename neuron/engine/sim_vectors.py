"""The simulated engine's vectors: what they are follows from the text alone, so that a test knows them. No torch."""

from __future__ import annotations

import hashlib
import math
import struct

WIDTH = 64
"""How many numbers a vector has unless fewer are asked for."""


def vector(text: str | tuple[int, ...], width: int = WIDTH) -> tuple[float, ...]:
    """A vector of length one; a narrower one is the beginning of a wider one, made to length one again."""
    told = text.encode() if isinstance(text, str) else repr(text).encode()
    seed = hashlib.shake_256(told).digest(2 * WIDTH)
    numbers = [(one - 32767.5) / 32767.5 for one in struct.unpack(f"<{WIDTH}H", seed)][:width]
    length = math.hypot(*numbers)
    return tuple(number / length for number in numbers)


def packed(text: str | tuple[int, ...], width: int = WIDTH) -> bytes:
    """The vector as it travels."""
    return struct.pack(f"<{width}f", *vector(text, width))
