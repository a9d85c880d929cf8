"""Anthropic's blocks → the parts of a turn, one by one. Pure; whatever is wrong is one fault that names the field.

What no model here can read (images, files, a text that is missing) is refused where a person has just sent it, and
stands as a few words, or not at all, everywhere else. It does not know whose message a block lies in.
"""

from __future__ import annotations

from collections.abc import Iterable

from cortex.edge.dialects.anthropic_body import Block, Message, Source
from cortex.edge.dialects.conversation import check_parts
from cortex.edge.dialects.decoding import invalid, unsupported
from cortex.edge.images import FETCHED, OMITTED, Images
from cortex.protocol.request import Part, Text

ERROR = "[error]"
"""What a model reads before the result of a tool that failed."""

_FETCHED = "must hold the data itself: no address is fetched and no file is kept on a client's word"


def images_of(system: str | list[Block] | None, messages: list[Message]) -> Images:
    """The reader of all images in these messages, which must not hold too many blocks, in whatever they lie."""
    parts = len(system) if isinstance(system, list) else 0
    images = 0
    for message in messages:
        if isinstance(message.content, str):
            continue
        parts += len(message.content)
        check_parts(parts, "messages")
        for block in message.content:
            inner = block.content if isinstance(block.content, list) else ()
            parts += len(inner) + _within(block)
            check_parts(parts, "messages")
            images += block.type == "image"
            if block.type == "tool_result":
                images += sum(one.type == "image" for one in inner)
                parts += sum(map(_within, inner))
    check_parts(parts, "messages")
    return Images(images)


def _within(block: Block) -> int:
    """How many blocks lie where a document, or what is found by a search, has them."""
    held = block.source.content if isinstance(block.source, Source) else None
    found = block.content if block.type != "tool_result" else None
    return (len(held) if isinstance(held, list) else 0) + (len(found) if isinstance(found, list) else 0)


def required_text(block: Block, at: str) -> str:
    """The text of a block that can be nothing else."""
    if block.type != "text":
        raise unsupported(f"{at}.type", f"must be text, not {block.type[:40]}")
    if block.text is None:
        raise invalid(f"{at}.text", "is required in a block of type text")
    return block.text


def result(block: Block, at: str, images: Images) -> tuple[Part, ...]:
    """What a tool returned. That it failed is said in words, for a template knows no field for it."""
    parts: list[Part] = [Text(text=ERROR)] if block.is_error else []
    if isinstance(block.content, list):
        for index, one in enumerate(block.content):
            parts += read(one, f"{at}.content[{index}]", images, fresh=False)
    elif isinstance(block.content, str):
        parts += as_part(block.content)
    return tuple(parts)


def read(block: Block, at: str, images: Images, *, fresh: bool) -> Iterable[Part]:
    """The parts of one block that is no result and no call. `fresh`: a person has just sent it."""
    match block.type:
        case "text":
            return as_part(required_text(block, at) if fresh else block.text or "")
        case "image":
            return (_image(block.source, at, images, fresh=fresh),)
        case "document":
            return _document(block, at, fresh=fresh)
        case "search_result":
            address = block.source if isinstance(block.source, str) else ""
            return as_part(joined((block.title or "", address, _content_text(block.content))))
        case "tool_reference":
            return as_part(f"[tool {block.tool_name or block.name or ''}]")
        case "tool_use" | "thinking" | "redacted_thinking":
            raise invalid(f"{at}.type", f"must not be {block.type} in a message of role user")
    return as_part(_unknown(block))


def _unknown(block: Block) -> str:
    """What can be read of a block whose type is not known, such as the summary of an earlier conversation.

    What ran on somebody else's server (searches, code) is left out: its results are sealed for that server's eyes.
    """
    return block.text or (block.content if isinstance(block.content, str) else "") or ""


def _image(source: Source | str | None, at: str, images: Images, *, fresh: bool) -> Part:
    here = f"{at}.source"
    if isinstance(source, Source) and source.type == "base64":
        return images.from_base64(source.data or "", source.media_type or "", here, fresh=fresh)
    if not fresh:
        return OMITTED
    if not isinstance(source, Source):
        raise invalid(here, "is required in a block of type image")
    raise unsupported(here, FETCHED)


def _document(block: Block, at: str, *, fresh: bool) -> Iterable[Part]:
    source = block.source
    head = joined((block.title or "", block.context or ""))
    if isinstance(source, Source) and source.type == "text":
        return as_part(joined((head, source.data or "")))
    if isinstance(source, Source) and source.type == "content":
        return as_part(joined((head, _content_text(source.content))))
    if not fresh:
        return as_part(joined((head, "[document omitted]")))
    if not isinstance(source, Source):
        raise invalid(f"{at}.source", "is required in a block of type document")
    if source.type in ("url", "file"):
        raise unsupported(f"{at}.source", _FETCHED)
    raise unsupported(at, "cannot be served: only documents of plain text are supported; send its text")


def _content_text(content: object) -> str:
    """All text of a content that may be a string or blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return joined(OMITTED.text if one.type == "image" else one.text or "" for one in content)


def as_part(text: str) -> tuple[Part, ...]:
    """A part of this text; none where there is none."""
    return (Text(text=text),) if text else ()


def joined(texts: Iterable[str]) -> str:
    """Those that say something, one to a line."""
    return "\n".join(filter(None, texts))
