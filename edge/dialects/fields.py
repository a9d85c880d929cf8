"""Checks of single fields that every dialect makes: names, numbers within bounds, JSON that is passed on unread. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from cortex.edge.dialects import json_limits
from cortex.edge.dialects.decoding import ABSENT, invalid

MAX_MESSAGES = 4096
MAX_TOOLS = 512
MAX_STOPS = 16
MAX_BIASES = 1024
MAX_LIKELIEST = 20
MAX_NAME = 128
MAX_OUTPUT = 2**31 - 1
SEED_MASK = 2**63 - 1
THINKING_OFF = frozenset({"none", "minimal"})
"""Efforts that mean: answer without thinking."""

_options_decoder = msgspec.json.Decoder(dict[str, Raw])


def check_name(name: str, param: str) -> None:
    """Refuse a name of a model or a tool that is empty or too long."""
    if not 1 <= len(name) <= MAX_NAME:
        raise invalid(param, f"must have 1 to {MAX_NAME} characters")


def check_tool_name(name: str, param: str) -> None:
    """Refuse what models cannot write as a name; OpenAI takes letters, digits, `_` and `-` only, others dots and more."""
    check_name(name, param)
    if any(sign.isspace() or not sign.isprintable() for sign in name):
        raise invalid(param, "must have no spaces and no control characters, such as get_weather")


def json_object(raw: Raw, at: str) -> bytes:
    """The bytes of a JSON object that is passed on unread; an empty one where nothing was sent."""
    data = bytes(raw)
    if data in ABSENT:
        return b"{}"
    if not data.lstrip().startswith(b"{"):
        raise invalid(at, "must be an object")
    if len(data) > json_limits.MAX_DEPTH and (reason := json_limits.problem(data)):
        raise invalid(at, reason)
    return data


def within(
    value: float | None, param: str, low: float, high: float, *, open_low: bool = False
) -> float | None:
    """The number, if it lies within these bounds."""
    if value is not None and not (low <= value <= high and (value > low or not open_low)):
        more = "greater than" if open_low else "at least"
        raise invalid(param, f"must be {more} {low:g} and at most {high:g}")
    return value


def whole(value: int | None, param: str, low: int, high: int = SEED_MASK) -> int | None:
    """The integer, if it lies within these bounds."""
    if value is not None and not low <= value <= high:
        limit = f" and at most {high}" if high < MAX_OUTPUT else ""
        raise invalid(param, f"must be at least {low}{limit}")
    return value


def stops(given: str | list[str] | None, param: str) -> tuple[str, ...]:
    """Strings that end the answer; none of them may be empty."""
    if given is None:
        return ()
    found = (given,) if isinstance(given, str) else tuple(given)
    if len(found) > MAX_STOPS:
        raise invalid(param, f"holds {len(found)} strings; send at most {MAX_STOPS}")
    if not all(found):
        raise invalid(param, "must not hold an empty string")
    return found


def biases(bias: dict[str, float] | None) -> dict[str, float] | None:
    """Token ids, each with what is added to its logit."""
    if not bias:
        return None
    if len(bias) > MAX_BIASES:
        raise invalid("logit_bias", f"holds {len(bias)} tokens; send at most {MAX_BIASES}")
    for token, value in bias.items():
        if not (token.isascii() and token.isdigit() and len(token) <= 9):
            raise invalid("logit_bias", "must have token ids as its keys")
        within(value, f"logit_bias.{token}", -100, 100)
    return bias


def thinking_options(thinking: bool | None, given: bytes = b"{}") -> bytes:
    """Options for the chat template: those given, and whether to think, unless they say so or nothing was asked for."""
    if thinking is None:
        return given
    options = _options_decoder.decode(given)
    options.setdefault("enable_thinking", Raw(b"true" if thinking else b"false"))
    return msgspec.json.encode(options)
