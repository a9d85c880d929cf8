"""TOML file + `PREFIX_SECTION__KEY` environment → a frozen struct, with errors that name file, line, key and remedy.

A settings type is a msgspec Struct of Structs. Unknown keys are errors, because a misspelt key that is silently
ignored is a setting that silently does not hold.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct, inspect

from cortex.protocol.kit.toml_lines import Path as TomlPath
from cortex.protocol.kit.toml_lines import line_of, path_of, positions, told

T = TypeVar("T", bound=Struct)


LARGEST = 2**63 - 1
AT_THE_END = " (at end of document)"
"""How the standard parser writes a place that is no line of its own."""


class SettingsError(ValueError):
    """One sentence: which file and line, which key, what is wrong, what would be right."""


def load(
    into: type[T], path: Path | None, environ: Mapping[str, str] | None = None, prefix: str = "CORTEX_"
) -> T:
    """Read settings of type `into`. `path` None means defaults and environment alone."""
    return load_told(into, path, environ, prefix)[0]


def load_told(
    into: type[T], path: Path | None, environ: Mapping[str, str] | None = None, prefix: str = "CORTEX_"
) -> tuple[T, Origins]:
    """The same, and where each value came from."""
    text = "" if path is None else read_text(path)
    document = Document(text, str(path) if path else "settings")
    found = document.read(into, environ, prefix)
    return found, Origins(document.data, document.variables)


class Origins(NamedTuple):
    """Where settings came from: the file's own tables, and the variable of each key that stands above the file."""

    written: Mapping[str, Any]
    variables: Mapping[str, str]
    """`section.key` → the variable's name."""

    def of(self, path: TomlPath) -> str:
        """A variable's name, "file", or "default"."""
        if (variable := self.variables.get(".".join(map(str, path[:2])))) is not None:
            return variable
        found: Any = self.written
        for step in path:
            try:
                found = found[step]
            except (LookupError, TypeError):
                return "default"
        return "file"


def read_text(path: Path) -> str:
    """The text of a settings file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: no such file") from error
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}:{line}: is not UTF-8 text") from error


class Document:
    """A TOML text named `where`, whose errors tell the line. Raises `SettingsError` if it is not TOML."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self._text = text
        self.variables: dict[str, str] = {}
        """Of the last reading: which `section.key` the environment said, and in which variable."""
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message, at = _syntax(str(error), text)
            raise SettingsError(f"{where}{at}: {message}") from error
        except (RecursionError, ValueError) as error:  # brackets without end, a number of 5,000 digits
            raise SettingsError(f"{where}: is not TOML that can be read: {error}") from error

    @cached_property
    def _lines(self) -> dict[TomlPath, int]:
        try:
            return positions(self._text)
        except RecursionError:
            return {}

    def line_of(self, path: TomlPath) -> int | None:
        """The line on which a key stands, else the nearest table round it."""
        return line_of(self._lines, path)

    def error(self, path: TomlPath, message: str) -> SettingsError:
        """An error about the key at `path`, to be raised."""
        line = self.line_of(path)
        where = self.where if line is None else f"{self.where}:{line}"
        return SettingsError(f"{where}: {told(path, self.data) or 'top level'}: {message}")

    def read(self, into: type[T], environ: Mapping[str, str] | None = None, prefix: str = "CORTEX_") -> T:
        """The settings, overlaid with the environment's."""
        info = inspect.type_info(into)
        self._check_keys(self.data, info, ())
        self._check_numbers(self.data, ())
        data = {key: dict(value) if isinstance(value, dict) else value for key, value in self.data.items()}
        named = self.variables = _apply_environment(data, info, environ or {}, prefix)
        try:
            return msgspec.convert(data, into, strict=True)
        except msgspec.ValidationError as error:
            message, _, at = str(error).partition(" - at ")
            place = re.search(r"\$([^`]*)", at)
            key = place[1].lstrip(".").replace("[...]", "") if place else ""
            message += _allowed(message, info, path_of(key))
            if key in named:
                raise SettingsError(f"environment {named[key]}: {key}: {message}") from error
            raise self.error(path_of(key), message) from error

    def _check_keys(self, data: Mapping[str, Any], info: inspect.Type, at: TomlPath) -> None:
        fields = _fields(info)
        for key, value in data.items() if fields else ():
            path = (*at, key)
            if key not in fields:
                raise self.error(path, _unknown(key, fields, lambda name: told((*at, name), self.data)))
            inner = fields[key]
            if isinstance(value, dict):
                self._check_keys(value, inner, path)
            elif isinstance(value, list) and isinstance(inner, inspect.VarTupleType | inspect.ListType):
                for index, item in enumerate(value):
                    if isinstance(item, dict):
                        self._check_keys(item, inner.item_type, (*path, index))

    def _check_numbers(self, value: Any, at: TomlPath) -> None:
        """TOML knows infinities, and its reader integers of any size; no setting of ours does."""
        if isinstance(value, dict):
            for key, item in value.items():
                self._check_numbers(item, (*at, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._check_numbers(item, (*at, index))
        elif isinstance(value, float) and not math.isfinite(value):
            raise self.error(at, f"Expected a finite number, got `{value}`")
        elif isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            raise self.error(at, f"Expected an integer of at most 64 bits, got one of {value.bit_length()}")


def _syntax(message: str, text: str) -> tuple[str, str]:
    """The standard parser's complaint without its place, and the line as `:LINE`."""
    if message.endswith(AT_THE_END):
        return (
            f"{message.removesuffix(AT_THE_END)} at the end of the file",
            f":{text.rstrip().count(chr(10)) + 1}",
        )
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    return (f"{found[1]} at column {found[3]}", f":{found[2]}") if found else (message, "")


def _unknown(key: str, fields: Mapping[str, object], spell: Callable[[str], str]) -> str:
    """What is said about a key that nothing knows; `spell` tells a key with its place."""
    close = difflib.get_close_matches(key, fields, n=1, cutoff=0.5)
    if close:
        return f"unknown key; did you mean {spell(close[0])}?"
    return f"unknown key; known here: {', '.join(sorted(fields))}"


def _allowed(message: str, info: inspect.Type, at: TomlPath) -> str:
    """What may stand where a word stands that may not."""
    if not message.startswith("Invalid enum value"):
        return ""
    for name in at:
        if isinstance(info, inspect.VarTupleType | inspect.ListType):
            info = info.item_type
        if isinstance(name, str):
            info = _fields(info).get(name, info)
    values = info.values if isinstance(info, inspect.LiteralType) else ()
    return f"; allowed here: {', '.join(map(str, values))}" if values else ""


def _fields(info: inspect.Type) -> dict[str, inspect.Type]:
    """Names and types of a struct's fields, seen through `| None`."""
    if isinstance(info, inspect.UnionType):
        structs = [member for member in info.types if isinstance(member, inspect.StructType)]
        return _fields(structs[0]) if structs else {}
    if isinstance(info, inspect.StructType):
        return {field.encode_name: field.type for field in info.fields}
    return {}


def _apply_environment(
    data: dict[str, Any], info: inspect.Type, environ: Mapping[str, str], prefix: str
) -> dict[str, str]:
    """Overlay `PREFIX_SECTION__KEY` values; answers which dotted key came from which variable."""
    named: dict[str, str] = {}
    sections = _fields(info)
    for variable, text in sorted(environ.items()):
        match = re.fullmatch(rf"{re.escape(prefix)}(\w+?)__(\w+)", variable)
        if match is None:
            continue
        section, key = match[1].lower(), match[2].lower()
        if section not in sections:
            close = difflib.get_close_matches(section, sections, n=1)
            hint = f"; did you mean {prefix}{close[0].upper()}__{match[2]}?" if close else ""
            raise SettingsError(f"environment {variable}: unknown section {section}{hint}")
        keys = _fields(sections[section])
        if not keys:
            raise SettingsError(f"environment {variable}: {section} is not a section; set it in the file")
        if key not in keys:
            raise SettingsError(
                f"environment {variable}: {section}.{key}: {_unknown(key, keys, (section + '.{}').format)}"
            )
        table = data.setdefault(section, {})
        if not isinstance(table, dict):
            continue  # the file is wrong about the whole section, and will be told so
        table[key] = _from_text(text, keys[key])
        named[f"{section}.{key}"] = variable
    return named


def _from_text(text: str, info: inspect.Type) -> Any:
    """A variable's text as TOML would read it, else, and where only a string will do, as the plain string."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return text if isinstance(info, inspect.StrType) and not isinstance(value, str) else value
