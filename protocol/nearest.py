"""The names that somebody may have meant who wrote one that there is not. Pure; it does not know what they name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

FEW = 2
"""Names that are offered at most."""
LIKE = 0.6
LONGEST = 128
"""Characters of a name that are compared."""
MANY = 200
"""Names that are compared: whoever asks for nothing that there is shall not keep a gateway busy."""


def nearest(written: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those most like it, the best first; case does not count, nor who made a model: that is before the last slash."""
    meant: dict[str, list[str]] = {}
    for name, _ in zip(names, range(MANY), strict=False):
        for part in {_plain(name), _last(name)}:
            meant.setdefault(part, []).append(name)
    wanted = dict.fromkeys((_plain(written), _last(written)))
    close = [one for part in wanted for one in difflib.get_close_matches(part, meant, n=FEW, cutoff=LIKE)]
    best = sorted(
        close, key=lambda one: -max(difflib.SequenceMatcher(None, part, one).ratio() for part in wanted)
    )
    return tuple(dict.fromkeys(name for one in best for name in meant[one]))[:FEW]


def did_you_mean(names: Iterable[str]) -> str:
    """The question, with a space before it; nothing without a name."""
    listed = " or ".join(map(repr, names))
    return f" Did you mean {listed}?" if listed else ""


def _plain(name: str) -> str:
    return name[:LONGEST].casefold()


def _last(name: str) -> str:
    return _plain(name).rpartition("/")[2]
