"""`cortex-ctl keys` finds the key file that the gateway reads, and writes none where no gateway would read it."""

import argparse
import os
from pathlib import Path

import pytest

from cortex.broker.ctl.arguments import parser
from cortex.broker.ctl.keys_place import file_of
from cortex.protocol.kit.paths import Planes, note_ctl, note_keys
from cortex.protocol.kit.settings import SettingsError

REMOTE = "tcp://beast:31310"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This user's data directory, by its default."""
    monkeypatch.delenv("CORTEX_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path / "share" / "cortex"


def asked(*words: str) -> argparse.Namespace:
    return parser().parse_args(["keys", "list", *words])


def with_toml(directory: Path, keys: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "cortex.toml"
    path.write_text(f'[gateway]\nlisten = "127.0.0.1:1"\nkeys = "{keys}"\n')
    return path


def test_without_settings_it_is_in_the_data_directory(home: Path, tmp_path: Path) -> None:
    """This user's, or the one that is named."""
    assert file_of(asked(), {}) == home / "keys.toml"
    assert file_of(asked("--data", str(tmp_path)), {}) == tmp_path / "keys.toml"


def test_cortex_toml_of_the_data_directory_names_it(home: Path) -> None:
    """Relative to itself; the environment stands above it, and --file above everything."""
    with_toml(home, "secret/mine.toml")
    assert file_of(asked(), {}) == home / "secret" / "mine.toml"
    assert file_of(asked(), {"CORTEX_GATEWAY__KEYS": "other.toml"}) == home / "other.toml"
    named = asked("--file", "/k.toml")
    assert file_of(named, {"CORTEX_GATEWAY__KEYS": "other.toml", "CORTEX_ENDPOINT": REMOTE}) == Path(
        "/k.toml"
    )


def test_another_cortex_toml_can_be_named(home: Path, tmp_path: Path) -> None:
    """As for the gateway: what it does not say is in the data directory; it must be there and be TOML."""
    with_toml(home, "mine.toml")
    other = with_toml(tmp_path / "etc", "k.toml")
    assert file_of(asked("--config", str(other)), {"CORTEX_ENDPOINT": REMOTE}) == tmp_path / "etc" / "k.toml"
    other.write_text("")
    assert file_of(asked("--config", str(other)), {}) == home / "keys.toml"
    other.write_text("[gateway]\nkeys = 1\n")
    with pytest.raises(SettingsError, match=r":2: gateway.keys: must be the path of a file"):
        file_of(asked("--config", str(other)), {})
    with pytest.raises(SettingsError, match="no such file"):
        file_of(asked("--config", str(tmp_path / "nowhere.toml")), {})


def test_a_running_gateway_says_itself_which_file_it_reads(home: Path) -> None:
    """It may have been started with settings from anywhere; once it has ended, its word is worth nothing."""
    with_toml(home, "mine.toml")
    handle = note_keys(home, Path("/etc/cortex/keys.toml"))
    assert handle is not None
    assert note_keys(home, Path("/another.toml")) is None
    assert file_of(asked(), {"CORTEX_GATEWAY__KEYS": "other.toml"}) == Path("/etc/cortex/keys.toml")
    os.close(handle)
    assert file_of(asked(), {}) == home / "mine.toml"


def test_a_broker_elsewhere_has_no_keys_here(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence says where they are; a data directory that is named is meant."""
    elsewhere = {"CORTEX_ENDPOINT": REMOTE}
    with pytest.raises(SettingsError, match=f"CORTEX_ENDPOINT names the broker at {REMOTE}.*gateway's host"):
        file_of(asked(), elsewhere)
    with pytest.raises(SettingsError, match="--endpoint names the broker"):
        file_of(asked("--endpoint", REMOTE), {})
    assert file_of(asked("--data", str(tmp_path)), elsewhere) == tmp_path / "keys.toml"
    monkeypatch.setenv("CORTEX_DATA", str(tmp_path / "d"))
    assert file_of(asked(), {**elsewhere, "CORTEX_DATA": str(tmp_path / "d")}) == tmp_path / "d" / "keys.toml"
    assert not home.exists()


def test_a_broker_of_this_host_is_known_by_its_socket(home: Path, tmp_path: Path) -> None:
    """Its data directory is round its socket; this user's own broker may listen anywhere."""
    there = {"CORTEX_ENDPOINT": Planes.under(tmp_path / "d").ctl}
    assert file_of(asked(), there) == tmp_path / "d" / "keys.toml"
    (home / "run").mkdir(parents=True)
    note_ctl(home, "tcp://127.0.0.1:31310")
    assert file_of(asked(), {"CORTEX_ENDPOINT": "tcp://127.0.0.1:31310"}) == home / "keys.toml"
