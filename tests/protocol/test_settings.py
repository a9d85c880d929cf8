"""Settings: what a file and the environment say, and errors that an operator can act on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from cortex.protocol.kit.settings import Document, SettingsError, load


class Gateway(Struct, frozen=True, kw_only=True):
    listen: str = "127.0.0.1:1"
    workers: Annotated[int, Meta(ge=1)] = 2
    grace_s: float = 1.0
    hosts: tuple[str, ...] = ()


class Address(Struct, frozen=True, kw_only=True):
    host: str = ""
    port: int = 0


class Neuron(Struct, frozen=True, kw_only=True):
    name: str
    weight: int = 1
    address: Address = Address()


class Extra(Struct, frozen=True, kw_only=True):
    on: bool = False


class Settings(Struct, frozen=True, kw_only=True):
    labels: dict[str, str] = {}
    gateway: Gateway = Gateway()
    neurons: tuple[Neuron, ...] = ()
    extra: Extra | None = None
    limit: int | str = 0


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "cortex.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(path: Path | None, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(Settings, path, environ)
    return str(caught.value).replace(str(path), "FILE")


def test_defaults_hold_without_a_file() -> None:
    """No file and no environment are the defaults."""
    assert load(Settings, None) == Settings()


def test_a_file_is_read(write) -> None:
    """Sections, arrays of tables and optional sections become structs, a table of free keys a dict; an integer may stand for a float."""
    path = write(
        '[gateway]\nworkers = 4\ngrace_s = 3\nhosts = ["a"]\n[[neurons]]\nname = "a"\n[extra]\non = true\n[labels]\nany = "x"\n'
    )
    assert load(Settings, path) == Settings(
        gateway=Gateway(workers=4, grace_s=3.0, hosts=("a",)),
        neurons=(Neuron(name="a"),),
        extra=Extra(on=True),
        labels={"any": "x"},
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gatway]\n", "FILE:1: gatway: unknown key; did you mean gateway?"),
        ("[gateway]\nworkrs = 1\n", "FILE:2: gateway.workrs: unknown key; did you mean gateway.workers?"),
        ("[extra]\noff = 1\n", "FILE:2: extra.off: unknown key; known here: on"),
        ("zzz = 1\n", "FILE:1: zzz: unknown key; known here: extra, gateway, labels, limit, neurons"),
        (
            '[[neurons]]\nname = "a"\n[[neurons]]\nnmae = "b"\n',
            "FILE:4: nmae of the 2nd entry of neurons: unknown key; did you mean name of the 2nd entry of neurons?",
        ),
        (
            '[[neurons]]\nname = "a"\n[neurons.address]\nprot = 1\n',
            'FILE:4: neurons["a"].address.prot: unknown key; did you mean neurons["a"].address.port?',
        ),
    ],
)
def test_an_unknown_key_is_an_error(write, text: str, message: str) -> None:
    """It names the file, the key and the nearest known one, at any depth."""
    assert refusal(write(text)) == message


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ('[gateway]\nworkers = "two"\n', 2, "gateway.workers"),
        ("[gateway]\n\nworkers = 0\n", 3, "gateway.workers"),
        ("[gateway]\nlisten = 1\n", 2, "gateway.listen"),
        ("gateway = 1\n", 1, "gateway"),
        ("neurons = [1]\n", 1, "the 1st entry of neurons"),
        ('neurons = [\n  {name = "a"},\n  {name = 2},\n]\n', 3, "name of the 2nd entry of neurons"),
        ('[[neurons]]\nname = "a"\nweight = "heavy"\n', 3, 'neurons["a"].weight'),
        ('[[neurons]]\nname = "a"\n[neurons.address]\nport = "x"\n', 4, 'neurons["a"].address.port'),
        ('[[neurons]]\nname = "a"\naddress.port = "x"\n', 3, 'neurons["a"].address.port'),
        ("[gateway]\ngrace_s = inf\n", 2, "gateway.grace_s"),
        (f"limit = {2**63}\n", 1, "limit"),
        ("[labels]\n\nany = 1\n", 1, "labels"),
    ],
)
def test_a_wrong_value_names_its_key(write, text: str, line: int, key: str) -> None:
    """The message leads with the file, the line and the dotted key."""
    assert refusal(write(text)).startswith(f"FILE:{line}: {key}: Expected ")


def test_a_missing_key_names_its_table(write) -> None:
    """What has no default must be there."""
    message = refusal(write('[[neurons]]\nname = "a"\n[[neurons]]\nweight = 1\n'))
    assert message.startswith("FILE:3: the 2nd entry of neurons: Object missing required field `name`")


def test_the_environment_overrides_the_file(write) -> None:
    """`CORTEX_SECTION__KEY` wins over the file, in the type that the key has."""
    environ = {
        "CORTEX_GATEWAY__WORKERS": "8",
        "CORTEX_GATEWAY__LISTEN": "[::1]:9",
        "CORTEX_GATEWAY__HOSTS": '["a", "b"]',
        "CORTEX_EXTRA__ON": "true",
        "CORTEX_DATA": "/elsewhere",
        "OTHER_GATEWAY__WORKERS": "9",
    }
    settings = load(Settings, write("[gateway]\nworkers = 4\ngrace_s = 2.5\n"), environ)
    assert settings.gateway == Gateway(workers=8, listen="[::1]:9", grace_s=2.5, hosts=("a", "b"))
    assert settings.extra == Extra(on=True)


def test_a_prefix_is_a_choice() -> None:
    """Each process reads only variables with its own prefix."""
    environ = {"NEURON_GATEWAY__WORKERS": "8", "CORTEX_GATEWAY__WORKERS": "9"}
    assert load(Settings, None, environ, prefix="NEURON_").gateway.workers == 8


@pytest.mark.parametrize("text", ["8080", "true", "2026-01-01", '"quoted"'])
def test_a_string_may_look_like_something_else(text: str) -> None:
    """Where a string is wanted a variable's text needs no quotes."""
    environ = {"CORTEX_GATEWAY__LISTEN": text}
    assert load(Settings, None, environ).gateway.listen == text.strip('"')


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("CORTEX_GATEWAY__WORKERS", "two", "environment CORTEX_GATEWAY__WORKERS: gateway.workers: Expected"),
        (
            "CORTEX_GATWAY__WORKERS",
            "2",
            "environment CORTEX_GATWAY__WORKERS: unknown section gatway; did you mean CORTEX_GATEWAY__WORKERS?",
        ),
        ("CORTEX_ZZZ__WORKERS", "2", "environment CORTEX_ZZZ__WORKERS: unknown section zzz"),
        (
            "CORTEX_GATEWAY__WORKRS",
            "2",
            "environment CORTEX_GATEWAY__WORKRS: gateway.workrs: unknown key; did you mean gateway.workers?",
        ),
        ("CORTEX_NEURONS__NAME", "a", "environment CORTEX_NEURONS__NAME: neurons is not a section"),
        ("CORTEX_LIMIT__X", "1", "environment CORTEX_LIMIT__X: limit is not a section"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, text: str, message: str) -> None:
    """An operator reads which variable to correct."""
    assert refusal(None, {variable: text}).startswith(message)


def test_a_variable_cannot_mend_a_section_that_is_no_table(write) -> None:
    """The file's mistake is reported, with or without variables for that section."""
    message = refusal(write("gateway = 1\n"), {"CORTEX_GATEWAY__WORKERS": "2"})
    assert message.startswith("FILE:1: gateway: Expected")


@pytest.mark.parametrize(
    ("content", "start"),
    [
        (b"a = 1\n[gateway", "FILE:2: Expected ']' at the end of a table declaration at the end of the file"),
        (b"a = 1\nb = = 2\n", "FILE:2: "),
        (b"a = 1\n# \xff\xfe", "FILE:2: is not UTF-8"),
        (b"a = 1\na = 2\n", "FILE:2: "),
        (b"a = " + b"[" * 5000, "FILE: is not TOML that can be read"),
        (b"a = " + b"1" * 5000, "FILE: is not TOML that can be read"),
    ],
)
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes, start: str) -> None:
    """Syntax, encoding, doubled keys and absurd depth are one kind of error, with the line where there is one."""
    path = tmp_path / "cortex.toml"
    path.write_bytes(content)
    assert refusal(path).startswith(start)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and a directory each get their own sentence."""
    assert refusal(tmp_path / "none.toml") == "FILE: no such file"
    assert refusal(tmp_path) == "FILE: Is a directory"


def test_a_document_can_complain_about_any_of_its_keys() -> None:
    """For rules that hold between keys: the line is found from the path, the path is spelled as usual."""
    document = Document('[labels]\n"a.b" = "x"\n', "FILE")
    assert document.data == {"labels": {"a.b": "x"}}
    assert str(document.error(("labels", "a.b"), "is odd")) == "FILE:2: labels.a.b: is odd"
    assert str(document.error((), "is empty")) == "FILE: top level: is empty"
