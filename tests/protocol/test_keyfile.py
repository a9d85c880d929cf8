"""The file of the keys: its permissions, and that it is whole at any moment."""

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_keys import entry

from cortex.protocol.keys import KeyFile
from cortex.protocol.kit import keyfile
from cortex.protocol.kit.settings import SettingsError

LABELS = st.text(min_size=1, max_size=20).filter(lambda text: "\r" not in text and text.isprintable())
ENTRIES = st.builds(
    lambda name, models, priority, revoked: entry(
        name=name, models=tuple(models), priority=priority, revoked=revoked
    ),
    LABELS,
    st.lists(LABELS, max_size=3),
    st.integers(-100, 100),
    st.booleans(),
)


@given(ENTRIES)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, one: object) -> None:
    """Whatever printable characters names are made of."""
    path = tmp_path_factory.getbasetemp() / "written.toml"
    keyfile.write(path, KeyFile(keys=(one,)))  # type: ignore[arg-type]
    assert keyfile.read(path).keys == (one,)


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """A new file has mode 0600; one that its group may read keeps that; nothing else lies about."""
    path = tmp_path / "keys.toml"
    keyfile.write(path, KeyFile())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    keyfile.write(path, KeyFile())
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [found.name for found in tmp_path.iterdir()] == ["keys.toml"]


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o700, 0o602])
def test_a_file_that_others_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    """The remedy is named."""
    path = tmp_path / "keys.toml"
    keyfile.write(path, KeyFile())
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        keyfile.read(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[keys]]\nid = 'abcd'\n", "missing required field `name`"),
        (f"[[keys]]\nid = 'ABCD'\nname = 'a'\ndigest = '{'0' * 64}'\n", "id"),
        ("[[keys]]\nid = 'abcd'\nname = 'a'\ndigest = 'secret'\n", "digest"),
        ("[[keys]]\nsecret = 'x'\n", "unknown key"),
        (f"[[keys]]\nid = 'abcd'\nname = 'a'\ndigest = '{'0' * 64}'\nexpires = '2027'\n", "is not a time"),
        ("keys = 1", "keys"),
        ("[[keys", "keys.toml:1: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, reason: str) -> None:
    """File, line and key, as with every other settings file."""
    path = tmp_path / "keys.toml"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(SettingsError, match=reason):
        keyfile.read(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no other file beside it."""
    path = tmp_path / "keys.toml"
    keyfile.write(path, KeyFile(keys=(entry(),)))
    monkeypatch.setattr(keyfile.os, "fsync", lambda _file: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        keyfile.write(path, KeyFile())
    assert len(keyfile.read(path).keys) == 1
    assert [found.name for found in tmp_path.iterdir()] == ["keys.toml"]


def test_two_who_edit_wait_for_each_other(tmp_path: Path) -> None:
    """Of eight keys that are added at the same time none is lost."""
    path = tmp_path / "new" / "keys.toml"

    def add(number: int) -> None:
        with keyfile.editing(path):
            known = keyfile.read(path) if path.exists() else KeyFile()
            keyfile.write(path, KeyFile(keys=(*known.keys, entry(f"key{number}"))))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.id for one in keyfile.read(path).keys} == {f"key{number}" for number in range(8)}
