"""The launcher with real children: what a failed start tells."""

import subprocess
from pathlib import Path

import pytest

from cortex.deploy.launcher import ChildFailedError, Launcher, Role
from cortex.deploy.logfile import LogFile
from cortex.protocol.kit.signals import Stop

pytestmark = pytest.mark.system


def test_a_child_that_fails_is_quoted_without_what_earlier_runs_logged(tmp_path: Path) -> None:
    """The message holds the exit code and this run's lines; the log keeps the old ones."""
    log = tmp_path / "broker.log"
    log.write_text("a line of an earlier run\n")
    role = Role("broker", ["broker", "--config", "/no/such.toml"], 1.0, LogFile(log))
    launcher = Launcher([role], ("broker",), {})
    launcher.start()
    with pytest.raises(ChildFailedError) as caught:
        launcher.wait_until(lambda: False, Stop(), 60.0)
    launcher.stop()
    message = str(caught.value)
    assert message.startswith(f"the broker ended with exit code 1; the end of {log}:\n")
    assert "no such file" in message
    assert "earlier run" not in message
    assert log.read_text().startswith("a line of an earlier run\n")


def test_a_child_that_says_nothing_is_not_given_old_words(tmp_path: Path) -> None:
    """An empty quotation is left out."""
    log = tmp_path / "edge.log"
    log.write_text("a line of an earlier run\n")
    before = LogFile(log, begun=log.stat().st_size)
    role = Role("edge", [], 1.0, before, subprocess.Popen(["true"]))
    role.process.wait()
    with pytest.raises(ChildFailedError, match=r"^the edge ended with exit code 0$"):
        Launcher([role], ("edge",), {}).wait_until(lambda: False, Stop(), 60.0)
