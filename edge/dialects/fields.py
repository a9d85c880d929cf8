"""Checks of single fields that every dialect makes: names, numbers within bounds, JSON that is passed on unread. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from cortex.edge.dialects import json_limits
from cortex.edge.dialects.decoding import ABSENT, FRACTION, Whole, invalid
from cortex.protocol.codec import MAX_ITEMS, REQUEST_LIMIT
from cortex.protocol.faults import Code, FaultError, fault

MAX_MESSAGES = 4096
MAX_TOOLS = 512
MAX_STOPS = 16
MAX_BIASES = 1024
MAX_LIKELIEST = 20
MAX_NAME = 128
MAX_TOKEN = 2**31 - 1
MAX_IDS = MAX_ITEMS
"""Token ids in one body."""
MAX_OUTPUT = 2**31 - 1
SEED_MASK = 2**63 - 1


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
    if len(data) > REQUEST_LIMIT:
        raise too_large(at)
    if len(data) > json_limits.MAX_DEPTH and (reason := json_limits.problem(data)):
        raise invalid(at, reason)
    return data


def too_large(at: str) -> FaultError:
    """The exception for a field that is larger than a whole request may be as it travels."""
    return fault(
        Code.REQUEST_TOO_LARGE, f"{at} is larger than {REQUEST_LIMIT // 2**20} MiB; send less.", param=at
    )


def token_ids(given: Sequence[object], at: str) -> tuple[int, ...]:
    """A prompt that is token ids. Millions are checked in a few passes, none of which is ours."""
    if len(given) > MAX_IDS:
        raise invalid(at, f"holds {len(given)} token ids; send at most {MAX_IDS}")
    ids = tuple(one for one in given if isinstance(one, int))
    if len(ids) != len(given) or (ids and not 0 <= min(ids) <= max(ids) <= MAX_TOKEN):
        raise invalid(at, "holds a number that is no token id; they begin at 0")
    return ids


def same_kind(given: Sequence[object], at: str, most: int, what: str) -> type:
    """The type of all of them: never a mixture of texts, token ids and lists. `most` is how many texts or lists there may be."""
    kind = type(given[0])
    limit = MAX_IDS if kind is int else most
    if len(given) > limit:
        raise invalid(at, f"holds {len(given)} {'token ids' if kind is int else what}; send at most {limit}")
    for index, one in enumerate(given):
        if type(one) is not kind:
            raise invalid(f"{at}[{index}]", "must be of the same kind as the first one")
    if kind is list and sum(len(one) for one in given if isinstance(one, list)) > MAX_IDS:
        raise invalid(at, f"holds more than {MAX_IDS} token ids; send fewer")
    return kind


def within(
    value: float | None, param: str, low: float, high: float, *, open_low: bool = False
) -> float | None:
    """The number, if it lies within these bounds."""
    if value is not None and not (low <= value <= high and (value > low or not open_low)):
        more = "greater than" if open_low else "at least"
        raise invalid(param, f"must be {more} {low:g} and at most {high:g}")
    return value


def whole(value: Whole | None, param: str, low: int, high: int = SEED_MASK) -> int | None:
    """The integer, if it lies within these bounds."""
    if value is None:
        return None
    if value != int(value):
        raise invalid(param, f"must be an integer, not {FRACTION}")
    if not low <= value <= high:
        # A bound that is only what a number has room for is told to those who meet it.
        limit = f" and at most {high}" if value > high or high < MAX_OUTPUT else ""
        raise invalid(param, f"must be at least {low}{limit}")
    return int(value)


def stops(given: str | list[str] | None, param: str, most: int = MAX_STOPS) -> tuple[str, ...]:
    """Strings that end the answer; none of them may be empty."""
    if given is None:
        return ()
    found = (given,) if isinstance(given, str) else tuple(given)
    if len(found) > most:
        raise invalid(param, f"holds {len(found)} strings; send at most {most}")
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
