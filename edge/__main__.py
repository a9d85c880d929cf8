"""`python -m cortex.edge --config FILE`: one gateway's HTTP side."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from cortex.edge.config import EdgeSettings
from cortex.edge.server import serve
from cortex.protocol.kit.settings import SettingsError, load
from cortex.protocol.kit.sockets import EndpointError


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 refused, 2 usage."""
    parser = argparse.ArgumentParser(prog="cortex edge", description="Serve HTTP in front of a broker.")
    parser.add_argument("--config", type=Path, help="TOML (or JSON) with the sections [gateway] and [broker]")
    parser.add_argument("--insecure-open", action="store_true", help="listen on more than the loopback")
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options.config)
        serve(settings.gateway, settings.edge_endpoints, insecure_open=options.insecure_open)
    except (SettingsError, EndpointError, RuntimeError) as error:
        print(f"cortex edge: {error}", file=sys.stderr)
        return 1
    return 0


def _settings(path: Path | None) -> EdgeSettings:
    if path is not None and path.suffix == ".json":
        try:
            return msgspec.json.decode(path.read_bytes(), type=EdgeSettings)
        except (OSError, msgspec.DecodeError) as error:
            raise SettingsError(f"{path}: {error}") from error
    ours = ("CORTEX_GATEWAY__", "CORTEX_BROKER__")
    environ = {name: value for name, value in os.environ.items() if name.startswith(ours)}
    return load(EdgeSettings, path, environ)


if __name__ == "__main__":
    sys.exit(main())
