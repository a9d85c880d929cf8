"""What would be in the wheel is what is in the tree: an editable install hides a forgotten package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("broker", "deploy", "edge", "neuron", "protocol")
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def test_every_package_is_listed() -> None:
    """The explicit list names each folder with modules, and nothing else."""
    found = {
        "cortex." + ".".join(init.parent.relative_to(ROOT).parts)
        for part in PARTS
        for init in (ROOT / part).rglob("__init__.py")
    }
    assert sorted(found) == SETUPTOOLS["packages"]


def test_every_folder_with_modules_is_a_package() -> None:
    """Without an `__init__` a folder would import here and be missing from the wheel."""
    for part in PARTS:
        for module in (ROOT / part).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), module.relative_to(ROOT)


def test_the_map_covers_the_five_parts() -> None:
    """Each top-level folder installs under the namespace."""
    assert SETUPTOOLS["package-dir"] == {f"cortex.{part}": part for part in PARTS}


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_typed(part: str) -> None:
    """Each part has its marker for type checkers, and the marker is packaged."""
    assert (ROOT / part / "py.typed").is_file()
    assert "py.typed" in SETUPTOOLS["package-data"]["*"]


def test_the_namespace_has_no_root() -> None:
    """`cortex` is a namespace: an `__init__` in a root would shadow the other parts."""
    assert not (ROOT / "__init__.py").exists()
    assert not (ROOT / "cortex").exists()
