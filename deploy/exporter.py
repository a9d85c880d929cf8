"""The one process of a gateway that Prometheus scrapes.

Edge workers and the broker write prometheus-client's multiprocess files into one directory; this reads them at each
scrape, so that a slow scraper never holds up a request.
"""

from __future__ import annotations

import os
from pathlib import Path

from cortex.protocol.kit.signals import Stop
from cortex.protocol.kit.sockets import private_directory

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def directory(data: Path) -> Path:
    """Where a gateway's processes keep their figures; created if it is missing."""
    return private_directory(private_directory(data.absolute() / "run") / "metrics")


def clear(data: Path) -> None:
    """Forget the figures of an earlier run."""
    for path in directory(data).glob("*.db"):
        path.unlink(missing_ok=True)


def use(data: Path) -> None:
    """Make this process write its figures there; prometheus_client must not have been imported yet."""
    os.environ[VARIABLE] = str(directory(data))


def serve(host: str, port: int, data: Path, stop: Stop) -> None:
    """Serve /metrics until a stop is requested."""
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415  # see `use`
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory(data)))  # type: ignore[no-untyped-call]
    server, thread = start_http_server(port, addr=host, registry=registry)
    os.read(stop.fileno(), 1)
    server.shutdown()
    thread.join()
