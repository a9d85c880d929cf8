"""cortex-ctl as a process on a terminal, and in a pipe."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from ctl_answers import MODELS, STATUS
from msgspec import Struct
from scripted_broker import ScriptedBroker

from cortex.protocol.messages import Command, Events, EventsSince, ModelsQuery, Operation, StatusQuery, Wait

pytestmark = pytest.mark.system
SECONDS = 20
CTRL_C = b"\x03"
ON_A_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started with it ignored
os.close(os.open(os.ttyname(0), os.O_RDWR))  # opened by the leader of a session, it controls it: Ctrl-C is a signal
from cortex.broker.ctl.__main__ import main
sys.exit(main())
"""


def begin(question: Struct) -> Operation:
    assert isinstance(question, Command)
    return Operation(command=question.command, state="running")


def half(question: Struct) -> Operation:
    assert isinstance(question, Wait)
    return Operation(command=question.command, state="running", percent=50, detail="reading weights")


@pytest.fixture
def broker(endpoint: str) -> Iterator[ScriptedBroker]:
    script = {
        ModelsQuery: MODELS,
        StatusQuery: STATUS,
        Command: begin,
        Wait: half,
        EventsSince: Events(events=(), next=0),
    }
    with ScriptedBroker(endpoint, script) as scripted:
        yield scripted


class Terminal:
    """A process whose standard streams are a terminal of 100 columns."""

    def __init__(self, *arguments: str) -> None:
        self._fd, inner = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR"}}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_A_TERMINAL, *arguments],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            env=environment | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        )
        os.close(inner)
        self.text = ""

    def until(self, pattern: str) -> None:
        """Read until it has been written."""
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text

    def press(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def end(self) -> int:
        """Everything that is still written, and the exit code."""
        while self._read():
            pass
        os.close(self._fd)
        return self.process.wait(SECONDS)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], SECONDS)
        data = b""
        with suppress(OSError):  # the other side is closed
            data = os.read(self._fd, 65536) if ready else b""
        self.text += data.decode()
        return bool(data)


@pytest.mark.usefixtures("broker")
def test_a_terminal_gets_colours_and_its_own_width(endpoint: str) -> None:
    """State words only; no line is longer than the terminal is wide."""
    terminal = Terminal("--endpoint", endpoint, "models")
    assert terminal.end() == 0
    assert "\x1b[32mhot" in terminal.text
    bare = re.sub(r"\x1b\[[0-9;]*m", "", terminal.text)
    assert max(len(line.rstrip("\r")) for line in bare.splitlines()) <= 100


@pytest.mark.usefixtures("broker")
def test_ctrl_c_during_a_load_leaves_a_clean_terminal_and_says_that_it_goes_on(endpoint: str) -> None:
    """A bar until then; the cursor is shown again, and the exit code is 1."""
    terminal = Terminal("--endpoint", endpoint, "load", "phi-4")
    terminal.until(r"phi-4.*━.*50 %.*reading weights")
    terminal.press(CTRL_C)
    assert terminal.end() == 1
    assert "phi-4 is still loading; cortex-ctl models shows it" in terminal.text
    assert "Traceback" not in terminal.text
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize("words", [["top"], ["events", "--follow"]])
def test_ctrl_c_is_the_good_end_of_what_goes_on(
    endpoint: str, words: list[str], broker: ScriptedBroker
) -> None:
    """Exit code 0, and the screen is given back."""
    terminal = Terminal("--endpoint", endpoint, *words)
    deadline = time.monotonic() + SECONDS
    while not broker.seen:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if words == ["top"]:
        terminal.until("broker alpha")
    terminal.press(CTRL_C)
    assert terminal.end() == 0
    assert "Traceback" not in terminal.text
    assert terminal.text.count("\x1b[?1049h") == terminal.text.count("\x1b[?1049l")


@pytest.mark.usefixtures("broker")
def test_a_reader_that_leaves_early_is_no_error_to_look_at(endpoint: str) -> None:
    """`cortex-ctl top | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "-m", "cortex.broker.ctl", "--endpoint", endpoint, "top"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(writing)
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (1, "")
