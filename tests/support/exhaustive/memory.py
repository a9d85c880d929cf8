"""Put a whole world back to an earlier moment, cheaply: what has an identity stays, what it remembers is exchanged.

`capture` takes what a group's standing objects refer to as it is; `restore` gives them copies of that. So a moment that
was captured never changes, can be returned to any number of times, and costs nothing where nothing was touched.
Knows nothing of what the objects mean.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from operator import attrgetter
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from msgspec import Struct

Memo = dict[int, Any]
Copier = Callable[[Any, Memo], Any]
Moment = list[tuple[Any, ...]]

UNSET = type("Unset", (), {})
"""Of a slot that was never set."""


def _copy_list(one: list[Any], memo: Memo) -> list[Any]:
    copied = memo[id(one)] = [item if type(item) in ATOMS else clone(item, memo) for item in one]
    return copied


def _copy_dict(one: dict[Any, Any], memo: Memo) -> dict[Any, Any]:
    copied = memo[id(one)] = one.copy()
    for key, value in one.items():
        if type(value) not in ATOMS:
            copied[key] = clone(value, memo)
    return copied


def _copy_flat(one: Any, memo: Memo) -> Any:
    """Of what holds names, keys and numbers only."""
    copied = memo[id(one)] = one.copy()
    return copied


def _copy_counter(one: Counter[Any], memo: Memo) -> Counter[Any]:
    copied: Counter[Any] = memo.setdefault(id(one), Counter.__new__(Counter))
    if one:
        dict.update(copied, one)
    return copied


def _copy_deque(one: deque[Any], memo: Memo) -> deque[Any]:
    copied = memo[id(one)] = one.copy()
    for index, item in enumerate(one):
        if type(item) not in ATOMS:
            copied[index] = clone(item, memo)
    return copied


def _copy_tuple(one: tuple[Any, ...], memo: Memo) -> tuple[Any, ...]:
    for item in one:
        if type(item) not in ATOMS:
            return tuple([clone(item, memo) for item in one])
    return one


def _copy_method(one: MethodType, memo: Memo) -> MethodType:
    owner = clone(one.__self__, memo)
    return one if owner is one.__self__ else MethodType(one.__func__, owner)


def _copy_plain(one: Any, memo: Memo) -> Any:
    kind = type(one)
    copied = memo[id(one)] = kind.__new__(kind)
    for name, value in vars(one).items():
        copied.__dict__[name] = value if type(value) in ATOMS else clone(value, memo)
    return copied


def _object_copier(kind: type) -> Copier:
    """For a class with slots, or a plain one. Slots are copied by code written for their class, as dataclasses are."""
    always: set[str] = set()
    if is_dataclass(kind):
        names = [one.name for one in fields(kind)]
        always = {one.name for one in fields(kind) if one.init}
    else:
        slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
        names = [name for name in slots if not name.startswith("__")]
    if not names:
        return _copy_plain
    lines = ["def copy(one, memo):", "    copied = memo[id(one)] = new(kind)"]
    for index, name in enumerate(names):
        lines += [
            f"    value = one.{name}" if name in always else f"    value = getattr(one, {name!r}, UNSET)",
            f"    if type(value) in ATOMS: put_{index}(copied, value)",
            f"    elif value is not UNSET: put_{index}(copied, clone(value, memo))",
        ]
    lines.append("    return copied")
    scope = {"new": kind.__new__, "kind": kind, "ATOMS": ATOMS, "UNSET": UNSET, "clone": clone}
    scope |= {f"put_{index}": getattr(kind, name).__set__ for index, name in enumerate(names)}
    exec("\n".join(lines), scope)
    copier: Copier = scope["copy"]
    return copier


ATOMS: set[type] = {
    int, str, bytes, float, bool, type(None), type, FunctionType, BuiltinFunctionType, frozenset,
}  # fmt: skip
"""Types whose objects are shared: they cannot change. Messages join them when they are met."""

COPIERS: dict[type, Copier] = {
    list: _copy_list,
    dict: _copy_dict,
    Counter: _copy_counter,
    set: _copy_flat,
    deque: _copy_deque,
    tuple: _copy_tuple,
    MethodType: _copy_method,
}


def clone(one: Any, memo: Memo) -> Any:
    """A copy of all that can change below this; what `memo` names by its `id` is what it says."""
    kind = type(one)
    if kind in ATOMS:
        return one
    found = memo.get(id(one))
    if found is not None:
        return found
    copier = COPIERS.get(kind)
    if copier is None:
        if issubclass(kind, Struct | Enum):
            ATOMS.add(kind)
            return one
        copier = COPIERS[kind] = _object_copier(kind)
    return copier(one, memo)


class Memory:
    """What one group of `standing` objects remembers; `shared` ones are neither copied nor exchanged.

    Groups refer to each other by standing objects only.
    """

    def __init__(self, standing: Iterable[Any], shared: Iterable[Any]) -> None:
        standing = list(standing)
        self._memo: Memo = {id(one): one for one in (*standing, *shared)}
        self._shared = list(shared)  # alive, so that the ids stay theirs
        self._places: list[tuple[Any, tuple[str, ...], Callable[[Any], Any]]] = []
        for one in standing:
            names = [name for name in _attributes(one) if not self._stands(getattr(one, name))]
            if names:
                names += names[:1] * (len(names) == 1)  # a getter of one name would not answer a tuple
                self._places.append((one, tuple(names), attrgetter(*names)))
        self._now: Moment | None = None

    def _stands(self, value: Any) -> bool:
        """Whether it is one of those that are not exchanged, or a method of one."""
        return id(getattr(value, "__self__", value)) in self._memo

    def touch(self) -> None:
        """Something here is about to change."""
        self._now = None

    def capture(self, before: Moment) -> Moment:
        """This moment: the one `before` if nothing was touched since that was restored."""
        if self._now is before:
            return before
        return [getter(one) for one, _, getter in self._places]

    def first(self) -> Moment:
        return [getter(one) for one, _, getter in self._places]

    def restore(self, moment: Moment) -> None:
        """Make everything what it was."""
        if self._now is moment:
            return
        memo = self._memo.copy()
        for (one, names, _), values in zip(self._places, moment, strict=True):
            for name, value in zip(names, values, strict=True):
                setattr(one, name, value if type(value) in ATOMS else clone(value, memo))
        self._now = moment


def _attributes(one: Any) -> list[str]:
    if hasattr(one, "__dict__"):
        return list(vars(one))
    assert is_dataclass(one), f"{one!r} does not tell what it remembers"
    return [field.name for field in fields(one)]
