"""How deep and how wide is this JSON? One pass over its bytes, in C, without recursion of ours and without building anything.

Some decoders recurse and some overflow; what a client invents freely and a neuron decodes again (tool schemas, template
options) is measured here first. It takes the text for JSON: somebody has decoded it, if only to set it aside.
"""

from __future__ import annotations

import re

MAX_DEPTH = 32
MAX_DIGITS = 19

# Everything is possessive and every choice is made by the first byte: a match is linear on every input.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NUMBER = (
    rb"(?:[0-9]++\.[0-9]++|[0-9]{1,%d}+(?![0-9]))(?:[eE][-+]?+[0-9]{1,2}+(?![0-9]))?+(?![eE0-9])" % MAX_DIGITS
)
_NARROW = re.compile(rb'(?:[^"0-9]++|%b|%b)*+' % (_STRING, _NUMBER), re.DOTALL)
_EXPONENT = re.compile(rb"[0-9.]*+[eE]")

_DIGITS = bytes.maketrans(b"123456789E+", b"000000000e-")
_WIDE = (b"0" * (MAX_DIGITS + 1), b"e000", b"e-000")
"""What a number too wide looks like when all digits are alike. Strings may look so too."""


def _nested(depth: int) -> bytes:
    """The pattern of values that lie within at most so many brackets. It is as long as they are many."""
    pattern = rb'(?:[^"\[\]{}]++|%b)*+' % _STRING
    for _ in range(depth):
        pattern = rb'(?:[^"\[\]{}]++|%b|[\[{]%b[\]}])*+' % (_STRING, pattern)
    return pattern


_SHALLOW = re.compile(_nested(MAX_DEPTH), re.DOTALL)


def problem(data: bytes) -> str | None:
    """What is wrong with `data`, as the predicate of a sentence; None if nothing is."""
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _SHALLOW.fullmatch(data) is None:
        return f"is nested deeper than {MAX_DEPTH} levels; send less depth"
    alike = data.translate(_DIGITS)
    if any(sign in alike for sign in _WIDE):
        narrow = _NARROW.match(data)
        end = narrow.end() if narrow is not None else 0
        if end < len(data):
            return _too_wide(data, end)
    return None


def _too_wide(data: bytes, at: int) -> str:
    if _EXPONENT.match(data, at):
        return "holds a number whose exponent is too large; send a smaller one"
    return f"holds an integer of more than {MAX_DIGITS} digits; send a smaller one"
