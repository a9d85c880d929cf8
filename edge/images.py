"""Images in requests: checked before anything decodes them, and carried beside the request for a model that sees them.

Nothing is fetched: an image is in the request, as a data URL or in base64, or it is refused. Of its bytes only the head
is read here, for its size in pixels. For a model that sees no images, one that a person has just sent is an error; of
older ones, and of those in the results of tools, a word stands in their place, so that a conversation goes on.
"""

from __future__ import annotations

import base64
import binascii
import io

import PIL.Image
from msgspec import structs

from cortex.edge.dialects.decoding import invalid, unsupported
from cortex.protocol.faults import FaultError
from cortex.protocol.request import Chat, Image, Part, Text, Turn

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}
MAX_BYTES = 8 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_IMAGES = 32
OMITTED = Text(text="[image omitted]")
FETCHED = "must be in the request itself: no address is fetched on a client's word; send its bytes"


def from_url(url: str, at: str, *, fresh: bool) -> Part:
    """An image that is a data URL (RFC 2397). One that a person did not just send may turn out to be no image at all."""
    head, comma, data = url.partition(",")
    kind, _, encoding = head[5:].partition(";")
    try:
        if head[:5].lower() != "data:":
            raise unsupported(at, FETCHED)
        if not comma or encoding.strip().lower() != "base64":
            raise invalid(at, "is no data URL in base64; write data:image/png;base64, and the bytes")
        return from_base64(data, kind.strip().lower(), at, fresh=True)
    except FaultError:
        if fresh:
            raise
        return OMITTED


def from_base64(data: str, mime: str, at: str, *, fresh: bool) -> Part:
    """An image in base64 (RFC 4648). One that a person did not just send may turn out to be no image at all."""
    try:
        return _checked(data, mime, at)
    except FaultError:
        if fresh:
            raise
        return OMITTED


def _checked(data: str, mime: str, at: str) -> Image:
    if mime not in FORMATS:
        raise unsupported(at, f"must be one of {', '.join(FORMATS)}")
    if len(data) > MAX_BYTES * 4 // 3 + 4:
        raise invalid(at, f"is larger than {MAX_BYTES // 2**20} MiB; send a smaller image")
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(at, "is not valid base64; encode the image's bytes") from error
    try:
        with PIL.Image.open(io.BytesIO(content), formats=[FORMATS[mime]]) as image:
            width, height = image.size
    except Exception as error:  # what reads foreign bytes fails in many ways
        raise invalid(at, f"is no image of type {mime}; send it with the type that it has") from error
    if width * height > MAX_PIXELS:
        raise invalid(at, f"has {width} x {height} pixels; send at most {MAX_PIXELS // 10**6} million")
    return Image(attachment=0, mime=mime, data=content)


def for_model(chat: Chat, *, sees: bool, refuses: bool = True) -> Chat:
    """The chat without images, for a model that sees none; as it is, for one that `sees`.

    Raises `FaultError` if it `refuses` one that a person has just sent, and for too many.
    """
    count = sum(isinstance(part, Image) for turn in chat.turns for part in turn.parts)
    if not count:
        return chat
    if count > MAX_IMAGES and sees:
        raise invalid("messages", f"holds {count} images; send at most {MAX_IMAGES}")
    if sees:
        return chat
    users = [index for index, turn in enumerate(chat.turns) if turn.role == "user"]
    if refuses and users and any(isinstance(part, Image) for part in chat.turns[users[-1]].parts):
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
