"""JSON that was cut short → the part of it that is whole, as the SDKs read it. Pure.

Clients of a stream see the arguments of a call that the limit cut, and their SDKs read of them what is complete: values
that have ended, in objects and lists that are closed where the text ends. Of half a string they take nothing, so that
nobody writes half a file. Who waits for the whole answer is to see the same.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*+")|(?P<sign>[{}\[\],:])|(?P<value>[-+.\w]+)(?=[\s,\]}]|$))""",
    re.DOTALL,
)
_VALUE = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
_CLOSERS = {"{": "}", "[": "]"}


def whole_part(text: str) -> str:
    """The longest beginning that ends in a whole value, with what closes it; "{}" where there is none."""
    stack: list[str] = []
    """What is open where the text is cut: it changes only with the cut, or closing it would cost its depth each time."""
    cut = 0
    is_key = False
    """Whether a string would be a member's name."""
    at = 0
    while (token := _TOKEN.match(text, at)) is not None:
        at = token.end()
        sign = token["sign"]
        if sign is not None and sign in _CLOSERS:
            stack.append(sign)
            is_key = sign == "{"
        elif sign in ("}", "]"):
            if not stack or _CLOSERS[stack[-1]] != sign:
                break
            stack.pop()
            is_key = False
        elif sign == ",":
            is_key = bool(stack) and stack[-1] == "{"
            continue
        elif sign == ":":
            is_key = False
            continue
        elif is_key:
            continue
        elif token["value"] is not None and _VALUE.fullmatch(token["value"]) is None:
            break
        cut = at
        if not stack:
            break
    return text[:cut] + "".join(_CLOSERS[one] for one in reversed(stack)) or "{}"
