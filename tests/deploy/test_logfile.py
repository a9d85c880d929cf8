"""What of a role's log reaches the terminal."""

import logging
from pathlib import Path

import pytest

from cortex.deploy.logfile import LogFile
from cortex.protocol.kit import log as logs


def test_warnings_are_told_once_as_the_log_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of our own logging, by its own format: what only informs stays in the file."""
    before = logging.getLogger().handlers[:]
    try:
        log = logs.set_up("neuron", "info")
        log.info("a device joins")
        log.warning("cpu-0 was ended by SIGKILL; again in 0.5 s")
    finally:
        logging.getLogger().handlers[:] = before
    file = tmp_path / "neuron.log"
    file.write_text(capsys.readouterr().err)
    read = LogFile(file)
    [told] = read.warnings()
    assert told.startswith("neuron[")
    assert told.endswith("] cpu-0 was ended by SIGKILL; again in 0.5 s")
    assert read.warnings() == []


def test_a_line_that_is_still_being_written_is_told_when_it_is_whole(tmp_path: Path) -> None:
    """Half a line is no line, and nothing is lost of it."""
    file = tmp_path / "edge.log"
    read = LogFile(file)
    file.write_text("2026-11-24 10:00:00,000 ERROR   edge[7] the disk")
    assert read.warnings() == []
    with file.open("a") as more:
        more.write(" is full\nTraceback (most recent call last):\n  no line of ours\n")
    assert read.warnings() == ["edge[7] the disk is full"]


@pytest.mark.parametrize("old", [0, 1])
def test_what_was_logged_before_the_first_start_is_not_told(tmp_path: Path, old: int) -> None:
    """A log outlives its cortex; of a child that is started again nothing is passed over."""
    file = tmp_path / "broker.log"
    line = "2026-11-24 10:00:00,000 WARNING broker[{}] the fleet is small\n"
    file.write_text(line.format(1))
    read = LogFile(file)
    for process in (2, 3):
        with read.open() as log:
            log.write(line.format(process).encode())
    assert [told.split("]")[0] for told in read.warnings()] == ["broker[2", "broker[3"]
