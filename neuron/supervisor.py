"""One per host, without sockets: starts a process per device and restarts what dies, but not for ever.

A device that keeps dying is tried again with growing pauses; one that has lived for a while is forgiven. Exit code 75
means that the device's context was poisoned: a fresh process is the cure, at once.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import msgspec

from cortex.neuron.config import NeuronSettings
from cortex.neuron.discover import cpu, devices
from cortex.neuron.ledger import asleep_budget_of
from cortex.protocol.kit.process import Restarts, end, ending
from cortex.protocol.kit.signals import Stop
from cortex.protocol.values import Device

log = logging.getLogger("cortex.neuron")

PATIENCE_S = 2.0
CHECK_S = 0.1
SPINS = "1000"
"""Turns for which a thread of libgomp, torch's on Linux, waits awake for its team: microseconds."""


@dataclass(slots=True)
class Child:
    """The process of one device; `retry_at` while there is none."""

    device: Device
    restarts: Restarts
    process: subprocess.Popen[bytes] | None = None
    retry_at: float = 0.0


class Supervisor:
    """Keeps one process per device alive until told to stop."""

    def __init__(self, settings: NeuronSettings, stop: Stop) -> None:
        self._settings = settings
        self._stop = stop
        planned = planned_devices(settings)
        self._children = [Child(device, Restarts()) for device in planned]
        self._asleep_bytes = asleep_bytes(settings, len(planned))

    def run(self) -> None:
        """Watch until the stop is requested, then end every child."""
        names = ", ".join(f"{child.device.kind}-{child.device.index}" for child in self._children)
        host = self._settings.neuron
        log.info("%s starts %s for %s", host.name, names or "no device", ", ".join(host.brokers))
        try:
            while not self._stop.requested:
                now = time.monotonic()
                for child in self._children:
                    self._watch(child, now)
                select.select([self._stop], [], [], CHECK_S)
        finally:
            processes = [child.process for child in self._children if child.process is not None]
            for process in processes:
                process.terminate()
            # For all of them together: who is frozen takes no signal but the last.
            until = time.monotonic() + PATIENCE_S
            for process in processes:
                end(process, max(0.0, until - time.monotonic()))

    def _watch(self, child: Child, now: float) -> None:
        if child.process is None:
            if now >= child.retry_at:
                child.process = self._start(child.device)
                child.restarts.started = now
            return
        code = child.process.poll()
        if code is None:
            return
        child.process = None
        pause = child.restarts.pause(code, now)
        child.retry_at = now + pause
        log.warning("%s-%d %s; again in %.1f s", child.device.kind, child.device.index, ending(code), pause)

    def _start(self, device: Device) -> subprocess.Popen[bytes]:
        spec = {
            "settings": self._settings,
            "device": device,
            "asleep_bytes": self._asleep_bytes,
            "parent": os.getpid(),
        }
        environment = dict(os.environ)
        # A thread of a team that spins for the others keeps them from the core that it spins on; a short spin is enough.
        if "OMP_WAIT_POLICY" not in environment:
            environment.setdefault("GOMP_SPINCOUNT", SPINS)
        if device.kind == "cuda":  # NVML counts cards in the order of their bus, CUDA does so only when told
            environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
            environment["CUDA_VISIBLE_DEVICES"] = str(device.index)
        with (
            tempfile.TemporaryFile() as told
        ):  # an argument has at most 128 kB, and a pipe must be waited for
            told.write(msgspec.json.encode(spec))
            told.seek(0)
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "cortex.neuron.device"],
                env=environment,
                start_new_session=True,
                stdin=told,
            )


def planned_devices(settings: NeuronSettings) -> tuple[Device, ...]:
    """The devices to serve: the script's for the simulated engine, the host's otherwise."""
    if settings.neuron.engine != "sim":
        return devices()
    sim = settings.sim
    return tuple(
        Device(kind="sim", index=index, name="simulated", memory_bytes=sim.memory_bytes)
        for index in range(sim.devices)
    )


def asleep_bytes(settings: NeuronSettings, devices: int) -> int:
    """Of the host's memory, for the sleeping models of each device. A simulated one has no host of its own."""
    host = settings.neuron
    memory = 0 if host.engine == "sim" else cpu().memory_bytes
    return asleep_budget_of(memory, devices, host.asleep_mb)
