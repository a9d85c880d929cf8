"""Loads that do not keep the device thread waiting: one after the other, on a thread of their own.

What the device thread sees is a mailbox: begin, abandon, poll. Whatever stands behind it may be replaced.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import torch

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadAdvanced, LoadFailed, Unloaded
from cortex.neuron.engine.torch.loader import Loaded, load
from cortex.protocol.faults import FaultError

log = logging.getLogger("cortex.engine")


@dataclass(frozen=True, slots=True)
class Complete:
    """A model that is ready to be served, on its way to the device thread."""

    model: str
    settings: ModelSettings
    loaded: Loaded
    load_ms: int


Event = LoadAdvanced | LoadFailed | Complete | Unloaded


class Loader:
    """Belongs to the device thread. Transformers changes global state while it loads, so one load runs at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._waiting: deque[ModelSettings] = deque()
        self._current: str | None = None
        self._abandoned = False
        self._mail: SimpleQueue[LoadAdvanced | LoadFailed | Complete] = SimpleQueue()
        self._gone: list[Event] = []
        """Loads that were given up before they began."""

    @property
    def is_busy(self) -> bool:
        """Whether `poll` may have something to tell, now or later."""
        return self._current is not None or bool(self._gone)

    @property
    def has_news(self) -> bool:
        """Whether `poll` has something to tell now."""
        return bool(self._gone) or not self._mail.empty()

    def begin(self, settings: ModelSettings) -> None:
        """Load a model as soon as those before it are done."""
        self._waiting.append(settings)
        self._next()

    def abandon(self, model: str) -> None:
        """Give a load up. One that runs cannot be interrupted: it ends unseen, and `Unloaded` tells when."""
        if model == self._current:
            self._abandoned = True
            return
        self._waiting = deque(settings for settings in self._waiting if settings.id != model)
        self._gone.append(Unloaded(model))

    def poll(self) -> list[Event]:
        """What happened since the last call, in order."""
        events, self._gone = self._gone, []
        while True:
            try:
                event = self._mail.get_nowait()
            except Empty:
                return events
            if isinstance(event, LoadAdvanced):
                if not self._abandoned:
                    events.append(event)
                continue
            # What was loaded for nothing is let go of here, with the last reference to it.
            events.append(Unloaded(event.model) if self._abandoned else event)
            self._current, self._abandoned = None, False
            self._next()

    def _next(self) -> None:
        if self._current is None and self._waiting:
            settings = self._waiting.popleft()
            self._current = settings.id
            self._start(settings)

    def _start(self, settings: ModelSettings) -> None:
        threading.Thread(target=self._load, args=(settings,), name="loader", daemon=True).start()

    def _load(self, settings: ModelSettings) -> None:
        """On the loader thread: everything it has to say goes through the mailbox."""
        began = time.monotonic()
        try:
            loaded = load(settings, self._device, self._mail.put)
        except FaultError as error:
            log.error("cannot load %s: %s", settings.id, error)
            self._mail.put(LoadFailed(settings.id, error.fault.message))
            return
        took = round(1000 * (time.monotonic() - began))
        self._mail.put(Complete(settings.id, settings, loaded, took))
