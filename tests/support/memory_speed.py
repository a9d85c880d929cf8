"""How fast this machine reads memory now: the floor under every decode step, for each reads all weights once."""

from __future__ import annotations

import time

import torch

BYTES = 2**30
"""More than any cache holds."""


class MemoryReader:
    """Keeps one large buffer; `bytes_per_s` reads it once, with torch's threads, on whichever device it is.

    Of the ways to read with torch (sums, maxima, copies) multiplying by one vector was the fastest, and like decoding.
    """

    def __init__(self, device: str = "cpu", size: int = BYTES) -> None:
        self._numbers = torch.ones(size // 4096, 1024, dtype=torch.float32, device=device)
        self._vector = torch.ones(1024, device=device)

    def bytes_per_s(self) -> float:
        # Starting one read on a GPU takes a while itself: the next ones are under way by then.
        reads = 10 if self._numbers.is_cuda else 1
        self._wait()
        began = time.perf_counter()
        for _ in range(reads):
            self._numbers.mv(self._vector)
        self._wait()
        return reads * self._numbers.nbytes / (time.perf_counter() - began)

    def best(self, times: int = 5) -> float:
        return max(self.bytes_per_s() for _ in range(times))

    def _wait(self) -> None:
        if self._numbers.is_cuda:
            torch.cuda.synchronize()
