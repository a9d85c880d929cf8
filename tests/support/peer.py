"""`transformers serve` in an environment of its own, which `make bench-engine` makes: whom the engine is measured against."""

from __future__ import annotations

import os
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

from figures import BUILD
from stack import free_port

COMMAND = BUILD / "peer" / "bin" / "transformers"
BLOCKS = 128
"""Of 256 positions, far more than the measured requests fill."""
READY_S = 180.0


class Peer:
    """Continuous batching, one model, loaded before it is ready. `dtype` auto is what the model's files say."""

    def __init__(self, model: Path, logs: Path, *, dtype: str, threads: int, batch_tokens: int = 256) -> None:
        assert COMMAND.exists(), "the peer is missing: make bench-engine installs it"
        self.port = free_port()
        self.model = str(model)
        self._log = logs / f"peer-{dtype}.log"
        self._threads = threads
        flags = {
            "device": "cpu",
            "dtype": dtype,
            "cb-num-blocks": str(BLOCKS),
            "cb-max-batch-tokens": str(batch_tokens),
            "port": str(self.port),
        }
        self._command = [str(COMMAND), "serve", self.model, "--continuous-batching"]
        self._command += [part for name, value in flags.items() for part in (f"--{name}", value)]

    def __enter__(self) -> Self:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self._threads), "HF_HUB_OFFLINE": "1"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + READY_S
        while not self._is_healthy():
            alive = self._process.poll() is None and time.monotonic() < until
            assert alive, self._log.read_text()[-3000:]
            time.sleep(0.1)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
