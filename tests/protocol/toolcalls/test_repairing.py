"""Bodies that nobody could read, made into calls: each repair alone, in pairs, switched off, and where there is none."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from toolcall_vectors import TOOLS

from cortex.protocol.toolcalls import repair, sweep_malformed
from cortex.protocol.toolcalls.repairing import Call
from cortex.protocol.toolcalls.steps import ALL, Step

MKDIR = {"command": "mkdir -p a/{b,c}"}
SINGLE: dict[Step, tuple[str, str, dict[str, Any]]] = {
    Step.BRACES: ('{"name": "bash", "arguments": {"command": "ls"}}}}', "bash", {"command": "ls"}),
    Step.BRACKETS: ('{"name": "bash", "arguments": {"command": "mkdir -p a/{b,c}"', "bash", MKDIR),
    Step.COMMAS: ('{"name": "add", "arguments": {"a": 1, "b": 2,},}', "add", {"a": 1, "b": 2}),
    Step.QUOTES: (
        "{'name': 'bash', 'arguments': {'command': 'echo \"hi\"'}}",
        "bash",
        {"command": 'echo "hi"'},
    ),
    Step.CONTROLS: ('{"name": "bash", "arguments": {"command": "a\nb\tc"}}', "bash", {"command": "a\nb\tc"}),
    Step.ESCAPES: (r'{"name": "bash", "arguments": {"command": "grep \d"}}', "bash", {"command": r"grep \d"}),
    Step.WORDS: (
        '{"name": "search", "arguments": {"query": "x", "exact": True, "after": None}}',
        "search",
        {"query": "x", "exact": True, "after": None},
    ),
    Step.STRING: (r'{"name": "bash", "arguments": "{\"command\": \"ls\"}"}', "bash", {"command": "ls"}),
    Step.NAME: ('{"name": "functions.Read-File", "arguments": {"path": "a"}}', "read_file", {"path": "a"}),
    Step.HOISTED: ('{"arguments": {"name": "bash", "command": "ls"}}', "bash", {"command": "ls"}),
    Step.INFERRED: ('{"arguments": {"command": "mkdir -p a/{b,c}"}}', "bash", MKDIR),
}
"""A body for each step that needs this step and no other, and the call that it means."""

BREAKS = {
    Step.BRACES: lambda body: body + "}}",
    Step.BRACKETS: lambda body: body[:-1],
    Step.COMMAS: lambda body: body[:-2] + ",}}",
    Step.QUOTES: lambda body: body.replace('"', "'"),
    Step.CONTROLS: lambda body: body.replace("ls", "ls\nls"),
    Step.ESCAPES: lambda body: body.replace("ls", r"ls \d"),
    Step.NAME: lambda body: body.replace("bash", "Bash"),
    Step.HOISTED: lambda body: body.replace('"name": "bash", ', "").replace('"comm', '"name": "bash", "comm'),
    Step.INFERRED: lambda body: body.replace('"name": "bash", ', ""),
}
"""How a sound body is broken so that this step mends it."""
APART = [{Step.BRACES, Step.BRACKETS}, {Step.HOISTED, Step.INFERRED}, {Step.NAME, Step.INFERRED}]
"""Pairs that cannot both be needed: closers are too many or missing, and a name is there or it is not."""
ORDER = [
    Step.INFERRED,
    Step.HOISTED,
    Step.NAME,
    Step.CONTROLS,
    Step.ESCAPES,
    Step.COMMAS,
    Step.QUOTES,
    Step.BRACKETS,
]
"""In which a body is broken: what looks for double quotes goes before they are replaced."""

SOUND = '{"name": "bash", "arguments": {"command": "ls"}}'


def steps_of(found: Any) -> set[Step]:
    return {one.step for one in found.repairs}


def test_every_step_has_its_example() -> None:
    """A new step needs a body that shows it."""
    assert set(SINGLE) == ALL


def test_a_sound_body_needs_no_repair() -> None:
    """It is read as it is, whatever steps there are."""
    for steps in (ALL, frozenset()):
        found = repair(f" \n{SOUND}\t", TOOLS, steps=steps)
        assert found is not None
        assert (found.name, found.arguments, found.repairs) == ("bash", '{"command": "ls"}', ())


@pytest.mark.parametrize("step", SINGLE)
def test_each_step_alone(step: Step) -> None:
    """A body with one flaw becomes the call it means by one kind of repair, and by that kind alone if need be."""
    body, name, arguments = SINGLE[step]
    for steps in (ALL, frozenset({step})):
        found = repair(body, TOOLS, steps=steps)
        assert found is not None
        assert (found.name, json.loads(found.arguments)) == (name, arguments)
        assert steps_of(found) == {step}


@pytest.mark.parametrize("step", SINGLE)
def test_each_step_can_be_switched_off(step: Step) -> None:
    """Without it the same body is no call, or is still one by no repair of this kind."""
    assert repair(SINGLE[step][0], TOOLS, steps=ALL - {step}) is None
    assert repair(SINGLE[step][0], TOOLS, steps=frozenset()) is None


PAIRS = [pair for pair in itertools.combinations(BREAKS, 2) if set(pair) not in APART]


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_steps_compose(pair: tuple[Step, Step]) -> None:
    """A body with two flaws needs both repairs: with either switched off it is no call."""
    body = SOUND
    for step in sorted(pair, key=lambda one: ORDER.index(one) if one in ORDER else len(ORDER)):
        body = BREAKS[step](body)
    found = repair(body, TOOLS)
    assert found is not None
    assert found.name == "bash"
    assert steps_of(found) == set(pair)
    expected = "ls\nls" if Step.CONTROLS in pair else "ls"
    expected = expected.replace("ls", r"ls \d") if Step.ESCAPES in pair else expected
    assert json.loads(found.arguments) == {"command": expected}
    for step in pair:
        assert repair(body, TOOLS, steps=ALL - {step}) is None


def test_many_steps_compose() -> None:
    """No name, single quotes, a bad escape, a line break, a comma too many and no closers at all."""
    found = repair("{'arguments': {'command': 'grep \\d\n{a,b}',", TOOLS)
    assert found is None, "a comma promises more: that is a cut"
    found = repair("{'arguments': {'command': 'grep \\d\n{a,b}',},}}}", TOOLS)
    assert found is not None
    assert (found.name, json.loads(found.arguments)) == ("bash", {"command": "grep \\d\n{a,b}"})
    wanted = {Step.INFERRED, Step.QUOTES, Step.ESCAPES, Step.CONTROLS, Step.COMMAS, Step.BRACES}
    assert steps_of(found) == wanted


@pytest.mark.parametrize(
    "body",
    [
        "",
        "   ",
        "ls",
        "[]",
        "{}",
        '"bash"',
        "}}}",
        '{"name": "bash"',
        '{"name": "bash", ',
        '{"name": "bash", "arguments"',
        '{"name": "bash", "arguments": ',
        '{"name": "bash", "arguments": {"command": "l',
        '{"name": "bash", "arguments": {"command": "ls\\',
        '{"name": "bash", "arguments": {"command": ',
        '{"name": "bash", "arguments": {"command',
        '{"name": "add", "arguments": {"a": 1, "b": 2',
        '{"name": "add", "arguments": {"a": 1, "b": -',
        '{"name": "add", "arguments": {"a": 1, ',
        '{"name": "search", "arguments": {"query": "x", "exact": tru',
        '{"name": "search", "arguments": {"query": "x", "exact": Tru',
        '{"name": "search", "arguments": {"query": "x", "tags": ["a", "b',
        '{"name": "bash", "arguments": "{\\"command\\": \\"ls\\"',
        '{"name": "ba',
        '{"name": "gone", "arguments": {}}',
        '{"name": null, "arguments": {"command": "ls"}}',
        '{"arguments": {"path": "a"}}',
        SOUND + " and more",
        SOUND + SOUND,
        SOUND + "]",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"name": "bash", "arguments": ' + '{"a":' * 100_000,
    ],
    ids=lambda body: body[:60],
)
def test_nothing_is_guessed(body: str) -> None:
    """What was cut in a string, number, word or key, or behind a comma, is never completed; neither is another body."""
    assert repair(body, TOOLS) is None


def test_a_file_that_is_being_written_is_never_a_call_before_its_end() -> None:
    """Half a file would replace a whole one: cut anywhere before the content's closing quote, it is no call."""
    content = "def f(a):\n    return {\"a\": [1, 2], 'b': (3,)}\n"
    whole = json.dumps({"name": "write_file", "arguments": {"path": "a.py", "content": content}})
    end = whole.rindex('"') + 1
    for at in range(end):
        assert repair(whole[:at], TOOLS) is None, whole[:at]
    for at in range(end, len(whole) + 1):
        found = repair(whole[:at], TOOLS)
        assert found is not None
        assert json.loads(found.arguments)["content"] == content


# ── the calls of a whole round ───────────────────────────────────────────────────────────────────────────────────

GUESS = '{"arguments": {"path": "a"}}'
LS = '{"arguments": {"command": "ls"}}'
ADD = '{"name": "add", "arguments": {"a": 1, "b": 2}}}'


def ids() -> Any:
    counter = itertools.count()
    return lambda: f"new_{next(counter)}"


def test_what_can_be_repaired_goes_behind_the_calls() -> None:
    """Each takes the index after the highest, in order; what cannot be repaired stays, in order too."""
    buckets = {0: Call("call_0", "ping", "{}"), 4: Call("call_4", "ping", "{}")}
    found = sweep_malformed(buckets, [GUESS, LS, "prose", ADD], TOOLS, new_id=ids())
    assert list(found.buckets) == [0, 4, 5, 6]
    assert found.buckets[5] == Call("new_0", "bash", '{"command": "ls"}')
    assert found.buckets[6] == Call("new_1", "add", '{"a": 1, "b": 2}')
    assert {index: found.buckets[index] for index in buckets} == buckets
    assert found.malformed == (GUESS, "prose")


def test_where_there_were_no_calls_the_first_is_number_0() -> None:
    """An empty round begins to count at 0."""
    assert list(sweep_malformed({}, [LS, LS], TOOLS).buckets) == [0, 1]
    assert sweep_malformed({}, [], TOOLS) == sweep_malformed({}, iter(()), iter(TOOLS))


def test_ids_differ_over_all_rounds() -> None:
    """No id comes twice in a session: results are matched to calls by it."""
    rounds = [sweep_malformed({}, [LS, LS], TOOLS) for _ in range(50)]
    given = [call.id for one in rounds for call in one.buckets.values()]
    assert len(set(given)) == len(given) == 100


def test_what_was_given_stays_as_it_was() -> None:
    """Neither the calls nor the list of bodies is changed."""
    buckets = {0: Call("call_0", "ping", "{}")}
    malformed = [LS, GUESS]
    found = sweep_malformed(buckets, malformed, TOOLS)
    assert found.buckets is not buckets
    assert buckets == {0: Call("call_0", "ping", "{}")}
    assert malformed == [LS, GUESS]


def test_tools_may_come_from_anything_that_can_be_gone_through_once() -> None:
    """Every body is looked at with all the tools, also where they come from a generator."""
    assert len(sweep_malformed({}, [LS, ADD, LS], (one for one in TOOLS)).buckets) == 3
