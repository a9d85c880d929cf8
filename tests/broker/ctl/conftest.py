"""A socket to ask at, and the command line as a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cortex.broker.ctl.__main__ import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/run/ctl.sock"


@pytest.fixture
def run(endpoint: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """`cortex-ctl WORDS…` against the endpoint: exit code, output, complaints."""

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["--endpoint", endpoint, *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def short_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first try lasts 100 ms, so that a lost reply costs no more."""
    monkeypatch.setattr("cortex.broker.ctl.client.TRY_MS", 100)
