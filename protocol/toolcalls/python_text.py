"""Values as Python writes them: what a string literal means, and what an expression of nothing but literals is.

Nothing is ever evaluated: an expression is read as a syntax tree, of which only literals and containers are known.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from json.encoder import encode_basestring
from typing import Any

from cortex.protocol.toolcalls.schemas import LITERALS
from cortex.protocol.toolcalls.steps import Repair, Step, repaired

MOST_ITEMS = 50_000
"""Commas in a value that only Python can read: its tree takes far more memory than its text."""

_ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|N\{([^{}]{1,80})\}|(\r\n|[\s\S]))"
)
_MEANT = {
    "\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\n": "", "\r": "", "\r\n": "",
}  # fmt: skip


def unescaped(text: str, steps: frozenset[Step], repairs: list[Repair]) -> str:
    """What stands between the quotes of a Python string, as it is meant. ValueError for what no string can mean.

    A backslash that begins no escape stands for itself, as in Python, and so does, as a repair, one whose escape
    lacks digits. The two halves of a surrogate pair, as JSON writes them, are one character; half a pair is none.
    """

    def meant(found: re.Match[str]) -> str:
        octal, *hexadecimal, name, other = found.groups()
        if octal:
            return chr(int(octal, 8))
        if digits := next(filter(None, hexadecimal), None):
            return chr(int(digits, 16))
        if name:
            return unicodedata.lookup(name)
        if other in _MEANT:
            return _MEANT[other]
        if other in "xuUN":
            if Step.ESCAPES not in steps:
                raise ValueError(found[0])
            repairs.append(repaired(Step.ESCAPES, found[0], "\\" + found[0]))
        return found[0]

    try:
        value = _ESCAPE.sub(meant, text) if "\\" in text else text
    except (KeyError, OverflowError) as error:
        raise ValueError("an escape of no character") from error
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16")


def written(text: str) -> str:
    """A string as both Python and JSON write it."""
    return encode_basestring(text)


def literal(text: str) -> Any:
    """The value of an expression that is a literal of Python or JSON, or lists, tuples and dicts of them.

    ValueError for every other text: an empty one, names, sums, calls, sets, and keys that are no strings.
    """
    try:
        return _read_json(text)
    except (ValueError, RecursionError):
        pass
    if not text or text.isspace() or text.count(",") > MOST_ITEMS:
        raise ValueError("no value")
    try:
        return _value(ast.parse(f"({text}\n)", mode="eval").body)
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("no literal") from error


def _refuse(name: str) -> None:
    raise ValueError(name)


_read_json = json.JSONDecoder(parse_constant=_refuse).decode


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(str() | bool() | int() | float() | None as value):
            return value
        case ast.Name(id=word) if word in LITERALS:
            return LITERALS[word]
        case ast.UnaryOp(
            op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as value)
        ) if not isinstance(value, bool):
            return -value if isinstance(sign, ast.USub) else value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            named = [_value(key) if key is not None else None for key in keys]
            if not all(isinstance(key, str) for key in named):
                raise ValueError("a key that is no string")
            return dict(zip(named, map(_value, values), strict=True))
        case _:
            raise ValueError("no literal")
