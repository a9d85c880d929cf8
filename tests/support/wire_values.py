"""Hypothesis strategies for any value that may cross the wire, derived from the types themselves."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import Struct, inspect

TEXT = st.characters(codec="utf-8")


def instances(cls: type[Struct]) -> st.SearchStrategy[Any]:
    """Every valid instance of a struct type, small ones first."""
    return _of(inspect.type_info(cls))


def _of(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.StructType():
            fields = {f.name: _of(f.type) for f in info.fields}
            return st.builds(info.cls, **fields)
        case inspect.UnionType():
            return st.one_of(*map(_of, info.types))
        case inspect.VarTupleType():
            return st.lists(_of(info.item_type), max_size=3).map(tuple)
        case inspect.ListType():
            return st.lists(_of(info.item_type), max_size=3)
        case inspect.TupleType():
            return st.tuples(*map(_of, info.item_types))
        case inspect.DictType():
            return st.dictionaries(_of(info.key_type), _of(info.value_type), max_size=3)
        case inspect.LiteralType():
            return st.sampled_from(info.values)
        case inspect.EnumType():
            return st.sampled_from(list(info.cls))
        case inspect.IntType():
            low = info.ge if info.ge is not None else -(2**63)
            return st.integers(low, info.le if info.le is not None else 2**64 - 1)
        case inspect.FloatType():
            return st.floats(
                info.ge if info.ge is not None else info.gt,
                info.le,
                exclude_min=info.gt is not None,
                allow_nan=False,
            )
        case inspect.StrType():
            longest = min(info.max_length or 8, 8)
            return st.text(TEXT, min_size=info.min_length or 0, max_size=longest)
        case inspect.BytesType():
            return st.binary(max_size=8)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
    raise NotImplementedError(info)
