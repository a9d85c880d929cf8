"""What the design forbids: heavy imports in light processes, readers that execute, and files that outgrow a reader."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("broker", "deploy", "edge", "neuron", "protocol")
SOURCES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))

LIGHT = ("broker/core.py", "broker/app.py", "broker/ctl/__main__.py", "edge/app.py")
HEAVY = ("torch", "transformers")

PURE = ("protocol/toolcalls",)
IMPURE = {"torch", "asyncio", "time", "random", "os", "zmq", "threading", "socket"}

BETWEEN_FORKS = "neuron/engine/torch/arena.py"
FORBIDDEN = re.compile(
    r"\bpickle\b|\brecv_pyobj\b|\bsend_pyobj\b|\btorch\.load\b|\bmarshal\b|\byaml\.load\b|(?<![\w.])eval\("
)

LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def where(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in LIGHT if (ROOT / path).exists()])
def test_light_processes_import_no_heavy_library(path: str) -> None:
    """Broker, edge and ctl start without torch and transformers, directly or through anything they import."""
    module = "cortex." + path.removesuffix(".py").replace("/", ".")
    script = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr


@pytest.mark.parametrize("folder", PURE)
def test_pure_packages_have_no_world(folder: str) -> None:
    """No clock, randomness, thread, socket or environment in what only reads text."""
    for path in (ROOT / folder).rglob("*.py"):
        assert not imported(path) & IMPURE, where(path)


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=where)
def test_nothing_executes_what_it_reads(path: Path) -> None:
    """Bytes from outside are data: none of the readers that run them is named anywhere but between a process and its fork."""
    if where(path) == BETWEEN_FORKS:
        return
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    assert [f"{number}: {line.strip()}" for number, line in lines if FORBIDDEN.search(line)] == []


@pytest.mark.parametrize("path", SOURCES, ids=where)
def test_files_and_functions_can_be_read_in_one_go(path: Path) -> None:
    """A file has at most 400 lines and a function at most 60."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    }
    assert long == {}


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("import pickle", True),
        ("x = eval(text)", True),
        ("torch.load(path)", True),
        ("socket.recv_pyobj()", True),
        ("yaml.load(text)", True),
        ("model.eval()", False),
        ("retrieval(x)", False),
        ("torch.loads = 1", False),
    ],
)
def test_the_gate_catches_what_it_should(line: str, caught: bool) -> None:
    """The pattern itself is tested, or it would pass by matching nothing."""
    assert bool(FORBIDDEN.search(line)) is caught
