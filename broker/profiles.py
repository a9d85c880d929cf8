"""Reads models.toml: a text becomes a catalogue or one error that names file, line, key and remedy; never half of it.

`Source` is the file itself, read again while everything runs: as long as it is wrong, the last good catalogue holds.
The keys of the Rust cortex's models.toml are taken where they mean the same. What must hold between keys is
`profile_rules`' business; it does not know what neurons hold, nor whether a host that is named exists.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from cortex.broker import profile_rules
from cortex.broker.catalogue import Catalogue, Profile
from cortex.protocol.kit.settings import Document, Origins, SettingsError, read_text
from cortex.protocol.kit.toml_lines import Path as TomlPath

log = logging.getLogger("cortex.broker")

LOOK_S = 1.0
"""How often the file is looked at, at most."""


class Written(Profile, frozen=True, kw_only=True):
    """A profile as it may be written: with the names that the Rust cortex has for some keys."""

    harness: str | None = None
    quant: str | None = None
    pinned_on: tuple[str, ...] | None = None
    residency_priority: int | None = None


class ModelsFile(Struct, frozen=True, kw_only=True):
    """The whole of models.toml, as it is written."""

    models: tuple[Written, ...] = ()
    aliases: dict[str, str] = {}
    small_model: str = ""


def read(text: str, where: str, note: Callable[[str], None] = lambda _text: None) -> Catalogue:
    """Read the text of models.toml, called `where` in errors. Raises `SettingsError`.

    `note` hears of what is accepted though it is written for another program.
    """
    document = Document(text, where)
    profile_rules.check_shape(document)
    written = document.read(ModelsFile)
    profiles = tuple(_profile(document, index, model, note) for index, model in enumerate(written.models))
    profile_rules.check_profiles(document, profiles)
    small = profile_rules.check_names(document, profiles, written.aliases, written.small_model)
    return Catalogue(models=profiles, aliases=written.aliases, small_model=small)


def _profile(document: Document, index: int, model: Written, note: Callable[[str], None]) -> Profile:
    """The profile that is meant, under our own names."""
    values = {name: getattr(model, name) for name in Profile.__struct_fields__}
    profile_rules.check_old_names(document, index)
    if model.harness is not None:
        values["engine"] = "" if model.harness == profile_rules.CANDLE else model.harness
        if model.harness == profile_rules.CANDLE:
            place = document.error(("models", index, "harness"), "candle stands for the default engine here")
            note(str(place))
    if model.quant is not None:
        values["quantization"] = model.quant
    if model.residency_priority is not None:
        values["priority"] = model.residency_priority
    if model.pinned_on is not None:
        values["affinity"] = model.pinned_on
        values["pinned"] = bool(model.pinned_on)
    return Profile(**values)


class Source:
    """models.toml on disk. `catalogue` is the last good one.

    Raises `SettingsError` if the file is wrong from the start, or missing although it is `required`.
    """

    def __init__(self, path: Path, *, required: bool = False) -> None:
        self.path = path.absolute()
        self.catalogue = Catalogue()
        self._written: Mapping[str, Any] = {}
        """The tables that the catalogue was made of."""
        self._mark = _mark(self.path)
        self._look_at = 0.0
        if (self._mark is not None or required) and (wrong := self.reload()) is not None:
            raise SettingsError(wrong)

    def __repr__(self) -> str:
        return f"<Source {self.path}: {len(self.catalogue.models)} models>"

    def announce(self) -> None:
        """Log what was found, once: loudly if there is no file, for then much of what an operator expects is missing."""
        if self._mark is not None:
            log.info("%s describes %d model(s)", self.path, len(self.catalogue.models))
            return
        log.warning(
            "%s: no such file: no model is described. Neurons serve what they hold themselves, under its id alone; there "
            "are no aliases, and nothing is loaded on demand. Write the file: it will be read within a second",
            self.path,
        )

    def reload(self) -> str | None:
        """Read it again, all or nothing: the error if it is wrong, and then the old catalogue stays."""
        self._mark = _mark(self.path)  # before reading: what is written meanwhile is a change
        try:
            text = read_text(self.path)
            self.catalogue = read(text, str(self.path), log.info)
            self._written = Document(text, str(self.path)).data
        except SettingsError as error:
            return str(error)
        return None

    def origin(self, path: TomlPath) -> str:
        """Whether a value of the catalogue is the "file"'s, under whatever name for it, or a "default"."""
        return Origins(self._written, {}).of(profile_rules.as_written(self._written, path))

    def changed(self, now: float) -> bool:
        """Whether the file is another one than was read last; looks at most once a second."""
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_S
        return _mark(self.path) != self._mark


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What tells two versions of a file apart."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
