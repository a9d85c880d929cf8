"""cortex: the command line. Exit codes: 0 done, 1 refused or failed (one line says why), 2 usage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from cortex.broker.ctl import __main__ as ctl
from cortex.deploy import config, local, roles
from cortex.protocol.kit.paths import default_data_directory
from cortex.protocol.kit.process import die_with_parent
from cortex.protocol.kit.settings import SettingsError
from cortex.protocol.kit.sockets import EndpointError, check_host


def parser() -> argparse.ArgumentParser:
    """Arguments of every command."""
    root = argparse.ArgumentParser(prog="cortex", description="One API in front of a fleet of GPU hosts.")
    root.add_argument("--version", action="version", version=metadata.version("cortex-mesh"))
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, *, listed: bool = True) -> argparse.ArgumentParser:
        added = (
            commands.add_parser(name, help=text, description=text) if listed else commands.add_parser(name)
        )
        added.add_argument("--config", type=Path, metavar="FILE", help="settings file")
        added.add_argument(
            "--data",
            type=Path,
            metavar="DIR",
            default=default_data_directory(),
            help="sockets, logs, settings",
        )
        added.add_argument(
            "--insecure-open", action="store_true", help="bind other addresses than loopback, without keys"
        )
        added.add_argument("--parent", type=int, help=argparse.SUPPRESS)
        return added

    up = command("up", "Run everything on this machine with the bundled demo model.")
    up.add_argument("--http", metavar="HOST:PORT", help="where to serve (default: as configured)")
    command("serve", "Run the gateway: broker and edge.")
    command("broker", "Run a broker.")
    command("edge", "Run an edge: the HTTP API.")
    command("neuron", "Run this host's devices.")
    command("exporter", "", listed=False)
    status = commands.add_parser("status", help="Show nodes, devices, models and load.")
    status.add_argument("--endpoint", metavar="EP", help="the broker's ctl endpoint")
    status.add_argument("--data", type=Path, metavar="DIR", help="data directory of the cortex to ask")
    status.add_argument("--json", action="store_true", help="print JSON, stable, for scripts")
    return root


def up(options: argparse.Namespace) -> int:
    """Everything on one machine; the first run writes its settings."""
    data = options.data.absolute()
    cortex_toml, neuron_toml = config.write_first(data)
    cortex_toml = options.config or cortex_toml
    settings = config.load_cortex(cortex_toml)
    config.load_neuron(neuron_toml)
    plan = local.Plan(
        data=data,
        cortex_toml=cortex_toml.absolute(),
        neuron_toml=neuron_toml,
        settings=settings,
        http=options.http or settings.gateway.listen,
        grace_s=local.UP_GRACE_S,
        insecure_open=options.insecure_open,
        with_neuron=True,
        log_to_files=True,
    )
    return start(plan)


def serve(options: argparse.Namespace) -> int:
    """The gateway: broker and edge; neurons join over the network or from this machine."""
    settings = config.load_cortex(options.config)
    plan = local.Plan(
        data=options.data.absolute(),
        cortex_toml=options.config.absolute() if options.config else None,
        neuron_toml=None,
        settings=settings,
        http=settings.gateway.listen,
        grace_s=settings.gateway.grace_s,
        insecure_open=options.insecure_open,
        with_neuron=False,
        log_to_files=False,
    )
    return start(plan)


def start(plan: local.Plan) -> int:
    """Refuse what must not be bound before anything runs, then run."""
    for address, what in (
        (plan.http, "gateway.listen"),
        (plan.settings.gateway.metrics_listen, "gateway.metrics_listen"),
    ):
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise EndpointError(f"{what}: {address!r} is not HOST:PORT")
        check_host(host, what=what, insecure_open=plan.insecure_open)
    return local.run(plan)


def status(options: argparse.Namespace) -> int:
    """The same as cortex-ctl status."""
    given = ["--endpoint", options.endpoint] if options.endpoint else []
    given += ["--data", str(options.data)] if options.data is not None else []
    return ctl.main(["status", *given, *(["--json"] if options.json else [])])


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "up": up,
    "serve": serve,
    "broker": roles.broker,
    "edge": roles.edge,
    "neuron": roles.neuron,
    "exporter": roles.metrics_exporter,
    "status": status,
}


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if getattr(options, "parent", None) is not None:
        die_with_parent(options.parent)
    try:
        return COMMANDS[options.command](options)
    except (SettingsError, EndpointError, OSError) as error:
        print(f"cortex: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
