"""Models that sleep: all that a load would have to read and prepare is kept in the host's memory.

On a CPU that is the model as it stands. From another device its weights are copied into an arena, a piece at a time,
and the device has its memory back; waking moves them as a load would, with nothing to read and no text to prepare.
Knows no request; belongs to the device thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from cortex.neuron.config import ModelSettings
from cortex.neuron.discover import available_bytes
from cortex.neuron.engine.base import Slept, Unloaded
from cortex.neuron.engine.torch import files
from cortex.neuron.engine.torch.arena import Arena
from cortex.neuron.engine.torch.loader import Loaded
from cortex.neuron.engine.torch.moving import lay_down, taken

log = logging.getLogger("cortex.engine")

SPARE = 2**30
"""Bytes of the host's memory that are left to others."""


@dataclass(slots=True)
class Sleeper:
    """`arena` holds the weights where the device does not. `fingerprint` tells whether the files are still the same."""

    settings: ModelSettings
    loaded: Loaded
    fingerprint: files.Fingerprint
    arena: Arena | None = None
    pieces: Iterator[object] | None = None
    """What is still to be copied; None once it sleeps."""


class Sleeping:
    """Those of one device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sleepers: dict[str, Sleeper] = {}
        self._told: list[Slept | Unloaded] = []

    @property
    def is_busy(self) -> bool:
        """Whether somebody is still falling asleep, or there is something to tell."""
        return bool(self._told) or any(one.pieces is not None for one in self._sleepers.values())

    def lay(self, settings: ModelSettings, loaded: Loaded, fingerprint: files.Fingerprint) -> None:
        """Let a model that nobody uses fall asleep."""
        sleeper = Sleeper(settings, loaded, fingerprint)
        if self._device.type == "cpu":
            self._told.append(Slept(settings.id, loaded.bytes))
        elif available_bytes() < loaded.bytes + SPARE:
            loaded.grammars.close()
            self._told.append(Unloaded(settings.id))
            return
        else:
            sleeper.arena, sleeper.pieces = lay_down(loaded.model)
        self._sleepers[settings.id] = sleeper

    def advance(self, seconds: float) -> list[Slept | Unloaded]:
        """Copy for about so long, and at least one piece; answers who sleeps, or could not."""
        until = time.monotonic() + seconds
        for name, one in list(self._sleepers.items()):
            if one.pieces is None:
                continue
            try:
                if self._copied(one, until):
                    self._told.append(Slept(name, taken(one.loaded.model, one.arena)))
            except (OSError, RuntimeError) as error:
                log.warning("%s cannot sleep: %s", name, error)
                self.forget(name)
                self._told.append(Unloaded(name))
        told, self._told = self._told, []
        return told

    def _copied(self, sleeper: Sleeper, until: float) -> bool:
        """Copy until then; answers whether that was all."""
        for _ in sleeper.pieces or ():
            if time.monotonic() >= until:
                return False
        sleeper.pieces = None
        return True

    def take(self, settings: ModelSettings) -> Sleeper | None:
        """Wake a model, if it sleeps as it is wanted now; one that was read from other files is given up."""
        sleeper = self._sleepers.get(settings.id)
        if sleeper is None:
            return None
        is_same = wanted(sleeper.settings) == wanted(settings) and sleeper.fingerprint == files.fingerprint(
            settings
        )
        if not is_same:
            self.forget(settings.id)
            return None
        return self._sleepers.pop(settings.id)

    def forget(self, model: str) -> None:
        """Give up what it keeps."""
        sleeper = self._sleepers.pop(model, None)
        if sleeper is not None:
            sleeper.loaded.grammars.close()

    def close(self) -> None:
        for model in list(self._sleepers):
            self.forget(model)


def wanted(settings: ModelSettings) -> tuple[object, ...]:
    """What of its settings a model was read by."""
    return settings.source, settings.dtype, settings.context, settings.tool_calls, settings.repairs
