"""What a device process has in memory after many lives of a model, and what a sleeping one costs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[2] / "support"
CYCLES = 15
"""`make bench-engine` measures fifty."""
FIRST = 2
"""Cycles after which all is there that stays."""


@pytest.mark.system
def test_many_lives_of_a_model_leave_nothing_behind(directory: Callable[[str], Path]) -> None:
    """Loaded, used, asleep, awake, used, unloaded: the process is as large in the end as it was after the first ones."""
    environment = os.environ | {"PYTHONPATH": str(SUPPORT), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONSAFEPATH", None)
    told = subprocess.run(
        [sys.executable, str(SUPPORT / "cycles.py"), str(directory("qwen3")), str(CYCLES)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-2000:]
    sizes = [int(line) for line in told.stdout.split()]
    assert len(sizes) == CYCLES
    assert max(sizes[FIRST:]) < 1.02 * sizes[FIRST]
