"""A real fleet: any number of brokers in a mesh, one edge, simulated neuron hosts of any size, each a process."""

from __future__ import annotations

from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import toml
from stack import Processes, free_port

from cortex.broker.ctl.client import NoAnswerError, ask
from cortex.protocol.kit.paths import Planes
from cortex.protocol.messages import Models, ModelsQuery, Status, StatusQuery

MIB = 2**20


class Fleet(Processes):
    """`hosts` maps each neuron host's name to its [sim] section; `models` are the tables of models.toml."""

    def __init__(
        self,
        data: Path,
        *,
        brokers: int = 1,
        hosts: dict[str, dict[str, Any]],
        models: list[dict[str, Any]],
        settings: dict[str, Any] | None = None,
        gateway: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data)
        self.port, self.metrics_port = free_port(), free_port()
        self.homes = [data / f"b{number}" for number in range(brokers)]
        peers = [f"ipc://{home}/run/peer.sock" for home in self.homes]
        planes = [Planes.under(home) for home in self.homes]
        for number, home in enumerate(self.homes):
            home.mkdir(parents=True)
            listen = {
                "listen": f"127.0.0.1:{self.port}",
                "metrics_listen": f"127.0.0.1:{self.metrics_port}",
                "workers": 1,
                "grace_s": 2,
                "brokers": [one.edge for one in planes],
            }
            broker = {"name": f"broker-{number}", "peer": peers[number], "peers": peers}
            sections = {"gateway": {**listen, **(gateway or {})}, "broker": broker, **(settings or {})}
            self._write(home / "cortex.toml", sections)
            self._write(home / "models.toml", {"models": models})
        for name, sim in hosts.items():
            host = {"name": name, "engine": "sim", "brokers": [one.neuron for one in planes]}
            self._write(data / f"{name}.toml", {"models": [], "neuron": host, "sim": sim})
        self._hosts = tuple(hosts)

    @staticmethod
    def _write(path: Path, content: dict[str, Any]) -> None:
        path.write_text(toml.dumps(content))

    def __enter__(self) -> Self:
        for number, home in enumerate(self.homes):
            self.run(f"broker-{number}", "broker", home / "cortex.toml", home)
        self.run("exporter", "exporter", self.homes[0] / "cortex.toml", self.homes[0])
        self.run("edge", "edge", self.homes[0] / "cortex.toml", self.homes[0])
        for name in self._hosts:
            self.run(name, "neuron", self.data / f"{name}.toml", self.homes[0])
        try:
            self.wait_for(self._is_whole, 60, "the fleet never came together")
        except BaseException:
            self.stop()
            raise
        return self

    def _is_whole(self) -> bool:
        reports = [self.try_status(number) for number in range(len(self.homes))]
        return self._serves_http() and all(
            report is not None
            and {n.node for n in report.neurons if n.state == "ready"} >= set(self._hosts)
            and sum(broker.state != "gone" for broker in report.brokers) == len(self.homes)
            for report in reports
        )

    def _serves_http(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/v1/models")
            return b'"id"' in connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()

    def status(self, broker: int = 0) -> Status:
        report = ask(Planes.under(self.homes[broker]).ctl, StatusQuery())
        assert isinstance(report, Status)
        return report

    def try_status(self, broker: int = 0) -> Status | None:
        try:
            return self.status(broker)
        except NoAnswerError:
            return None

    def owners(self, broker: int = 0) -> dict[str, str]:
        """Who owns each model, as one broker sees it."""
        report = ask(Planes.under(self.homes[broker]).ctl, ModelsQuery())
        assert isinstance(report, Models)
        return {model.entry.id: model.owner for model in report.models}

    def metrics(self) -> str:
        connection = HTTPConnection("127.0.0.1", self.metrics_port, timeout=5)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()
