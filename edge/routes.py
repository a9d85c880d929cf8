"""The routes as clients read them, and the nearest ones to an address where there is nothing. Pure."""

from __future__ import annotations

import difflib

ALIKE = 0.5
SHOWN = 100
"""Characters of a client's own path that an error repeats."""


class Routes:
    """Each as `METHOD /path`, in the order of the table that makes the app."""

    def __init__(self, listed: tuple[str, ...]) -> None:
        self.listed = listed

    def nearest(self, path: str) -> list[str]:
        """Up to two routes that a client may have meant."""
        by_path = {route.partition(" ")[2]: route for route in self.listed if not route.endswith(" /")}
        return [by_path[found] for found in difflib.get_close_matches(path[:SHOWN], by_path, 2, ALIKE)]

    def nothing_at(self, path: str) -> str:
        """The sentence for a 404."""
        meant = " or ".join(self.nearest(path))
        hint = f"did you mean {meant}? GET / lists all routes." if meant else "GET / lists all routes."
        return f"There is nothing at {path[:SHOWN]}; {hint}"
