"""How many pixels has this image? From the head of its file, for the four types that are taken. Pure.

Nothing is decoded. PNG and WebP say it in their first thirty bytes; JPEG and GIF put other things in front, which are
stepped over by their lengths: a camera's file needs a few dozen steps, and one that needs thousands is not read to
its end. It does not know whether what follows the head is an image at all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from struct import unpack_from

MOST_STEPS = 4096

Size = tuple[int, int]

_NO_FRAMES = (0xC4, 0xC8, 0xCC)
"""JPEG's tables of codes and its reserved marker lie among the markers that begin a frame."""
_ENDS = (0xD9, 0xDA)
"""After these JPEG tells no size any more: the end, or the image itself."""


def size_of(data: bytes, mime: str) -> Size | None:
    """Its width and height; None if this is no image of that type, or one without pixels."""
    try:
        found = _READERS[mime](data)
    except (struct.error, IndexError):  # it ends too early
        return None
    return found if found is not None and min(found) > 0 else None


def _png(data: bytes) -> Size | None:
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR":
        return None
    width, height = unpack_from(">II", data, 16)
    return width, height


def _jpeg(data: bytes) -> Size | None:
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    at = 2
    for _ in range(MOST_STEPS):
        at = data.find(b"\xff", at)  # stray bytes between segments are skipped, as decoders do
        if at < 0:
            return None
        marker = data[at + 1]
        if marker in _ENDS:
            return None
        if marker == 0xFF:  # padding
            at += 1
        elif marker < 0xC0 or 0xD0 <= marker <= 0xD8:  # it stands alone
            at += 2
        elif marker <= 0xCF and marker not in _NO_FRAMES:
            height, width = unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + unpack_from(">H", data, at + 2)[0]
    return None


def _gif(data: bytes) -> Size | None:
    """The first frame may be larger than the screen that the head tells of, and decoders make room for it."""
    if not data.startswith((b"GIF87a", b"GIF89a")):
        return None
    width, height, flags = unpack_from("<HHB", data, 6)
    at = 13 + _colours(flags)
    inside = False
    for _ in range(MOST_STEPS):
        kind = data[at]
        if inside:  # a piece of an extension; an empty one ends it
            at += 1 + kind
            inside = kind > 0
        elif kind == 0x21:
            at += 2
            inside = True
        elif kind == 0x2C:
            left, top, wide, high = unpack_from("<HHHH", data, at + 1)
            return max(width, left + wide), max(height, top + high)
        else:
            return None
    return None


def _colours(flags: int) -> int:
    """The bytes of the table of colours that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(data: bytes) -> Size | None:
    if not data.startswith(b"RIFF") or data[8:12] != b"WEBP":
        return None
    match data[12:16]:
        case b"VP8X":
            wide, more_wide, high, more_high = unpack_from("<HBHB", data, 24)
            return (more_wide << 16 | wide) + 1, (more_high << 16 | high) + 1
        case b"VP8L" if data[20] == 0x2F:
            bits = unpack_from("<I", data, 21)[0]
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
            width, height = unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None


_READERS: dict[str, Callable[[bytes], Size | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}
TYPES = tuple(_READERS)
