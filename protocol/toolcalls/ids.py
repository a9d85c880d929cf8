"""The ids of tool calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


def call_ids(request: str, choice: int) -> Callable[[int], str]:
    """Ids that depend on the request, the choice and the call's index alone, so that a replay gives the same ones."""

    def call_id(index: int) -> str:
        digest = hashlib.sha256(f"{request}/{choice}/{index}".encode()).hexdigest()
        return f"call_{digest[:24]}"

    return call_id
