"""What is kept of a response for an hour: the conversation that led to it, and itself. Pure.

Nobody but this module looks into the bytes that it makes. Each holds the whole conversation, so that no chain of them
breaks in the middle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

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

    def find(self, wanted: Iterable[str]) -> dict[str, Raw]:
        """Those of these ids that are items of the conversation, as a client knows them."""
        missing, found = set(wanted), {}
        for index, item in enumerate(self.conversation):
            id_ = _id_of(_head_decoder.decode(item)) or _listed_as(self.id, index)
            if id_ in missing:
                found[id_] = item
        return found


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
_OWN = re.compile(r"(?:msg|rs|fc|ctc|item)_([0-9a-f]{24})[0-9]+")
"""An item's id: what its response is called, and its place there."""


def response_of(item_id: str) -> str:
    """The response that the item of this id belongs to; empty if it was not named here."""
    found = _OWN.fullmatch(item_id)
    return f"resp_{found[1]}" if found else ""


def _listed_as(response_id: str, index: int) -> str:
    """The id of an item that its client gave none."""
    return f"item_{response_id.removeprefix('resp_')}{index}"


def _id_of(head: _Head) -> str:
    return _text_decoder.decode(head.id) if bytes(head.id)[:1] == b'"' else ""


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
    ids = _ids(kept)
    items = list(zip(ids, kept.items, strict=True))
    if page.order == "desc":
        items.reverse()
    start = 0
    if page.after:
        if page.after not in ids:
            raise invalid("after", "names no item of this response")
        start = [id_ for id_, _ in items].index(page.after) + 1
    shown = [_named(raw, id_) for id_, raw in items[start : start + page.limit]]
    return _encode(
        {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": start + page.limit < len(items),
        }
    )


def _ids(kept: Kept) -> dict[str, None]:
    """Of all items, in their order. Pages go by them: no two are the same, and it takes no longer where a client's are."""
    ids: dict[str, None] = {}
    again: dict[str, int] = {}
    for index, raw in enumerate(kept.items):
        given = id_ = _id_of(_head_decoder.decode(raw)) or _listed_as(kept.id, index)
        while id_ in ids:
            again[given] = again.get(given, 0) + 1
            id_ = f"{given}_{again[given]}"
        ids[id_] = None
    return ids


def _named(raw: Raw, id_: str) -> dict[str, object]:
    """An item as a client expects it who did not send it."""
    head = _head_decoder.decode(raw)
    item: dict[str, object] = {**_fields.decode(raw)}  # nothing else of it is read: it may hold anything
    item["type"] = head.type or "message"
    item["id"] = id_
    if item["type"] == "message" and bytes(head.content)[:1] == b'"':
        kind = "output_text" if head.role == "assistant" else "input_text"
        item["content"] = [{"type": kind, "text": head.content}]
    return item
