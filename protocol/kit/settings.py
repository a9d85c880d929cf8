"""TOML file + `PREFIX_SECTION__KEY` environment → a frozen struct, with errors that name file, key and remedy.

A settings type is a msgspec Struct of Structs. Unknown keys are errors, because a misspelt key that is silently
ignored is a setting that silently does not hold.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, inspect

T = TypeVar("T", bound=Struct)


class SettingsError(ValueError):
    """One sentence: which file, which key, what is wrong, what would be right."""


def load(
    into: type[T], path: Path | None, environ: Mapping[str, str] | None = None, prefix: str = "CORTEX_"
) -> T:
    """Read settings of type `into`. `path` None means defaults and environment alone."""
    data: dict[str, Any] = {}
    where = str(path) if path else "settings"
    if path is not None:
        data = read_toml(path)
    _check_keys(data, inspect.type_info(into), where, "")
    named = _apply_environment(data, inspect.type_info(into), environ or {}, prefix)
    try:
        return msgspec.convert(data, into, strict=True)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at ")
        key = at.strip("`").removeprefix("$").lstrip(".")
        source = named.get(key, where)
        raise SettingsError(f"{source}: {key or 'top level'}: {message}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file into plain values."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: no such file") from error
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def _fields(info: inspect.Type) -> dict[str, inspect.Type]:
    """Names and types of a struct's fields, seen through `| None`."""
    if isinstance(info, inspect.UnionType):
        structs = [member for member in info.types if isinstance(member, inspect.StructType)]
        return _fields(structs[0]) if structs else {}
    if isinstance(info, inspect.StructType):
        return {field.encode_name: field.type for field in info.fields}
    return {}


def _check_keys(data: Mapping[str, Any], info: inspect.Type, where: str, at: str) -> None:
    fields = _fields(info)
    if not fields:
        return
    for key, value in data.items():
        path = f"{at}.{key}" if at else key
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1, cutoff=0.5)
            known = close[0] if close else ", ".join(sorted(fields))
            hint = f"did you mean {f'{at}.' if at else ''}{known}?" if close else f"known here: {known}"
            raise SettingsError(f"{where}: {path}: unknown key; {hint}")
        inner = fields[key]
        if isinstance(value, dict):
            _check_keys(value, inner, where, path)
        elif isinstance(value, list) and isinstance(inner, inspect.VarTupleType | inspect.ListType):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    _check_keys(item, inner.item_type, where, f"{path}[{index}]")


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
        _check_keys({key: None}, sections[section], f"environment {variable}", section)
        table = data.setdefault(section, {})
        if not isinstance(table, dict):
            continue  # the file is wrong about the whole section, and will be told so
        table[key] = _from_text(text, keys[key])
        named[f"{section}.{key}"] = f"environment {variable}"
    return named


def _from_text(text: str, info: inspect.Type) -> Any:
    """A variable's text as TOML would read it, else, and where only a string will do, as the plain string."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return text if isinstance(info, inspect.StrType) and not isinstance(value, str) else value
