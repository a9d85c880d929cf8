"""JSON bytes → struct, for every dialect: whatever is wrong is one fault, in the words of JSON, that names the field.

It knows no dialect: what a field means, and which values make sense, is theirs.
"""

from __future__ import annotations

import gc
import re
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from cortex.protocol.codec import REQUEST_LIMIT
from cortex.protocol.faults import Code, FaultError, fault

ABSENT = (b"", b"null")
"""What a `Raw` field holds when the client sent nothing for it."""

MAX_VALUES = REQUEST_LIMIT // 2
"""A request as it travels holds a byte for each value of its lists, and for each comma of its texts; images have none."""

TOO_DEEP = "is nested deeper than can be read; send less depth"

Whole = int | float
"""An integer as clients send it: some languages write 5.0. `fields.whole` makes one of it."""

B = TypeVar("B", bound=Struct)
FRACTION = "a number with a fraction"
_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
SURROGATE = (
    "half of a surrogate pair stands alone (\\ud800 to \\udfff); send both halves, or the character itself"
)
_PATH = re.compile(r"^(?P<message>.*) - at `(?:key in )?\$\.?(?P<path>.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(.+?)`")
_TYPES = re.compile(r"Expected `(?P<expected>.+?)`, got `(?P<found>.+?)`")
_EACH = "[...]"
"""How the decoder writes "any value of this object"."""
_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
"""JSON's words for the decoder's."""


def invalid(param: str | None, predicate: str) -> FaultError:
    """The exception for a field that cannot be right. Its message is a sentence: "param must be …"."""
    return fault(Code.INVALID_REQUEST, f"{param or 'The body'} {predicate}.", param=param)


def unsupported(param: str, predicate: str) -> FaultError:
    """The exception for a field that is right and that nothing here can serve."""
    return fault(Code.UNSUPPORTED, f"{param} {predicate}.", param=param)


def decode(data: bytes, decoder: msgspec.json.Decoder[B]) -> B:
    """Bytes → struct; every complaint of the decoder becomes a `FaultError`."""
    if not data.strip():
        raise invalid(None, "is empty; send a JSON object")
    if data.count(b",") > MAX_VALUES:
        raise fault(
            Code.REQUEST_TOO_LARGE, f"The body holds more than {MAX_VALUES} values or commas; send less."
        )
    try:
        str(data, "utf-8")  # the decoder does not look into what it skips
        return _decoded(data, decoder)
    except msgspec.ValidationError as error:
        raise _named(str(error)) from error
    except RecursionError as error:
        raise invalid(None, TOO_DEEP) from error
    except UnicodeDecodeError as error:
        raise invalid(None, f"is not valid UTF-8 at byte {error.start}; encode it as UTF-8") from error
    except msgspec.DecodeError as error:
        reason = (
            SURROGATE
            if _SURROGATE.search(data) and "truncated" in str(error)
            else str(error)
            .removeprefix("JSON is malformed: ")
            .replace("Input data was truncated", "it ends too early")
        )
        raise invalid(None, f"is not valid JSON: {reason}") from error


def _decoded(data: bytes, decoder: msgspec.json.Decoder[B]) -> B:
    """Values that are made from JSON refer to none that was there before: looking for cycles among millions of them
    would take several times as long as making them.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return decoder.decode(data)
    finally:
        if collects:
            gc.enable()


def decode_at(raw: Raw, decoder: msgspec.json.Decoder[B], at: str) -> B:
    """A part of a body that was set aside when the body was decoded; `at` is its place there."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _named(str(error), at) from error
    except RecursionError as error:
        raise invalid(at, TOO_DEEP) from error


def _named(complaint: str, at: str = "") -> FaultError:
    """The decoder's complaint as a fault that names the field."""
    found = _PATH.match(complaint)
    message, path = (found["message"], found["path"]) if found else (complaint, "")
    path = f"{at}{'.' if at and path and not path.startswith('[') else ''}{path}"
    if missing := _MISSING.search(message):
        return invalid(f"{path}.{missing[1]}" if path else missing[1], "is required")
    predicate = _predicate(message)
    if path.endswith(_EACH):
        path = path.removesuffix(_EACH)
        return invalid(path, f"holds a value that {predicate}")
    return invalid(path or None, predicate)


def _predicate(message: str) -> str:
    """The decoder's complaint in words that a JSON user knows."""
    types = _TYPES.match(message)
    if types is None:
        return f"is not valid ({message[:1].lower()}{message[1:]}); send another value"
    wanted = [word for word in types["expected"].split(" | ") if word != "null"]
    found = _WORDS.get(types["found"], types["found"])
    if "int" in wanted:
        wanted = [word for word in wanted if word != "float"]
    if found == "a number":  # an integer is one too
        found = FRACTION
    return f"must be {' or '.join(_WORDS.get(word, word) for word in wanted)}, not {found}"
