"""cortex-ctl: the command line. Exit codes: 0 done, 1 refused or failed (one line says why), 2 usage."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import metadata
from pathlib import Path

import msgspec
from rich.console import Console

from cortex.broker.ctl import render
from cortex.broker.ctl.client import NoAnswerError, ask
from cortex.protocol.faults import FaultError
from cortex.protocol.kit.paths import Planes, default_data_directory
from cortex.protocol.kit.sockets import EndpointError
from cortex.protocol.messages import Status, StatusQuery


def parser() -> argparse.ArgumentParser:
    """The arguments of cortex-ctl; the endpoint is that of a local `cortex up` or `cortex serve`."""
    root = argparse.ArgumentParser(prog="cortex-ctl", description="Ask and command a cortex broker.")
    root.add_argument("--version", action="version", version=metadata.version("cortex-mesh"))
    root.add_argument("--endpoint", metavar="EP", help="the broker's ctl endpoint, ipc://… or tcp://…")
    root.add_argument("--data", type=Path, metavar="DIR", help="data directory of the cortex to ask")
    root.add_argument("--json", action="store_true", help="print JSON, stable, for scripts")
    verbs = root.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    verbs.add_parser("status", help="nodes, devices, models, load").add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, stable, for scripts"
    )
    return root


def endpoint_of(given: str | None, data: Path | None = None) -> str:
    """The endpoint named, that of the data directory named, the one in CORTEX_ENDPOINT, or the local default."""
    if given is None and data is not None:
        return Planes.under(data).ctl
    return given or os.environ.get("CORTEX_ENDPOINT") or Planes.under(default_data_directory()).ctl


def show_status(endpoint: str, *, as_json: bool) -> int:
    """Print the fleet's state."""
    report = ask(endpoint, StatusQuery())
    if not isinstance(report, Status):
        raise NoAnswerError(f"{endpoint}: answered with {type(report).__name__}")
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        Console(soft_wrap=True).print(render.status(report))
    return 0


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return show_status(endpoint_of(options.endpoint, options.data), as_json=options.json)
    except (NoAnswerError, FaultError, EndpointError) as error:
        print(f"cortex-ctl: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
