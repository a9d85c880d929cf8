"""Children: ended for certain, restarted with patience. And the one line per event that they log."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from cortex.protocol.kit import log
from cortex.protocol.kit.process import LONGEST_PAUSE, POISONED, Restarts, die_with_parent, end, ending

READY = "import signal, sys; {}; print('ready', flush=True); signal.pause()"
IGNORE = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def child(code: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


def test_a_child_is_asked_before_it_is_killed() -> None:
    """SIGTERM first; SIGKILL for one that does not listen; nothing for one that has ended."""
    assert end(child(READY.format("pass")), 5.0) == -15
    deaf = child(READY.format(IGNORE))
    assert end(deaf, 0.05) == -9
    assert end(deaf, 0.0) == -9


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "ended with exit code 1"),
        (0, "ended with exit code 0"),
        (-9, "was ended by SIGKILL"),
        (-60, "was ended by signal 60"),
    ],
)
def test_how_a_child_ended_is_told_in_words(code: int, words: str) -> None:
    """A signal has a name; nobody has to know what -9 means."""
    assert ending(code) == words


def test_an_orphan_leaves_at_once() -> None:
    """A child whose parent has gone before it could ask for its signal ends itself."""
    script = (
        "from cortex.protocol.kit.process import die_with_parent; die_with_parent({}); raise SystemExit(7)"
    )
    for parent, code in ((os.getpid(), 7), (os.getpid() + 1, 0)):
        run = subprocess.run([sys.executable, "-c", script.format(parent)], check=False)
        assert run.returncode == code


def test_the_kernel_is_asked_only_where_it_can_be(monkeypatch) -> None:
    """Elsewhere than on Linux the parent's pid is all there is."""
    monkeypatch.setattr(sys, "platform", "other")
    die_with_parent(os.getppid())
    with pytest.raises(SystemExit) as caught:
        die_with_parent(os.getppid() + 1)
    assert caught.value.code == 0


def test_pauses_double_up_to_a_bound() -> None:
    """Each failure in a row waits twice as long, half a minute at most."""
    restarts = Restarts()
    pauses = [restarts.pause(1, now=1.0) for _ in range(12)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_poisoned_device_is_restarted_at_once() -> None:
    """Its process did right to end; but not time after time."""
    restarts = Restarts()
    assert [restarts.pause(POISONED, now=1.0) for _ in range(3)] == [0.0, 0.4, 0.8]


def test_a_minute_of_health_is_forgiveness() -> None:
    """What ran long enough starts with a clean record."""
    restarts = Restarts(failures=9, started=100.0)
    assert restarts.pause(1, now=159.9) == LONGEST_PAUSE
    restarts = Restarts(failures=9, started=100.0)
    assert restarts.pause(1, now=160.0) == 0.2


def test_logging_has_one_line_per_event(capsys, monkeypatch) -> None:
    """Role and pid on standard error; `CORTEX_LOG` sets the level; an unknown level is info."""
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    root.handlers.clear()
    try:
        monkeypatch.setenv("CORTEX_LOG", "warning")
        log.set_up("edge").info("quiet")
        log.set_up("edge", "debug").debug("heard")
        log.set_up("edge", "loud").info("heard too")
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("] ")[1] for line in lines] == ["heard", "heard too"]
    assert all(f"edge[{os.getpid()}]" in line for line in lines)
