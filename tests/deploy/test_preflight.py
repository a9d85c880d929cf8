"""What `cortex up` refuses before it starts anything, and that a refusal leaves nothing behind."""

import os
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import free_port

from cortex.deploy import local, roles
from cortex.deploy.__main__ import main
from cortex.deploy.preflight import LAUNCHER, Address, check
from cortex.protocol.kit.sockets import EndpointError


@pytest.fixture
def taken() -> Iterator[str]:
    """An address on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def free() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.mark.parametrize("flag", ["--http", "--metrics"])
def test_a_taken_port_is_refused_and_leaves_nothing(
    tmp_path: Path, taken: str, free: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the flag and the address; neither settings nor directories appear."""
    other = "--metrics" if flag == "--http" else "--http"
    assert main(["up", "--data", str(tmp_path / "d"), flag, taken, other, free]) == 1
    error = capsys.readouterr().err
    assert f"{flag}: cannot listen on {taken}: address already in use" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("localhost", "is not HOST:PORT"),
        ("127.0.0.1:http", "is not HOST:PORT"),
        (":31313", "is not HOST:PORT"),
        ("127.0.0.1:0", "choose one from 1 to 65535"),
        ("127.0.0.1:65536", "choose one from 1 to 65535"),
        ("0.0.0.0:31313", "--insecure-open"),
    ],
)
def test_a_bad_address_is_refused_and_leaves_nothing(
    tmp_path: Path, value: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flag, what is wrong with it and what would be right."""
    assert main(["up", "--http", value, "--data", str(tmp_path / "d")]) == 1
    error = capsys.readouterr().err
    assert "--http" in error
    assert reason in error
    assert list(tmp_path.iterdir()) == []


def test_one_address_cannot_serve_twice(tmp_path: Path, free: str) -> None:
    """The API and the metrics need one each."""
    addresses = (Address("--http", free), Address("--metrics", free))
    with pytest.raises(EndpointError, match=r"--metrics: .* is the address of --http too"):
        check(tmp_path, addresses, insecure_open=False)


def test_a_second_up_on_a_data_directory_writes_nothing(
    tmp_path: Path, free: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told of the first, whatever port it asks for."""
    held = roles.claim(tmp_path, LAUNCHER)
    assert main(["up", "--http", free, "--data", str(tmp_path)]) == 1
    assert "another cortex runs here" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    os.close(held)


def test_a_data_directory_that_is_a_file_is_named(
    tmp_path: Path, free: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flag and the path are in the message."""
    path = tmp_path / "file"
    path.touch()
    assert main(["up", "--http", free, "--data", str(path)]) == 1
    assert f"--data: {path} is not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1])
def test_settings_stay_only_if_the_start_succeeded(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first cortex.toml shows the addresses that were asked for; after a failed start it is not there."""
    ran: list[local.Plan] = []
    monkeypatch.setattr(local, "run", lambda plan: ran.append(plan) or code)
    http, metrics = (f"127.0.0.1:{free_port()}" for _ in range(2))
    assert main(["up", "--data", str(tmp_path), "--http", http, "--metrics", metrics]) == code
    assert (ran[0].http, ran[0].metrics) == (http, metrics)
    written = tmp_path / "cortex.toml"
    assert written.exists() is (tmp_path / "neuron.toml").exists() is (code == 0)
    if written.exists():
        assert tomllib.loads(written.read_text())["gateway"] == {"listen": http, "metrics_listen": metrics}


def test_settings_that_were_there_survive_a_failed_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what this start wrote is taken back; a file given by --config is not written a second time."""
    monkeypatch.setattr(local, "run", lambda _plan: 1)
    http, metrics = (f"127.0.0.1:{free_port()}" for _ in range(2))
    own = tmp_path / "own.toml"
    own.write_text(f"[gateway]\nlisten = '{http}'\nmetrics_listen = '{metrics}'\n")
    data = tmp_path / "d"
    data.mkdir()
    (data / "neuron.toml").write_text("[[models]]\nid = 'mine'\n")
    assert main(["up", "--config", str(own), "--data", str(data)]) == 1
    assert own.exists()
    assert sorted(path.name for path in data.iterdir()) == ["neuron.toml", "run"]
