"""How deep and how wide is this JSON? One pass over tokens, without recursion and without building anything.

Some decoders recurse and some overflow; what a client invents freely (tool schemas, template options) is decoded
again by a neuron. So the edge measures it first. It does not judge whether the text is JSON.
"""

from __future__ import annotations

import re

MAX_DEPTH = 32
MAX_DIGITS = 19

# Possessive, and a string without an end is a token too: the scan is linear on every input.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]|[-+.eE0-9]++', re.DOTALL)
_EXPONENT_DIGITS = 3
# Without a long run of digits, whether in a number or in a string, no number can be too wide.
_WIDE = re.compile(rb"[0-9]{20}|[eE][-+]?[0-9]{3}")


def problem(data: bytes | memoryview, max_depth: int = MAX_DEPTH) -> str | None:
    """What is wrong with `data`, as the predicate of a sentence; None if nothing is."""
    whole = bytes(data)
    if whole.count(b"{") + whole.count(b"[") <= max_depth and _WIDE.search(whole) is None:
        return None  # most bodies: too few brackets to be deep
    return _scan(whole, max_depth)


def _scan(data: bytes, max_depth: int) -> str | None:
    depth = 0
    for match in _TOKEN.finditer(data):
        token = match[0]
        first = token[0]
        if first == 0x22:  # a string
            continue
        if first in b"[{":
            depth += 1
            if depth > max_depth:
                return f"is nested deeper than {MAX_DEPTH} levels; send less depth"
        elif first in b"]}":
            depth -= 1
        elif len(token) > _EXPONENT_DIGITS and (reason := _number_problem(token)):
            return reason
    return None


def _number_problem(token: bytes) -> str | None:
    mantissa, _, exponent = token.lower().partition(b"e")
    if len(exponent.lstrip(b"+-")) >= _EXPONENT_DIGITS:
        return "holds a number whose exponent is too large; send a smaller one"
    if b"." not in mantissa and len(mantissa.lstrip(b"+-")) > MAX_DIGITS:
        return f"holds an integer of more than {MAX_DIGITS} digits; send a smaller one"
    return None
