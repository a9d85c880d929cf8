"""The settings as docs/settings.md has to list them: key, what it takes, what holds without it, read from the types.

It says nothing of what a key means: that is written by hand, beside these columns.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from msgspec import NODEFAULT, Struct, inspect

from cortex.broker.config import BrokerSettings, EvictionSettings, ExpectedNeuron, QueueSettings
from cortex.broker.profile_rules import DEFAULTS, OLD_NAMES, RANGES
from cortex.broker.profiles import ModelsFile, Written
from cortex.deploy.config import CortexSettings
from cortex.edge.config import Gateway
from cortex.neuron.config import HostSettings, ModelSettings, NeuronSettings, SimScript, SimSettings

TABLES: dict[str, type[Struct]] = {
    "cortex.toml": CortexSettings,
    "cortex.toml [gateway]": Gateway,
    "cortex.toml [broker]": BrokerSettings,
    "cortex.toml [queue]": QueueSettings,
    "cortex.toml [eviction]": EvictionSettings,
    "cortex.toml [[neurons]]": ExpectedNeuron,
    "models.toml": ModelsFile,
    "models.toml [[models]]": Written,
    "neuron.toml": NeuronSettings,
    "neuron.toml [neuron]": HostSettings,
    "neuron.toml [[models]]": ModelSettings,
    "neuron.toml [sim]": SimSettings,
    "neuron.toml [sim.scripts.MODEL]": SimScript,
}
"""Heading → the type behind it. A key that is a section of its own is not listed in the one round it."""
OF_THE_HOST = {"cortex.toml [broker].name", "neuron.toml [neuron].name"}
INLINE = {"replicas", "limit", "cost", "sampling"}
"""Tables that are written inside of an entry: their keys are listed with a dot."""


class Row(NamedTuple):
    key: str
    takes: str
    default: str


def rows_of(heading: str) -> list[Row]:
    """The rows of one table, in the order of the type."""
    found: list[Row] = []
    for field in _fields(TABLES[heading]):
        if field.encode_name in OLD_NAMES or (_struct(field.type) and field.encode_name not in INLINE):
            continue
        if field.encode_name in INLINE:
            found += _inline(field)
            continue
        default = "the host's name" if f"{heading}.{field.encode_name}" in OF_THE_HOST else _default(field)
        found.append(Row(field.encode_name, takes(field.type), default))
    return found


def _fields(kind: type[Struct]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return info.fields


def _inline(outer: inspect.Field) -> list[Row]:
    name = outer.encode_name
    struct = _struct(outer.type)
    assert struct is not None
    return [
        Row(f"{name}.{field.encode_name}", _of_sampling(field), _default(field))
        if name == "sampling"
        else Row(f"{name}.{field.encode_name}", takes(field.type), _default(field))
        for field in struct.fields
        if name != "sampling" or field.encode_name in DEFAULTS
    ]


def _of_sampling(field: inspect.Field) -> str:
    """A profile may say less than travels in a request; the lower bound is the type's own."""
    if field.encode_name == "max_tokens":
        return "integer, 1 or more"
    said = takes(field.type)
    bounds = RANGES.get(field.encode_name)
    return f"number, {bounds[0]:g} to {bounds[1]:g}" if bounds and "above" not in said else said


def _struct(info: inspect.Type) -> inspect.StructType | None:
    """The table that a key is, or that its entries are."""
    match info:
        case inspect.StructType():
            return info
        case inspect.UnionType():
            return next((one for one in map(_struct, info.types) if one is not None), None)
        case inspect.VarTupleType():
            return _struct(info.item_type)
        case inspect.DictType():
            return _struct(info.value_type)
        case inspect.Metadata():
            return _struct(info.type)
    return None


def takes(info: inspect.Type) -> str:
    """What may stand there, in words."""
    match info:
        case inspect.Metadata():
            return takes(info.type)
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType():
            return "text"
        case inspect.LiteralType():
            return ", ".join(f"`{value}`" for value in info.values)
        case inspect.IntType() | inspect.FloatType():
            return _number(info)
        case inspect.VarTupleType():
            return f"list of {takes(info.item_type)}"
        case inspect.DictType():
            return f"{takes(info.key_type)} = {takes(info.value_type)}"
        case inspect.UnionType():
            return " or ".join(takes(one) for one in info.types if not isinstance(one, inspect.NoneType))
    raise TypeError(f"{info}: no words for it")


def _number(info: inspect.IntType | inspect.FloatType) -> str:
    word = "integer" if isinstance(info, inspect.IntType) else "number"
    if info.ge is not None and info.le is not None:
        return f"{word}, {info.ge:g} to {info.le:g}"
    if info.gt is not None:
        return f"{word} above {info.gt:g}" + (f", up to {info.le:g}" if info.le is not None else "")
    return word if info.ge is None else f"{word}, {info.ge:g} or more"


def _default(field: inspect.Field) -> str:
    value: Any = field.default
    if field.default_factory is not NODEFAULT:
        value = field.default_factory()
    if value is NODEFAULT:
        return "required"
    if value is None:
        return "unset"
    if isinstance(value, dict):
        return "`{}`" if not value else "?"
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"
