"""With keys the gateway may be bound where others reach it; without, it is refused and told how to get them."""

from pathlib import Path

import pytest
from made_keys import entry
from stack import free_port

from cortex.deploy import config, local
from cortex.deploy.__main__ import main
from cortex.edge import server
from cortex.edge.config import Gateway
from cortex.edge.keyring import Keyring
from cortex.protocol.keys import KeyFile
from cortex.protocol.kit import keyfile
from cortex.protocol.kit.settings import SettingsError
from cortex.protocol.kit.sockets import EndpointError
from cortex.protocol.messages import CatalogueEntry, Models, ModelStatus

HOT = Models(models=(ModelStatus(entry=CatalogueEntry(id="cortex-demo", state="hot", loaded=True)),))


def started(data: Path, monkeypatch: pytest.MonkeyPatch, *, metrics: str = "127.0.0.1") -> tuple[int, str]:
    """The exit code of an `up` on all addresses, and what it would have announced."""
    plans: list[local.Plan] = []
    monkeypatch.setattr(local, "run", lambda plan: plans.append(plan) or 0)
    http, figures = f"0.0.0.0:{free_port()}", f"{metrics}:{free_port()}"
    code = main(["up", "--data", str(data), "--http", http, "--metrics", figures])
    return code, local.announcement(plans[0], 1.0, HOT) if plans else ""


def test_an_open_address_needs_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The API's alone: nobody asks for a key where the metrics are."""
    assert started(tmp_path / "d", monkeypatch)[0] == 1
    assert "cortex-ctl keys new NAME" in capsys.readouterr().err
    keyfile.write(tmp_path / "keys.toml", KeyFile(keys=(entry(),)))
    code, announced = started(tmp_path, monkeypatch)
    assert code == 0
    assert "-H 'Authorization: Bearer KEY'" in announced
    assert started(tmp_path, monkeypatch, metrics="0.0.0.0")[0] == 1
    assert "--metrics" in capsys.readouterr().err


def test_a_key_file_that_others_can_read_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is started, in one line."""
    path = tmp_path / "keys.toml"
    keyfile.write(path, KeyFile(keys=(entry(),)))
    path.chmod(0o644)
    assert started(tmp_path, monkeypatch)[0] == 1
    assert "chmod 600" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="chmod 600"):
        server.serve(Gateway(), ("ipc:///nowhere",), keyring=Keyring(path))


def test_the_edge_role_asks_for_them_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be started by hand."""
    ran = []
    monkeypatch.setattr(server.EdgeServer, "run", lambda self: ran.append(self.keyring))
    path = tmp_path / "keys.toml"
    everywhere = Gateway(listen="0.0.0.0:0")
    with pytest.raises(EndpointError, match="cortex-ctl keys new NAME"):
        server.serve(everywhere, ("ipc:///nowhere",), keyring=Keyring(path))
    keyfile.write(path, KeyFile(keys=(entry(),)))
    server.serve(everywhere, ("ipc:///nowhere",), keyring=Keyring(path))
    assert len(ran[0].keys) == 1


def test_where_the_file_is(tmp_path: Path) -> None:
    """As cortex.toml names it, relative to itself, and then it must be there; else in the data directory, if it is."""
    data, toml = tmp_path / "d", tmp_path / "etc" / "cortex.toml"
    found = config.keys_at(config.CortexSettings(), toml, data)
    assert found == (data / "keys.toml", False)
    assert not found.in_use
    named = config.CortexSettings(gateway=Gateway(keys="k/mine.toml"))
    found = config.keys_at(named, toml, data)
    assert found == (tmp_path / "etc" / "k" / "mine.toml", True)
    assert found.in_use
