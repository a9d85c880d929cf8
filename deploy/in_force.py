"""What holds now, as an operator may see it: TOML by file, and behind each value that the file does not say who does.

It reads nothing: the settings were read when the process started, and models.toml whenever it changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import toml
from msgspec import Struct

from cortex.broker.catalogue import Catalogue
from cortex.broker.profiles import Source
from cortex.deploy.config import CortexSettings
from cortex.protocol.kit.settings import Origins
from cortex.protocol.kit.toml_lines import Path as TomlPath
from cortex.protocol.kit.toml_lines import positions

STARTED_WITH = "CORTEX_STARTED_WITH"
"""Names the variables in which the launcher hands on what its own command line says, and none that its user set."""


class InForce:
    """The catalogue's source together with the settings beside it."""

    def __init__(
        self,
        source: Source,
        settings: CortexSettings,
        origins: Origins,
        cortex_toml: Path | None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._source = source
        self._cortex = str(cortex_toml.absolute()) if cortex_toml is not None else "defaults"
        self._settings = settings
        self._origins = origins
        self._handed_on = frozenset(environ.get(STARTED_WITH, "").split())
        self.changed = source.changed
        self.reload = source.reload

    @property
    def catalogue(self) -> Catalogue:
        return self._source.catalogue

    def texts(self) -> dict[str, str]:
        """Every value with its origin in a comment, unless it is the one of the file under whose name it stands."""
        return {
            self._cortex: _with_origins(self._settings, self._origin),
            str(self._source.path): _with_origins(self._source.catalogue, self._source.origin),
        }

    def _origin(self, path: TomlPath) -> str:
        found = self._origins.of(path)
        if found in self._handed_on:
            return "the command line"
        return "" if found == "default" and self._cortex == "defaults" else found


def _with_origins(value: Struct, origin: Callable[[TomlPath], str]) -> str:
    """The values as TOML; what `origin` calls "file" or nothing has no comment."""
    text = toml.dumps(_plain(value))
    lines = text.splitlines()
    shortest: dict[int, TomlPath] = {}
    for path, line in positions(text).items():
        shortest.setdefault(line, path)
    for number, path in shortest.items():
        said = "" if lines[number - 1].startswith("[") else origin(path)
        if said not in {"", "file"}:
            lines[number - 1] += f"  # {said}"
    return "".join(f"{line}\n" for line in lines)


def _plain(value: Struct) -> dict[str, object]:
    """Built-in values, without what TOML cannot say: nothing."""
    found: dict[str, object] = msgspec.to_builtins(value)
    return _without_none(found)


def _without_none(table: dict[str, object]) -> dict[str, object]:
    told: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            told[key] = _without_none(value)
        elif isinstance(value, list | tuple):
            told[key] = [_without_none(one) if isinstance(one, dict) else one for one in value]
        elif value is not None:
            told[key] = value
    return told
