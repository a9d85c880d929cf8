"""What a reader process does: read a model's files, try it out, and lay it into memory that the device process shares.

It talks through one connection, and ends when its other end is closed: nobody wants the model any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle

import torch

from cortex.neuron.config import ModelSettings
from cortex.neuron.discover import available_bytes
from cortex.neuron.engine.base import LoadAdvanced, LoadFailed
from cortex.neuron.engine.torch import arena, files
from cortex.neuron.engine.torch.complaints import require_texts, sentence, without_id
from cortex.neuron.engine.torch.loader import Facts, read
from cortex.neuron.engine.torch.norms import fuse
from cortex.protocol.faults import FaultError

PIECE = 2**23
"""Bytes that are read, and of which is told, at a time."""
READ = 50
"""Percent of a load that reading the files is."""


@dataclass(frozen=True, slots=True)
class Task:
    """A model to read for a device of this kind. `rate`: MiB a second that may come from the disk; 0 is no limit."""

    settings: ModelSettings
    device: str
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Laid:
    """Where everything of a model is going to lie. The memory's file descriptor follows."""

    parcel: arena.Parcel
    facts: Facts


@dataclass(frozen=True, slots=True)
class Filled:
    """Everything up to this byte of the memory is there."""

    end: int


Told = LoadAdvanced | Laid | Filled | LoadFailed


def send_model(task: Task, connection: Connection) -> None:
    """Read a model and send it; whatever goes wrong is told as a `LoadFailed`."""
    try:
        _send(task, connection)
    except FaultError as error:
        connection.send(LoadFailed(task.settings.id, without_id(task.settings.id, error.fault.message)))
    except Exception as error:  # modules that cannot be pickled, memory that is not there
        connection.send(LoadFailed(task.settings.id, sentence(error)))


def _send(task: Task, connection: Connection) -> None:
    settings = task.settings
    require_texts(files.directory(settings))
    _fetch(settings, task.rate, connection.send)
    model, facts = read(settings, torch.device(task.device), connection.send)
    if facts.plain is None:  # who computes in ways of its own may want its norms as they are
        fuse(model)
    parcel, tensors = arena.pack(model)
    memory = arena.Arena.create(parcel.bytes)
    connection.send(Laid(parcel, facts))
    send_handle(connection, memory.descriptor, 0)
    told = 0

    def tell(end: int) -> None:
        nonlocal told
        if end >= told + PIECE:
            told = end
            connection.send(Filled(end))

    arena.fill(memory, parcel, tensors, tell)
    connection.send(Filled(parcel.bytes))


def _fetch(settings: ModelSettings, rate: float, tell: Callable[[LoadAdvanced], None]) -> None:
    """Read the weights once from beginning to end, so that they lie in the system's cache when they are wanted.

    A disk is fastest that way, and only here can be told how far it is.
    """
    paths = files.weights(files.directory(settings))
    total = sum(path.stat().st_size for path in paths)
    tell(LoadAdvanced(settings.id, 0, detail="reading the weights"))
    if total > available_bytes():
        return
    buffer = memoryview(bytearray(PIECE))
    done, percent, began = 0, 0, time.monotonic()
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                done += count
                if (now := READ * done // total) > percent:
                    percent = now
                    tell(LoadAdvanced(settings.id, percent, detail="reading the weights"))
                if rate:
                    time.sleep(max(0.0, began + done / (rate * 2**20) - time.monotonic()))
