"""On which line of a TOML text is this key? The standard parser does not say.

It reads text that the standard parser has accepted, and cares for keys alone: values are stepped over. It does not
judge: of a text that is no TOML it finds what it finds.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
"""Keys, and indices of arrays and of arrays of tables."""

LONGEST_NAME = 128
"""Of what an entry is called in an error."""

_TOKEN = re.compile(
    r'(?P<space>[ \t\r]+|\#[^\n]*)|(?P<string>"{3}(?:[^\\]|\\.)*?"{3,5}|\'{3}.*?\'{3,5}'
    r'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')|(?P<mark>[\[\]{},=.\n])|(?P<bare>[^\s\[\]{},=."\'#]+|.)',
    re.DOTALL,
)


class _Token(NamedTuple):
    text: str
    line: int
    bare: bool

    @property
    def key(self) -> str:
        """The key that it spells, if it is one."""
        if self.text[:1] not in "\"'":
            return self.text
        try:
            return str(tomllib.loads(f"key = {self.text}")["key"])
        except tomllib.TOMLDecodeError:
            return self.text


def positions(text: str) -> dict[Path, int]:
    """The line of every key and of every item of an array, counted from 1."""
    return _Scan(text).read()


def line_of(found: dict[Path, int], path: Path) -> int | None:
    """The line of a path, else of the nearest table or array round it: a key that is missing is missing there."""
    while path:
        if path in found:
            return found[path]
        path = path[:-1]
    return None


def spelled(path: Path) -> str:
    """A path as validators write it: models[2].limit.context."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def told(path: Path, data: Any) -> str:
    """The same for people, who do not count: an entry by its id or name, as models["qwen"].limit.context.

    One that has neither is said by its place: limit.context of the 3rd entry of models.
    """
    found, text, outer = data, "", ""
    for step in path:
        try:
            found = found[step]
        except (LookupError, TypeError):
            found = None
        if isinstance(step, str):
            text += f".{step}" if text else step
        elif (name := _name_of(found)) is not None:
            text += f"[{json.dumps(name, ensure_ascii=False)}]"
        else:
            outer = f" of the {ordinal(step + 1)} entry of {text}{outer}"
            text = ""
    return f"{text}{outer}" if text else outer.removeprefix(" of ")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _name_of(entry: Any) -> str | None:
    """What an operator calls an entry of an array of tables."""
    if not isinstance(entry, dict):
        return None
    name = entry.get("id", entry.get("name"))
    return name if isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME and name.isprintable() else None


def path_of(text: str) -> Path:
    """What `spelled` made of a path whose keys hold neither dots nor brackets."""
    steps = re.findall(r"\[(\d+)\]|([^.\[\]]+)", text)
    return tuple(int(index) if index else key for index, key in steps)


class _Scan:
    """One pass over the tokens; `_table` is where the keys of this line belong."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._found: dict[Path, int] = {}
        self._arrays: Counter[Path] = Counter()
        """How many tables each array of tables has so far."""

    def read(self) -> dict[Path, int]:
        table: Path = ()
        while self._at < len(self._tokens):
            if self._peek() == "\n":
                self._at += 1
            elif self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._found

    def _peek(self) -> str:
        token = self._token()
        return token.text if token is not None and not token.bare else ""

    def _token(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, mark: str) -> bool:
        """Step over this mark if it is next."""
        taken = self._peek() == mark
        self._at += taken
        return taken

    def _header(self) -> Path:
        """[a.b] or [[a.b]]: the table that follows."""
        line = self._tokens[self._at].line
        self._take("[")
        several = self._take("[")
        path: Path = ()
        keys = self._keys()
        for index, key in enumerate(keys):
            path += (key,)
            if several and index == len(keys) - 1:
                self._note(path, line)
                self._arrays[path] += 1
            if path in self._arrays:
                path += (self._arrays[path] - 1,)
            self._note(path, line)
        while self._take("]"):
            pass
        return path

    def _keys(self) -> list[str]:
        """A dotted key."""
        keys = []
        while (token := self._token()) is not None and token.bare:
            keys.append(token.key)
            self._at += 1
            if not self._take("."):
                break
        return keys

    def _pair(self, table: Path) -> None:
        """One `key = value`, whose keys belong to `table`."""
        token = self._token()
        keys = self._keys()
        if token is None or not keys or not self._take("="):
            self._at += 1  # no TOML; never stand still
            return
        path = table
        for key in keys:
            path += (key,)
            self._note(path, token.line)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._take("["):
            self._inside(path, "]")
        elif self._take("{"):
            self._inside(path, "}")
        else:  # numbers and dates hold dots, and dates one space
            while (token := self._token()) is not None and (token.bare or token.text == "."):
                self._at += 1

    def _inside(self, path: Path, end: str) -> None:
        """The items of an array or the pairs of an inline table."""
        index = 0
        while (token := self._token()) is not None and not self._take(end):
            if self._take(",") or self._take("\n"):
                continue
            before = self._at
            if end == "]":
                self._note((*path, index), token.line)
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
            if self._at == before:
                self._at += 1

    def _note(self, path: Path, line: int) -> None:
        self._found.setdefault(path, line)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    line = 1
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if match["space"] is None:
            tokens.append(_Token(piece, line, match["mark"] is None))
        line += piece.count("\n")
    return tokens
