"""What a client calls a model → the model's id. Pure.

In this order: an id; an alias; the alias with `*` whose written part is longest; the small model, if the name says that
some small one will do. Agents ask for such a one by a name of their own vendor, for titles and summaries.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from cortex.protocol.messages import Names

SMALL = frozenset({"haiku", "mini", "nano", "small", "flash", "lite", "tiny"})
"""Words in a name that mean a small model."""

_WORD = re.compile(r"[a-z]+|[0-9]+")


class Resolver:
    """The names of one moment. Aliases of models that are not there are left out."""

    def __init__(self, ids: Collection[str], names: Names) -> None:
        self._ids = ids
        there = {name: id_ for name, id_ in names.aliases.items() if id_ in ids and name not in ids}
        self.exact = {name: id_ for name, id_ in there.items() if "*" not in name}
        self._patterns = sorted(
            ((name.split("*"), name, id_) for name, id_ in there.items() if "*" in name),
            key=lambda item: (-sum(map(len, item[0])), item[0]),
        )
        self._small = names.small if names.small in ids else None

    def id_of(self, name: str) -> str | None:
        """The id that a name stands for, or None."""
        return self._found(name)[0]

    def written(self, name: str) -> str:
        """The name that the fleet's settings have for what this one means: clients can make up the rest of a `*`."""
        return self._found(name)[1]

    def _found(self, name: str) -> tuple[str | None, str]:
        """An id, and by which written name it was found; the small model is found by its id."""
        if name in self._ids:
            return name, name
        if name in self.exact:
            return self.exact[name], name
        for parts, pattern, id_ in self._patterns:
            if fits(name, parts):
                return id_, pattern
        if self._small is not None and means_small(name):
            return self._small, self._small
        return None, ""


def fits(name: str, parts: list[str]) -> bool:
    """Whether a name has these parts, which a pattern has between its `*`, in this order from its beginning to its end."""
    if len(parts) == 1:
        return name == parts[0]
    first, *middle, last = parts
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def means_small(name: str) -> bool:
    """Whether a name has a word that means a small model: gpt-5-mini does, gemini-pro does not."""
    return not SMALL.isdisjoint(_WORD.findall(name.lower()))
