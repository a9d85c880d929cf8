"""Reader processes: one per load, forked from a template that was forked itself before anything was computed.

So a reader has torch and transformers without importing them, its memory is gone with it, a model that brings it down
brings down nothing else, and one that is not wanted any more is ended at once. Linux and macOS fork; where a device has
been opened before, forking would be wrong, so the template comes first.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import threading
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import NoReturn

from cortex.neuron.engine.base import LoadFailed
from cortex.neuron.engine.torch.reading import Task, send_model

log = logging.getLogger("cortex.engine")

POLITENESS = 10
"""How nice a reader is to those who compute."""


class Readers:
    """Starts readers. `start` forks the template, and must come before the device is opened or anything computed."""

    def __init__(self) -> None:
        self._control: Connection | None = None

    def start(self) -> None:
        """Fork the template. It ends when this process does, or closes."""
        ours, theirs = Pipe()
        if os.fork() == 0:
            ours.close()
            _serve(theirs)
        theirs.close()
        self._control = ours

    def begin(self, task: Task) -> Connection:
        """Begin to read; what comes out of the connection is `cortex.neuron.engine.torch.reading.Told`, then its end.

        Closing one's own direction of it ends the reader. Raises OSError when the template is gone.
        """
        assert self._control is not None, "readers are started before they are used"
        ours, theirs = Pipe()
        with theirs:
            self._control.send(task)
            send_handle(self._control, theirs.fileno(), 0)
        return ours

    def close(self) -> None:
        """Let the template go; a reader that is at work ends as its connection does."""
        if self._control is not None:
            self._control.close()
            self._control = None


def end_reader(connection: Connection) -> None:
    """Nobody wants what a reader reads any more. What it said, and its end, can still be received."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_WR)


def _serve(control: Connection) -> NoReturn:
    """The template's life: a fork for each task, one after the other."""
    _forget_the_parent(control)
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = control.recv()
            with Connection(recv_handle(control)) as connection:
                reader = os.fork()
                if reader == 0:
                    _read(task, connection)
                _, status = os.waitpid(reader, 0)
                if os.WIFSIGNALED(status):
                    name = signal.Signals(os.WTERMSIG(status)).name
                    why = f"The process that read it was ended by {name}; is there too little memory?"
                    with contextlib.suppress(OSError):
                        connection.send(LoadFailed(task.settings.id, why))
    os._exit(0)


def _forget_the_parent(control: Connection) -> None:
    """Close what was inherited, above all sockets: a peer shall see them closed when their owner is gone."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    gc.freeze()
    os.closerange(3, control.fileno())
    os.closerange(control.fileno() + 1, os.sysconf("SC_OPEN_MAX"))


def _read(task: Task, connection: Connection) -> NoReturn:
    """A reader's life."""
    threading.Thread(target=_watch, args=(connection,), daemon=True).start()
    with contextlib.suppress(OSError):
        os.nice(POLITENESS)
    with contextlib.suppress(OSError):  # nobody listens any more
        send_model(task, connection)
    os._exit(0)


def _watch(connection: Connection) -> None:
    """Nothing is ever said to a reader: what can be read is the end."""
    connection.poll(None)
    os._exit(0)
