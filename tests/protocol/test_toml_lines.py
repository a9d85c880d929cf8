"""Where keys stand in a TOML text."""

from __future__ import annotations

import string
import tomllib

import pytest
import toml
from hypothesis import given
from hypothesis import strategies as st

from cortex.protocol.kit.toml_lines import line_of, path_of, positions, spelled, told

TEXT = '''\
# [models] in a comment
top = "a # b [c] = d"           # 2
dotted.key.deep = 1.5           # 3

[gateway]                       # 5
hosts = [                       # 6
  "a",                          # 7
  "[b]", # ]
  { x = 1, y = [ 2,             # 9
      3 ] },                    # 10
]
since = 1979-05-27 07:32:00     # 12
"quoted.key" = true             # 13
'li"teral' = 3                  # 14
text = """
not.a.key = 1
""""                            # 17
after = 1                       # 18

[[models]]                      # 20
id = "one"                      # 21
limit = { context = 4096, output = 1 }  # 22
[models.cost]                   # 23
input = 1e-3                    # 24

[[models]]                      # 26
id = 'two'                      # 27
sampling.top_p = 0.9            # 28
[[models.extra]]                # 29
a = 1                           # 30
[[models.extra]]                # 31
a = -inf                        # 32
[ models . "more" ]             # 33
b = """x"""                     # 34
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("dotted",), 3),
        (("dotted", "key", "deep"), 3),
        (("gateway",), 5),
        (("gateway", "hosts"), 6),
        (("gateway", "hosts", 0), 7),
        (("gateway", "hosts", 1), 8),
        (("gateway", "hosts", 2), 9),
        (("gateway", "hosts", 2, "y", 1), 10),
        (("gateway", "since"), 12),
        (("gateway", "quoted.key"), 13),
        (("gateway", 'li"teral'), 14),
        (("gateway", "text"), 15),
        (("gateway", "after"), 18),
        (("models",), 20),
        (("models", 0), 20),
        (("models", 0, "id"), 21),
        (("models", 0, "limit"), 22),
        (("models", 0, "limit", "output"), 22),
        (("models", 0, "cost"), 23),
        (("models", 0, "cost", "input"), 24),
        (("models", 1), 26),
        (("models", 1, "id"), 27),
        (("models", 1, "sampling", "top_p"), 28),
        (("models", 1, "extra"), 29),
        (("models", 1, "extra", 0, "a"), 30),
        (("models", 1, "extra", 1), 31),
        (("models", 1, "extra", 1, "a"), 32),
        (("models", 1, "more", "b"), 34),
    ],
)
def test_a_key_has_its_line(path, line: int) -> None:
    """In tables, arrays of tables, inline tables, dotted and quoted keys, beside comments and long strings."""
    tomllib.loads(TEXT)
    assert positions(TEXT)[path] == line


def test_nothing_else_has_a_line() -> None:
    """What stands in strings and comments is no key."""
    keys = {step for path in positions(TEXT) for step in path if isinstance(step, str)}
    assert {"not", "b", "c"} & keys == {"b"}


def test_a_missing_key_is_missing_in_its_table() -> None:
    """The nearest thing round it that is there has the line; at the top there is none."""
    found = positions(TEXT)
    assert line_of(found, ("models", 1, "limit", "context")) == 26
    assert line_of(found, ("gateway", "hosts", 9)) == 6
    assert line_of(found, ("nowhere",)) is None
    assert line_of(found, ()) is None


def test_windows_line_ends_count_once() -> None:
    """A carriage return is no line."""
    assert positions("a = 1\r\n[b]\r\nc = 2\r\n")[("b", "c")] == 3


@pytest.mark.parametrize("path", [("models", 2, "limit", "context"), ("a",), ("a", 0, 1)])
def test_a_path_is_spelled_and_read(path) -> None:
    """The spelling of messages, and back."""
    assert path_of(spelled(path)) == path


DATA = {
    "models": [{"id": "a", "hosts": ["x", "y"]}, {"name": "b"}, {"id": 3}, {"id": "\n", "of": [{"id": "c"}]}]
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("models", 0, "limit", "context"), 'models["a"].limit.context'),
        (("models", 0, "hosts", 1), 'the 2nd entry of models["a"].hosts'),
        (("models", 1, "x"), 'models["b"].x'),
        (("models", 2, "x", "y"), "x.y of the 3rd entry of models"),
        (("models", 3, "of", 0, "x"), 'of["c"].x of the 4th entry of models'),
        (("models", 10), "the 11th entry of models"),
        (("models", 20, "x"), "x of the 21st entry of models"),
        (("small",), "small"),
        ((), ""),
    ],
)
def test_a_path_is_told_to_people(path, text: str) -> None:
    """By what an entry is called, else by its place as people count."""
    assert told(path, DATA) == text


NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=6)
KEYS = NAMES | st.sampled_from(["a.b", "a b", "#", "[x]", "ä", "=", ""])
LEAVES = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text("ab[]{}#=.,'\n\" \\", max_size=6), st.just(1.5)
)
TABLES = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=4),
    lambda inner: st.dictionaries(KEYS, LEAVES | inner | st.lists(inner, min_size=1, max_size=3), max_size=4),
    max_leaves=20,
)


def paths(value, at=()):
    """Every path of a value, with whether it is that of a key."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*at, key)
        if isinstance(item, dict | list):
            yield from paths(item, (*at, key))


@given(TABLES)
def test_every_key_that_the_parser_reads_is_found(data) -> None:
    """As tables and as inline tables: each key is found, and no other, on a line that spells it."""
    text = written(data)
    assert tomllib.loads(text) == data
    found = positions(text)
    assert set(found) == set(paths(data))
    lines = text.split("\n")
    for path, line in found.items():
        if isinstance(path[-1], str):
            assert quoted(path[-1]) in lines[line - 1], (path, line)


@given(st.text("ab.=[]{},\"'#\n\\ 1", max_size=40))
def test_no_text_is_a_stumbling_block(text: str) -> None:
    """What is no TOML is read to its end all the same."""
    for line in positions(text).values():
        assert 1 <= line <= text.count("\n") + 1


def quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(data, at=()) -> str:
    """TOML text, tables as headers, with every key quoted."""
    out, later = [], []
    for key, value in data.items():
        path = (*at, quoted(key))
        if isinstance(value, dict) and len(key) % 2:
            later.append(f"\n[{'.'.join(path)}] # [no.header]\n" + written(value, path))
        elif isinstance(value, list):
            later += [f"\n[[{' . '.join(path)}]]\n" + written(item, path) for item in value]
        else:
            out.append(f"{quoted(key)} = {inline(value)} # no = key\n")
    return "".join(out + later)


def inline(value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(inline(item) for item in value) + ", # ]\n]"
    return toml.dumps({"k": value}).removeprefix("k = ").rstrip("\n")
