"""Which devices has this host? NVIDIA's management library tells; without a GPU, the CPU is the one device."""

from __future__ import annotations

import os
import platform

import pynvml

from cortex.protocol.values import Device


def devices() -> tuple[Device, ...]:
    """Every GPU, or the CPU as a single device."""
    return gpus() or (cpu(),)


def gpus() -> tuple[Device, ...]:
    """NVML's list; empty where there is no driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_gpu(index) for index in range(pynvml.nvmlDeviceGetCount()))
    finally:
        pynvml.nvmlShutdown()


def _gpu(index: int) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    name = pynvml.nvmlDeviceGetName(handle)
    return Device(
        kind="cuda",
        index=index,
        name=name if isinstance(name, str) else name.decode(),
        memory_bytes=int(memory.total),
        free_bytes=int(memory.free),
    )


def available_bytes() -> int:
    """Memory of this host that a process could still be given; caches count as free where the kernel says so."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123  (read every half second)
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def cpu() -> Device:
    """The processor and its memory."""
    return Device(
        kind="cpu",
        name=platform.processor() or platform.machine(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        free_bytes=available_bytes(),
    )
