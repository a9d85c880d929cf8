"""The fleet's models as Anthropic's clients list them, page by page. Pure; it knows no HTTP and no keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from cortex.edge.dialects.decoding import invalid
from cortex.protocol.messages import CatalogueEntry

MAX_PAGE = 1000
PAGE = 20

_NO = {"supported": False}
_YES = {"supported": True}
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def model_of(entry: CatalogueEntry, name: str, created: int) -> dict[str, object]:
    """One model, by one of its names."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": entry.context or None,
        "max_tokens": entry.max_output or entry.context or None,
        "capabilities": _capabilities(entry.capabilities),
    }


def _capabilities(words: Sequence[str]) -> dict[str, object]:
    """Every key that clients look for."""
    thinks = _YES if "reasoning" in words else _NO
    return {
        "batch": _NO,
        "citations": _NO,
        "code_execution": _NO,
        "context_management": _NO,
        "effort": {**thinks, **dict.fromkeys(_EFFORTS, thinks)},
        "image_input": _YES if "vision" in words else _NO,
        "pdf_input": _NO,
        "server_tools": {**_NO, "code_execution": _NO, "web_search": _NO},
        "structured_outputs": _YES,
        "thinking": {
            **thinks,
            "types": {
                "adaptive": thinks,
                "between_tools": thinks,
                "disabled": _YES,
                "enabled": thinks,
            },
        },
    }


def page_of(names: Sequence[str], asked: Mapping[str, str | None]) -> tuple[Sequence[str], bool]:
    """The names of one page, and whether there are more beyond it. `asked` are limit, after_id and before_id."""
    limit = _limit(asked.get("limit"))
    if (before := asked.get("before_id")) is not None:
        end = _place(names, before, "before_id")
        start = max(0, end - limit)
        return names[start:end], start > 0
    after = asked.get("after_id")
    start = 0 if after is None else _place(names, after, "after_id") + 1
    return names[start : start + limit], start + limit < len(names)


def list_of(models: Sequence[Mapping[str, object]], *, more: bool) -> dict[str, object]:
    """One page."""
    return {
        "data": models,
        "has_more": more,
        "first_id": models[0]["id"] if models else None,
        "last_id": models[-1]["id"] if models else None,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE):
        raise invalid("limit", f"must be at least 1 and at most {MAX_PAGE}")
    return int(text)


def _place(names: Sequence[str], name: str, param: str) -> int:
    if name not in names:
        raise invalid(param, "names a model that is not listed; use first_id or last_id of a page")
    return names.index(name)
