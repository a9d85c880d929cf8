"""A real cortex of child processes on free loopback ports, for system tests and benchmarks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import toml

from cortex.broker.ctl.client import NoAnswerError, ask
from cortex.protocol.kit.paths import Planes
from cortex.protocol.messages import Status, StatusQuery

READY_S = 60.0


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cortex(*arguments: str, threads: int = 1, **options: object) -> subprocess.Popen[bytes]:
    """Start the command line in a session of its own, away from the repository's root."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "cortex.deploy", *arguments],
        env=environment,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    )


class Processes:
    """Child processes by name that are ended together, and a patient look at what they log."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.threads = 1
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, name: str, role: str, config: Path, data: Path) -> subprocess.Popen[bytes]:
        """Start one role of the command line; it logs to NAME.log."""
        with (self.data / f"{name}.log").open("ab") as log:
            arguments = ("--config", str(config), "--data", str(data))
            self.processes[name] = cortex(role, *arguments, threads=self.threads, stdout=log, stderr=log)
        return self.processes[name]

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_until_known(self) -> None:
        """Until every worker knows the fleet, and what is not in it: a broker that has just begun is believed later.

        Each connection may meet another worker.
        """

        def is_known() -> bool:
            return all(httpx.get(f"{self.url}/v1/models/nowhere").status_code == 404 for _ in range(16))

        self.wait_for(is_known, 15, "some worker never knew the fleet")

    def wait_for(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Poll a condition until it holds; on failure show the logs."""
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"{what}\n{self.logs()}"
            time.sleep(0.02)

    def tree(self, role: str) -> list[int]:
        """The process ids of a role and all its descendants."""
        found = [self.processes[role].pid]
        for pid in found:
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            except OSError:
                continue
            found += [int(child) for child in children.split()]
        return found

    def logs(self) -> str:
        return "\n".join(f"── {p.name}\n{p.read_text()[-3000:]}" for p in sorted(self.data.glob("*.log")))


class Stack(Processes):
    """Broker, edge and one simulated neuron host; more roles can be started and any of them killed.

    A model is its name, or the whole of its entry in neuron.toml.
    """

    def __init__(
        self,
        data: Path,
        *,
        sim: dict[str, float] | None = None,
        gateway: dict[str, object] | None = None,
        models: tuple[str | dict[str, object], ...] = ("sim-model",),
        engine: str = "sim",
        threads: int = 1,
        neuron: bool = True,
    ) -> None:
        super().__init__(data)
        self.threads = threads
        self.port = free_port()
        self.metrics_port = free_port()
        self.planes = Planes.under(data)
        self.cortex_toml = data / "cortex.toml"
        self.neuron_toml = data / "neuron.toml"
        data.mkdir(parents=True, exist_ok=True)
        listen = {
            "listen": f"127.0.0.1:{self.port}",
            "metrics_listen": f"127.0.0.1:{self.metrics_port}",
            "workers": 1,
            "grace_s": 2,
        }
        self.cortex_toml.write_text(toml.dumps({"gateway": {**listen, **(gateway or {})}}))
        host = {"name": "host", "engine": engine, "threads": threads}
        source = "demo" if engine == "torch" else ""
        entries = [{"id": one, "source": source} if isinstance(one, str) else one for one in models]
        self.neuron_toml.write_text(toml.dumps({"neuron": host, "models": entries, "sim": sim or {}}))
        self._with_neuron = neuron

    def __enter__(self) -> Self:
        for role in ("broker", "exporter", "edge", *(("neuron",) if self._with_neuron else ())):
            self.start(role)
        try:
            self.wait_ready("/readyz" if self._with_neuron else "/livez")
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, role: str) -> subprocess.Popen[bytes]:
        config = self.neuron_toml if role == "neuron" else self.cortex_toml
        return self.run(role, role, config, self.data)

    def get(self, path: str, timeout: float = 2.0) -> tuple[int, bytes]:
        """One GET on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait_ready(self, path: str = "/readyz", seconds: float = READY_S) -> None:
        def is_ready() -> bool:
            try:
                return self.get(path)[0] == 200
            except OSError:
                return False

        self.wait_for(is_ready, seconds, f"{path} was never 200")

    def status(self) -> Status:
        report = ask(self.planes.ctl, StatusQuery())
        assert isinstance(report, Status)
        return report

    def try_status(self) -> Status | None:
        """The status, or None while no broker answers."""
        try:
            return self.status()
        except NoAnswerError:
            return None

    def cpu_s(self, role: str) -> float:
        """Processor time that a role's processes have used, as the scheduler measured it (not sampled by ticks)."""
        total = 0
        for pid in self.tree(role):
            for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                total += int(task.read_text().split()[0])
        return total / 1e9
