"""Loads that do not keep the device thread waiting: a reader process reads, the device thread takes what it has laid.

What the device thread sees is a mailbox: begin, abandon, poll. Weights come through shared memory and are taken in
pieces, between the steps of models that are speaking. A thread follows the reader's words, and another prepares the
text side of a model. One load runs at a time, the others wait.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from queue import Empty, SimpleQueue
from typing import Any

import torch

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadAdvanced, LoadFailed, Unloaded
from cortex.neuron.engine.torch.arena import Arena, unpack
from cortex.neuron.engine.torch.complaints import sentence, without_id
from cortex.neuron.engine.torch.loader import Facts, Loaded, complete, try_out
from cortex.neuron.engine.torch.moving import settle, taken
from cortex.neuron.engine.torch.readers import end_reader
from cortex.neuron.engine.torch.reading import Filled, Laid, Task
from cortex.neuron.engine.torch.sleeping import Sleeper
from cortex.protocol.faults import FaultError

log = logging.getLogger("cortex.engine")

LAID = 60
TAKEN = 95
"""Percent of a load at which its weights have been laid into shared memory, and taken."""


@dataclass(frozen=True, slots=True)
class Complete:
    """A model that is ready to be served, on its way to the device thread."""

    model: str
    settings: ModelSettings
    loaded: Loaded
    load_ms: int
    woke: bool = False
    """Whether it had slept."""


Event = LoadAdvanced | LoadFailed | Complete | Unloaded
Begin = Callable[[Task], Connection]


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A model whose tensors lie in shared memory, filled in or not."""

    model: Any
    arena: Arena
    facts: Facts


class _Ended:
    """The reader is gone."""


_Mail = LoadAdvanced | LoadFailed | Filled | _Arrived | Loaded | _Ended


class Loader:
    """Belongs to the device thread; `begin` starts a reader. Transformers changes global state, so one model is read at a
    time; who wakes waits for nobody.
    """

    def __init__(self, device: torch.device, begin: Begin, rate: float = 0.0) -> None:
        self._device = device
        self._begin = begin
        self._rate = rate
        self._waiting: deque[ModelSettings] = deque()
        self._reading = ""
        self._loads: dict[str, _Load] = {}
        self._told: list[Event] = []
        """What is to be told of loads that never began."""
        self.broken: OSError | None = None
        """Why no reader can be started any more: only a fresh process can load."""

    @property
    def is_busy(self) -> bool:
        """Whether `poll` may have something to tell, now or later."""
        return bool(self._loads or self._told)

    @property
    def has_news(self) -> bool:
        """Whether `poll` has something to do now."""
        return bool(self._told) or any(load.has_news for load in self._loads.values())

    def begin(self, settings: ModelSettings) -> None:
        """Load a model as soon as those before it are done."""
        self._waiting.append(settings)
        self._next()

    def wake(self, sleeper: Sleeper) -> None:
        """Bring a model that sleeps to its device."""
        self._loads[sleeper.settings.id] = _Load.of(sleeper, self._device)

    def abandon(self, model: str) -> None:
        """Give a load up; `Unloaded` tells when nothing is left of it."""
        if model in self._loads:
            self._loads[model].abandon()
            return
        self._waiting = deque(settings for settings in self._waiting if settings.id != model)
        self._told.append(Unloaded(model))

    def poll(self, seconds: float) -> list[Event]:
        """What happened since the last call, in order; takes weights for about so long, and at least one piece."""
        events, self._told = self._told, []
        for model, load in list(self._loads.items()):
            events += load.advance(time.monotonic() + seconds)
            if (outcome := load.outcome()) is not None:
                del self._loads[model]
                events.append(outcome)
                if model == self._reading:
                    self._reading = ""
                    self._next()
        return events

    def close(self) -> None:
        """Give everything up, without waiting for it."""
        self._waiting.clear()
        for load in self._loads.values():
            load.abandon()

    def _next(self) -> None:
        while not self._reading and self._waiting:
            settings = self._waiting.popleft()
            try:
                connection = self._begin(Task(settings, self._device.type, self._rate))
            except OSError as error:
                self.broken = error
                self._told.append(
                    LoadFailed(settings.id, f"No process could be started to read it: {error}.")
                )
            else:
                self._reading = settings.id
                load = self._loads[settings.id] = _Load(settings, self._device)
                load.follow(connection)


class _Load:
    """One load under way, as the device thread sees it."""

    def __init__(self, settings: ModelSettings, device: torch.device) -> None:
        self.settings = settings
        self._device = device
        self._connection: Connection | None = None
        self._mail: SimpleQueue[_Mail] = SimpleQueue()
        self._began = time.monotonic()
        self._unwanted: LoadFailed | Unloaded | None = None
        """What there will be to tell once nothing is left of it."""
        self._busy = 0
        """Threads at work on it."""
        self._arena: Arena | None = None
        self._loaded: Loaded | None = None
        self._pieces: Iterator[int] | None = None
        self._needs = self._filled = self._percent = 0

    @classmethod
    def of(cls, sleeper: Sleeper, device: torch.device) -> _Load:
        """Of a model that needs nothing but to be moved, if that."""
        load = cls(sleeper.settings, device)
        load._loaded = sleeper.loaded
        if sleeper.arena is not None:
            load._arrive(sleeper.loaded.model, sleeper.arena, sleeper.loaded)
            load._filled = sleeper.arena.size
        return load

    def follow(self, connection: Connection) -> None:
        """Take what a reader reads."""
        self._connection = connection
        self._start(self._follow, connection)

    @property
    def has_news(self) -> bool:
        can_take = self._pieces is not None and self._needs <= self._filled
        return can_take or not self._mail.empty() or self._is_over

    @property
    def _is_over(self) -> bool:
        if self._unwanted is not None:
            return not self._busy
        return self._pieces is None and self._loaded is not None

    def abandon(self) -> None:
        self._drop(Unloaded(self.settings.id))

    def advance(self, until: float) -> list[Event]:
        """Hear what there is to hear, and take what is there."""
        told: list[Event] = []
        while True:
            try:
                heard = self._mail.get_nowait()
            except Empty:
                break
            if not isinstance(heard, LoadAdvanced):
                self._hear(heard)
            elif self._unwanted is None:
                told.append(heard)
        percent = self._percent
        try:
            self._take(until)
        except Exception as error:  # the device has no room for it, or torch no kernel
            log.exception("%s could not be taken over", self.settings.id)
            self._drop(LoadFailed(self.settings.id, sentence(error)))
        if self._percent > percent and self._arena is not None:
            held = self._arena.resident
            told.append(LoadAdvanced(self.settings.id, self._percent, held, "taking the weights"))
        return told

    def _hear(self, heard: _Mail) -> None:
        match heard:
            case LoadFailed():
                self._drop(heard)
            case Filled():
                self._filled = heard.end
            case _Arrived() if self._unwanted is None:
                self._arrive(heard.model, heard.arena, heard.facts)
                self._start(self._write_text, heard)
            case Loaded():
                self._busy -= 1
                self._loaded = heard
                if self._unwanted is not None:
                    self._drop(self._unwanted)
            case _Ended():
                self._busy -= 1
                if self._arena is None or self._filled < self._arena.size:
                    self._drop(LoadFailed(self.settings.id, "The process that read it ended without a word."))

    def _arrive(self, model: Any, arena: Arena, known: Facts | Loaded) -> None:
        self._arena = arena
        self._pieces = settle(model, arena, known.dtype, self._device, packs=known.plain is None)

    def _take(self, until: float) -> None:
        while self._pieces is not None and self._needs <= self._filled:
            assert self._arena is not None
            try:
                self._needs = next(self._pieces)
            except StopIteration:
                self._pieces = None
                return
            share = min(self._needs, self._filled) / max(1, self._arena.size)
            self._percent = max(self._percent, LAID + int((TAKEN - LAID) * share))
            if time.monotonic() >= until:
                return

    def outcome(self) -> Event | None:
        """How it ended, once it has."""
        if not self._is_over:
            return None
        if self._unwanted is not None:
            if self._connection is not None:
                self._connection.close()
            return self._unwanted
        assert self._loaded is not None
        woke = self._connection is None
        try:
            if not woke:
                with torch.inference_mode():
                    try_out(self._loaded)
        except Exception as error:
            log.exception("%s does not run on this device", self.settings.id)
            self._drop(LoadFailed(self.settings.id, sentence(error)))
            return None
        took = max(1, round(1000 * (time.monotonic() - self._began)))
        return Complete(self.settings.id, self.settings, self._measured(self._loaded), took, woke)

    def _measured(self, loaded: Loaded) -> Loaded:
        """With the bytes that it takes of its device."""
        if self._device.type != "cpu":
            return dataclasses.replace(loaded, bytes=taken(loaded.model, None))
        return (
            loaded
            if self._arena is None
            else dataclasses.replace(loaded, bytes=taken(loaded.model, self._arena))
        )

    def _drop(self, why: LoadFailed | Unloaded) -> None:
        """It ends without a model: the first reason counts, but for whoever gives it up."""
        if isinstance(why, LoadFailed) and self._unwanted is None:
            log.warning("cannot load %s: %s", self.settings.id, why.detail)
        if self._unwanted is None or isinstance(why, Unloaded):
            self._unwanted = why
        if self._loaded is not None:
            self._loaded.grammars.close()
        self._arena = self._loaded = self._pieces = None
        if self._connection is not None:
            end_reader(self._connection)

    # ── on threads of their own ──────────────────────────────────────────────────────────────────────────────────

    def _start(self, target: Callable[[Any], None], given: object) -> None:
        self._busy += 1
        threading.Thread(target=target, args=(given,), name="loader", daemon=True).start()

    def _follow(self, connection: Connection) -> None:
        """Pass on what the reader says, to its end."""
        try:
            while True:
                told = connection.recv()
                if isinstance(told, Laid):
                    arena = Arena(recv_handle(connection), told.parcel.bytes)
                    told = _Arrived(unpack(told.parcel, arena), arena, told.facts)
                    del arena
                self._mail.put(told)
                del told
        except (EOFError, OSError):
            pass
        except Exception as error:  # modules that cannot be unpickled
            log.exception("%s could not be taken over", self.settings.id)
            self._mail.put(LoadFailed(self.settings.id, sentence(error)))
        self._mail.put(_Ended())

    def _write_text(self, arrived: _Arrived) -> None:
        """The tokenizer and all that hangs on it: seconds, for a large vocabulary."""
        try:
            self._mail.put(complete(self.settings, arrived.facts, arrived.model, self._device, 0))
        except FaultError as error:
            self._mail.put(LoadFailed(self.settings.id, without_id(self.settings.id, error.fault.message)))
            self._mail.put(_Ended())
