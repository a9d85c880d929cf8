"""Work grows with the text alone, whatever a model writes again and again: counted in lines and copies, not by a clock."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import settings
from lines_run import lines_run
from toolcall_adversaries import adversaries, fed, made_of
from toolcall_fuzz import READ, Case, result
from toolcall_texts import call_id
from toolcall_vectors import TOOLS

from cortex.protocol.toolcalls import parser_for

LONG = settings.default.max_examples > 60
SHARE = None if LONG else 24
"""Of each family's adversaries."""
SIZE = 1_500 if LONG else 400


def chosen(family: str) -> list[tuple[str, str]]:
    """Some of a family's adversaries, always the same ones; all of them in the long run."""
    found = list(adversaries(family))
    return found if SHARE is None else random.Random(7).sample(found, min(SHARE, len(found)))


@pytest.mark.parametrize("family", READ)
def test_thrice_the_text_is_thrice_the_work(family: str) -> None:
    """Four characters at a time and in one piece; with the square it would be nine times."""
    case = Case(family, "")
    for adversary, cut in itertools.product(chosen(family), (fed, lambda text: [text])):
        small, large = cut(made_of(adversary, SIZE)), cut(made_of(adversary, 3 * SIZE))
        fewer = lines_run(lambda: result(case, small))  # noqa: B023  (it runs at once)
        more = lines_run(lambda: result(case, large))  # noqa: B023
        assert more < 4 * fewer + 500, (adversary, len(small))


class Copied(str):
    """A text that counts the characters that are copied from it."""

    __slots__ = ()
    count = 0

    def __getitem__(self, key):
        part = super().__getitem__(key)
        Copied.count += len(part)
        return part

    def __radd__(self, left: str) -> Copied:
        Copied.count += len(self)
        return Copied(str(left) + str(self))


@pytest.mark.parametrize("family", READ)
def test_a_text_in_one_piece_is_not_copied_for_every_call(family: str) -> None:
    """Slices of the text add up to some times its length, also where it holds hundreds of calls."""
    for adversary in chosen(family):
        text = Copied(made_of(adversary, 10_000))
        Copied.count = 0
        result(Case(family, text), [text])
        assert Copied.count < 40 * len(text), adversary


def longest_string(thing: object, seen: set[int]) -> int:
    """The longest string that a parser, or a part of it, would copy to append a character to it."""
    longest = 0
    for part in attributes(thing):
        if isinstance(part, str):
            longest = max(longest, len(part))
        elif type(part).__module__.startswith("cortex.") and id(part) not in seen:
            seen.add(id(part))
            longest = max(longest, longest_string(part, seen))
    return longest


def attributes(thing: object) -> Iterable[object]:
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    said = {"refused", "malformed"}  # what a call came to is put together once
    return [
        *(value for name, value in getattr(thing, "__dict__", {}).items() if name not in said),
        *(getattr(thing, name, None) for name in slots if not name.startswith("__")),
    ]


@pytest.mark.parametrize("family", READ)
def test_no_string_grows_while_it_is_appended_to(family: str) -> None:
    """What is held is collected in lists, never in a string that is copied with each chunk."""
    for adversary in chosen(family):
        parser = parser_for(family, TOOLS, call_id=call_id)
        for number, chunk in enumerate(fed(made_of(adversary, 3_000))):
            parser.push(chunk)
            if number % 150 == 149:
                assert longest_string(parser, set()) < 600, adversary
