"""The command line: exit codes and one line of reason."""

import os
from pathlib import Path

import pytest

from cortex.broker.ctl import __main__ as ctl
from cortex.broker.ctl.arguments import parser
from cortex.deploy import roles
from cortex.deploy.__main__ import main
from cortex.protocol.kit.sockets import EndpointError


@pytest.mark.parametrize("arguments", [[], ["fly"], ["up", "--nonsense"]])
def test_usage_errors_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Argument mistakes are told apart from failures."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: cortex" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typo", "meant"), [("stauts", "status"), ("sevre", "serve"), ("neurons", "neuron"), ("xyz", None)]
)
def test_a_typo_is_answered_with_the_nearest_command(
    typo: str, meant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """All commands that are for users are listed, and no other."""
    with pytest.raises(SystemExit) as caught:
        main([typo])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert (f"did you mean {meant}?" in error) is (meant is not None)
    assert "(commands: up, serve, broker, edge, neuron, status)" in error
    assert "exporter" not in error


def test_status_without_a_broker_fails_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the endpoint and what to do."""
    (tmp_path / "run").mkdir(mode=0o700)
    assert main(["status", "--data", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert str(tmp_path) in error
    assert "--data DIR" in error
    assert error.count("\n") == 1


def test_serving_everybody_needs_an_explicit_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without keys only loopback is bound."""
    path = tmp_path / "cortex.toml"
    path.write_text("[gateway]\nlisten = '0.0.0.0:31313'\n")
    assert main(["serve", "--config", str(path), "--data", str(tmp_path)]) == 1
    assert "--insecure-open" in capsys.readouterr().err


def test_a_missing_settings_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The path is in the message."""
    assert main(["broker", "--config", str(tmp_path / "no.toml"), "--data", str(tmp_path)]) == 1
    assert "no.toml" in capsys.readouterr().err


def test_a_data_directory_has_one_broker(tmp_path: Path) -> None:
    """A second one would take the sockets away from the first; it is told so."""
    handle = roles.claim(tmp_path)
    with pytest.raises(EndpointError, match="another cortex runs here"):
        roles.claim(tmp_path)
    os.close(handle)
    os.close(roles.claim(tmp_path))


def test_ctl_asks_the_broker_of_a_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is named wins over a data directory, and that over the environment."""
    monkeypatch.setenv("CORTEX_ENDPOINT", "ipc:///environment")

    def endpoint_of(*flags: str) -> str:
        return ctl.endpoint_of(parser().parse_args([*flags, "status"]))

    assert endpoint_of() == "ipc:///environment"
    assert endpoint_of("--data", str(tmp_path)) == f"ipc://{tmp_path}/run/ctl.sock"
    assert endpoint_of("--data", str(tmp_path), "--endpoint", "ipc:///named") == "ipc:///named"


def test_ctl_knows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints it and exits with 0."""
    with pytest.raises(SystemExit) as caught:
        ctl.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip()
