"""Images in requests: checked before anything decodes them, and carried beside the request for a model that sees them.

Nothing is fetched: an image is in the request, as a data URL or in base64, or it is refused. Of its bytes only the head
is read here, for its size in pixels. For a model that sees no images, one that a person has just sent is an error; of
older ones, and of those in the results of tools, a word stands in their place, so that a conversation goes on. Of more
images than are taken, the newest are.
"""

from __future__ import annotations

import base64
import binascii

from msgspec import structs

from cortex.edge.dialects.decoding import invalid, unsupported
from cortex.edge.image_heads import TYPES, size_of
from cortex.protocol.faults import FaultError
from cortex.protocol.request import Chat, Image, Part, Text, Turn

ALIASES = {"image/jpg": "image/jpeg"}
MAX_BYTES = 8 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_IMAGES = 32
LONGEST_HEAD = 256
"""Characters of a data URL before its data."""
OMITTED = Text(text="[image omitted]")
FETCHED = "must be in the request itself: no address is fetched on a client's word; send its bytes"
_SPACES = b" \t\r\n"


class Images:
    """Reads the images of one conversation, of which there are `count`, in their order.

    One that is not `fresh`, that a person did not just send, may turn out to be no image at all, or one too many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._unread = max(0, count - MAX_IMAGES)

    def from_url(self, url: str, at: str, *, fresh: bool) -> Part:
        """An image that is a data URL (RFC 2397)."""
        if self._is_too_old(at, fresh=fresh):
            return OMITTED
        try:
            return _of_url(url, at, fresh=fresh)
        except FaultError:
            if fresh:
                raise
            return OMITTED

    def from_base64(self, data: str, mime: str, at: str, *, fresh: bool) -> Part:
        """An image in base64 (RFC 4648)."""
        if self._is_too_old(at, fresh=fresh):
            return OMITTED
        try:
            return _checked(data, mime, at, fresh=fresh)
        except FaultError:
            if fresh:
                raise
            return OMITTED

    def _is_too_old(self, at: str, *, fresh: bool) -> bool:
        if not self._unread:
            return False
        if fresh:
            raise invalid(at, f"is one of {self._count} images; send at most {MAX_IMAGES}")
        self._unread -= 1
        return True


def _of_url(url: str, at: str, *, fresh: bool) -> Image:
    if url[:5].lower() != "data:":
        raise unsupported(at, FETCHED)
    comma = url.find(",", 0, LONGEST_HEAD)
    kind, *parameters = url[5 : max(comma, 5)].lower().split(";")
    if comma < 0 or not parameters or parameters[-1].strip() != "base64":
        raise invalid(at, "is no data URL in base64; write data:image/png;base64, and the bytes")
    return _checked(url[comma + 1 :], kind.strip(), at, fresh=fresh)


def _checked(data: str, mime: str, at: str, *, fresh: bool) -> Image:
    mime = ALIASES.get(mime, mime)
    if mime not in TYPES:
        raise unsupported(at, f"must be one of {', '.join(TYPES)}")
    content = _decoded(data, at)
    size = size_of(content, mime)
    if size is None:
        raise invalid(at, f"is no image of type {mime}; send it with the type that it has")
    width, height = size
    if width * height > MAX_PIXELS:
        raise invalid(at, f"has {width} x {height} pixels; send at most {MAX_PIXELS // 10**6} million")
    return Image(attachment=0, mime=mime, data=content, fresh=fresh)


def _decoded(data: str, at: str) -> bytes:
    """The bytes of base64, which may stand in lines."""
    try:
        letters = data.encode("ascii").translate(None, _SPACES)
        if len(letters) > MAX_BYTES * 4 // 3 + 4:
            raise invalid(at, f"is larger than {MAX_BYTES // 2**20} MiB; send a smaller image")
        return base64.b64decode(letters, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(at, "is not valid base64; encode the image's bytes") from error


def for_model(chat: Chat, *, sees: bool, refuses: bool = True) -> Chat:
    """The chat without images, for a model that sees none; as it is, for one that `sees`.

    Raises `FaultError` if it `refuses` one that a person has just sent.
    """
    found = [part for turn in chat.turns for part in turn.parts if isinstance(part, Image)]
    if sees or not found:
        return chat
    if refuses and any(image.fresh for image in found):
        raise unsupported(
            "messages", f"holds an image, and {chat.model} sees none; send text, or ask another model"
        )
    return structs.replace(chat, turns=tuple(_unseen(turn) for turn in chat.turns))


def detached(chat: Chat) -> tuple[Chat, tuple[bytes, ...]]:
    """The chat as it travels, and its images in the order of their attachments, which follow the encoded request."""
    found: list[bytes] = []
    turns = [_detached(turn, found) for turn in chat.turns]
    return (structs.replace(chat, turns=tuple(turns)) if found else chat), tuple(found)


def _detached(turn: Turn, found: list[bytes]) -> Turn:
    if not any(isinstance(part, Image) for part in turn.parts):
        return turn
    parts: list[Part] = []
    for part in turn.parts:
        if isinstance(part, Image):
            found.append(part.data)
            parts.append(Image(attachment=len(found), mime=part.mime))
        else:
            parts.append(part)
    return structs.replace(turn, parts=tuple(parts))


def _unseen(turn: Turn) -> Turn:
    if not any(isinstance(part, Image) for part in turn.parts):
        return turn
    return structs.replace(
        turn, parts=tuple(OMITTED if isinstance(part, Image) else part for part in turn.parts)
    )
