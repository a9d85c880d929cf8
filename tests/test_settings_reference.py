"""docs/settings.md lists every key of the settings, as the types have it; what a key means stands beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from settings_tables import TABLES, Row, rows_of

DOCUMENT = Path(__file__).parents[1] / "docs" / "settings.md"


def told(heading: str) -> list[tuple[Row, str]]:
    """The rows under a heading of the document, and what each says of its key."""
    text = f"\n{DOCUMENT.read_text(encoding='utf-8')}\n#"
    found = re.search(rf"\n##+ {re.escape(heading)}\n(.*?)\n#", text, re.DOTALL)
    assert found is not None, f"docs/settings.md has no heading {heading}"
    lines = [line for line in found[1].splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [(Row(key.strip("`"), takes, default), meaning) for key, takes, default, meaning in cells]


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_there_as_it_is(heading: str) -> None:
    """With what it takes and what holds without it: change the row in docs/settings.md with the type."""
    rows = told(heading)
    assert [row for row, _ in rows] == rows_of(heading)
    assert all(meaning.endswith(".") for _, meaning in rows)


def test_no_section_is_forgotten() -> None:
    """Every table of a settings file has a heading of its own, or its keys are listed with a dot."""
    for heading, kind in TABLES.items():
        if " " in heading:
            continue
        sections = {
            name.partition(" ")[2].strip("[]").partition(".")[0] for name in TABLES if heading in name
        }
        plain = {row.key for row in rows_of(heading)}
        assert set(kind.__struct_fields__) == (sections | plain) - {""}, heading
