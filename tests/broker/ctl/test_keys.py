"""`cortex-ctl keys`: a key is made, shown once, listed and revoked, without a broker."""

import json
import re
import stat
from pathlib import Path

import pytest

from cortex.broker.ctl.__main__ import main
from cortex.broker.ctl.keys import expiry_of
from cortex.edge.keys import Keys
from cortex.protocol.keys import moment_of, seconds_of
from cortex.protocol.kit import keyfile
from cortex.protocol.kit.settings import SettingsError

NOW = seconds_of("2026-11-28T12:00:00Z")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "d" / "keys.toml"


@pytest.fixture
def ctl(path: Path, capsys: pytest.CaptureFixture[str]):
    """`cortex-ctl keys WORDS…` on a data directory: exit code, output, complaints."""

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["keys", *words, "--data", str(path.parent)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_key_is_shown_once_and_opens(ctl, path) -> None:
    """What is printed is let in; the file has its digest alone and is its owner's."""
    code, out, _ = ctl("new", "Ann", "--models", "demo, qwen*", "--priority", "-3", "--expires", "30d")
    key = out.splitlines()[0]
    assert code == 0
    assert re.fullmatch(r"ctx_[0-9a-z]{10}_[0-9a-z]{52}", key)
    assert "From now on" in out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.rpartition("_")[2] not in path.read_text() + ctl("list")[1]
    document = keyfile.read(path)
    found = Keys(document).holder([key], 0.0)
    assert (found.names, found.priority) == (("demo", "qwen*"), -3)
    [kept] = document.keys
    assert seconds_of(kept.expires) - seconds_of(kept.created) == 30 * 86_400
    assert "From now on" not in ctl("new", "Bob")[1]
    assert len(keyfile.read(path).keys) == 2


def test_keys_are_listed(ctl) -> None:
    """As a table, and whole for scripts; a secret is in neither."""
    made = json.loads(ctl("new", "Ann", "--json")[1])
    ctl("new", "Bob", "--models", "demo", "--expires", "2999-01-31")
    place, head, ann, bob = ctl("list")[1].splitlines()
    assert place == f"keys in {made['file']}"
    assert head.split() == ["id", "name", "models", "priority", "created", "expires", "state"]
    assert ann.split()[:4] == [made["id"], "Ann", "all", "0"]
    assert bob.split()[-3:] == ["2999-01-31", "00:00", "active"]
    listed = json.loads(ctl("list", "--json")[1])
    assert listed["file"] == made["file"]
    assert listed["keys"][0] == {name: made[name] for name in listed["keys"][0]}
    assert set(made) - set(listed["keys"][0]) == {"key", "file"}


def test_a_key_is_revoked(ctl, path) -> None:
    """By its id; a second time is no mistake, an id that nobody has is one."""
    made = json.loads(ctl("new", "Ann", "--json")[1])
    for _ in range(2):
        assert ctl("revoke", made["id"]) == (
            0,
            f"{made['id']} (Ann): revoked in {path}; a running gateway that reads it refuses the key within a second\n",
            "",
        )
    told = json.loads(ctl("revoke", made["id"], "--json")[1])
    assert (told["state"], told["file"]) == ("revoked", str(path))
    assert "was revoked" in Keys(keyfile.read(path)).holder([made["key"]], 0.0).message
    assert "revoked" in ctl("list")[1]
    code, _, error = ctl("revoke", "nobody")
    assert (code, error.count("\n")) == (1, 1)
    assert "keys list shows them all" in error


def test_no_file_is_no_key(ctl, path) -> None:
    """A list says what that means and makes nothing; an empty file means the opposite."""
    assert "nobody is asked for one" in ctl("list")[1]
    assert ctl("revoke", "abcd")[0] == 1
    assert not path.parent.exists()
    path.parent.mkdir()
    path.touch(mode=0o600)
    assert "nobody is let in" in ctl("list")[1]


def test_a_new_key_is_told_with_where_it_is_good_for(ctl, path) -> None:
    """The gateway's address as cortex.toml has it, that names are not checked, and who has the same name already."""
    plain = ctl("new", "Ann")[1]
    assert "http://HOST:PORT/v1/models" in plain
    assert "Names are not checked" not in plain
    (path.parent / "cortex.toml").write_text('[gateway]\nlisten = "127.0.0.1:8080"\n')
    again = ctl("new", "Ann", "--models", "other*")[1]
    first = keyfile.read(path).keys[0].id
    assert "http://127.0.0.1:8080/v1/models" in again
    assert "Names are not checked here" in again
    assert f"Ann has {first} too" in again
    ctl("revoke", first)
    (path.parent / "cortex.toml").write_text('[gateway]\nlisten = "0.0.0.0:8080"\n')
    last = ctl("new", "Ann")[1]
    assert first not in last
    assert "http://HOST:8080/v1/models" in last


def test_another_file_can_be_named(ctl, tmp_path, path) -> None:
    """--file wins over the data directory."""
    other = tmp_path / "other.toml"
    assert ctl("new", "Ann", "--file", str(other))[0] == 0
    assert other.exists()
    assert not path.exists()


def test_a_file_that_is_wrong_is_not_touched(ctl, path) -> None:
    """One line says what is wrong with it."""
    path.parent.mkdir()
    path.touch(mode=0o644)
    code, _, error = ctl("new", "Ann")
    assert (code, error.count("\n")) == (1, 1)
    assert "chmod 600" in error
    assert path.read_text() == ""


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("12h", "2026-11-29T00:00:00Z"),
        ("30d", "2026-12-28T12:00:00Z"),
        ("2w", "2026-12-12T12:00:00Z"),
        ("2027-01-31", "2027-01-31T00:00:00Z"),
        ("2027-01-31T10:00:00+02:00", "2027-01-31T08:00:00Z"),
    ],
)
def test_when_a_key_expires(text: str, moment: str) -> None:
    """After some time, at the beginning of a day in UTC, or at a moment."""
    assert moment_of(expiry_of(text, NOW)) == moment


@pytest.mark.parametrize(
    "text", ["never", "30", "d", "30 d", "2026-01-01", "0d", "999999w", "2027-02-30", "-1d"]
)
def test_what_is_no_expiry(text: str) -> None:
    """The flag is named, and what it takes."""
    with pytest.raises(SettingsError, match="--expires: "):
        expiry_of(text, NOW)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lst"], "did you mean list?"),
        (["new", "Ann", "--priority", "101"], "from -100 to 100"),
        (["new", ""], "is not a name"),
        (["new", "Ann", "--models", "a,,b"], "is not a name"),
        ([], "ACTION"),
    ],
)
def test_mistakes_in_arguments_exit_with_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What would be right is said."""
    with pytest.raises(SystemExit) as caught:
        main(["keys", *words])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
