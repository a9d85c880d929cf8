"""What is kept of a response for an hour: the conversation that led to it, and itself. Pure.

Nobody but this module looks into the bytes that it makes. Each holds the whole conversation, so that no chain of them
breaks in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from cortex.edge.dialects.decoding import invalid

MAX_KEPT = 4 * 1024 * 1024
"""Bytes of one response with its conversation; what is larger is not kept."""
PAGE = 20
MOST_PER_PAGE = 100


class _Said(Struct, frozen=True):
    output: list[Raw]


class _Head(Struct, frozen=True):
    """What is read of an item to show it."""

    type: str | None = None
    role: str | None = None
    id: Raw = Raw()
    content: Raw = Raw()


class Kept(Struct, frozen=True):
    """One response with all that was said before it."""

    id: str
    response: Raw
    items: list[Raw]

    @property
    def conversation(self) -> tuple[Raw, ...]:
        """All of it, the answer last."""
        return (*self.items, *_said_decoder.decode(self.response).output)

    def encode(self) -> bytes:
        return _encode(self)

    @staticmethod
    def decode(data: bytes) -> Kept:
        return _decoder.decode(data)


class Page(Struct, frozen=True):
    """Which of the items a client wants to see."""

    order: str = "desc"
    limit: int = PAGE
    after: str | None = None


_head_decoder = msgspec.json.Decoder(_Head)
_text_decoder = msgspec.json.Decoder(str)
_said_decoder = msgspec.json.Decoder(_Said)
_decoder = msgspec.json.Decoder(Kept)
_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, Raw])


def as_items(given: str | Sequence[Raw] | None) -> tuple[Raw, ...]:
    """The input as items: a text alone is what a user says."""
    if given is None:
        return ()
    if isinstance(given, str):
        return (Raw(_encode({"type": "message", "role": "user", "content": given})),) if given else ()
    return tuple(given)


def listed(kept: Kept, page: Page) -> bytes:
    """A page of the items that led to a response, each with a type and an id."""
    if page.order not in ("asc", "desc"):
        raise invalid("order", "must be asc or desc")
    if not 1 <= page.limit <= MOST_PER_PAGE:
        raise invalid("limit", f"must be at least 1 and at most {MOST_PER_PAGE}")
    items = [
        _named(item, f"item_{kept.id.removeprefix('resp_')}{index}") for index, item in enumerate(kept.items)
    ]
    if page.order == "desc":
        items.reverse()
    ids = [item["id"] for item in items]
    start = 0
    if page.after:
        if page.after not in ids:
            raise invalid("after", "names no item of this response")
        start = ids.index(page.after) + 1
    shown = items[start : start + page.limit]
    return _encode(
        {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": start + page.limit < len(items),
        }
    )


def _named(raw: Raw, id_: str) -> dict[str, object]:
    """An item as a client expects it who did not send it."""
    head = _head_decoder.decode(raw)
    item: dict[str, object] = {**_fields.decode(raw)}  # nothing else of it is read: it may hold anything
    item["type"] = head.type or "message"
    item["id"] = (_text_decoder.decode(head.id) if bytes(head.id)[:1] == b'"' else "") or id_
    if item["type"] == "message" and bytes(head.content)[:1] == b'"':
        kind = "output_text" if head.role == "assistant" else "input_text"
        item["content"] = [{"type": kind, "text": head.content}]
    return item
