"""cortex: the command line. Exit codes: 0 done, 1 refused or failed (one line says why), 2 usage."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import msgspec

from cortex.broker.ctl import __main__ as ctl
from cortex.deploy import config, local, preflight, roles
from cortex.protocol.kit import keyfile
from cortex.protocol.kit.keyfile import MAKE_KEYS
from cortex.protocol.kit.paths import CORTEX_TOML, default_data_directory
from cortex.protocol.kit.process import die_with_parent
from cortex.protocol.kit.settings import SettingsError
from cortex.protocol.kit.sockets import EndpointError


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
            "--insecure-open", action="store_true", help="bind other addresses than loopback without keys"
        )
        added.add_argument("--parent", type=int, help=argparse.SUPPRESS)
        return added

    up = command("up", "Run everything on this machine with the bundled demo model.")
    up.add_argument("--http", metavar="HOST:PORT", help="where to serve (default: as configured)")
    up.add_argument(
        "--metrics", metavar="HOST:PORT", help="where Prometheus scrapes (default: as configured)"
    )
    command("serve", "Run the gateway: broker and edge.")
    command("broker", "Run a broker.")
    command("edge", "Run an edge: the HTTP API.")
    neuron = command("neuron", "Run this host's devices.")
    neuron.add_argument("--broker", help=argparse.SUPPRESS)  # where the launcher's own broker listens
    command("exporter", "", listed=False)
    status = commands.add_parser("status", help="Show nodes, devices, models and load.")
    status.add_argument("--endpoint", metavar="EP", help="the broker's ctl endpoint")
    status.add_argument("--data", type=Path, metavar="DIR", help="data directory of the cortex to ask")
    status.add_argument("--json", action="store_true", help="print JSON, stable, for scripts")
    return root


def up(options: argparse.Namespace) -> int:
    """Everything on one machine; the first run writes its settings, but only once nothing stands in its way."""
    data = options.data.absolute()
    cortex_toml = (options.config or data / CORTEX_TOML).absolute()
    neuron_toml = data / config.NEURON_TOML
    settings = config.load_cortex(cortex_toml if options.config or cortex_toml.exists() else None)
    config.load_neuron(neuron_toml if neuron_toml.exists() else None)
    config.profiles(settings, cortex_toml, data)
    plan = local.Plan(
        data=data,
        cortex_toml=cortex_toml,
        neuron_toml=neuron_toml,
        settings=settings,
        http=options.http or settings.gateway.listen,
        metrics=options.metrics or settings.gateway.metrics_listen,
        grace_s=local.UP_GRACE_S,
        insecure_open=options.insecure_open,
        with_neuron=True,
        log_to_files=True,
    )
    take(
        plan,
        "--http" if options.http else "gateway.listen",
        "--metrics" if options.metrics else "gateway.metrics_listen",
    )
    asked = msgspec.structs.replace(settings.gateway, listen=plan.http, metrics_listen=plan.metrics)
    written = config.write_first(data, asked, with_cortex_toml=not options.config)
    code = local.run(plan)
    if code:
        for path in written:
            path.unlink(missing_ok=True)
    return code


def serve(options: argparse.Namespace) -> int:
    """The gateway: broker and edge; neurons join over the network or from this machine."""
    settings = config.load_cortex(options.config)
    config.profiles(settings, options.config, options.data)
    plan = local.Plan(
        data=options.data.absolute(),
        cortex_toml=options.config.absolute() if options.config else None,
        neuron_toml=None,
        settings=settings,
        http=settings.gateway.listen,
        metrics=settings.gateway.metrics_listen,
        grace_s=settings.gateway.grace_s,
        insecure_open=options.insecure_open,
        with_neuron=False,
        log_to_files=False,
    )
    take(plan, "gateway.listen", "gateway.metrics_listen")
    return local.run(plan)


def take(plan: local.Plan, http_field: str, metrics_field: str) -> None:
    """Refuse what cannot or must not run before anything is touched, then claim the data directory."""
    keys = config.keys_at(plan.settings, plan.cortex_toml, plan.data)
    if keys.in_use:
        keyfile.read(keys.path)
    addresses = (
        preflight.Address(http_field, plan.http, protected=keys.in_use, remedy=MAKE_KEYS),
        preflight.Address(metrics_field, plan.metrics),
    )
    preflight.check(plan.data, addresses, insecure_open=plan.insecure_open)
    roles.claim(plan.data, preflight.LAUNCHER)


def status(options: argparse.Namespace) -> int:
    """The same as cortex-ctl status."""
    given = ["--endpoint", options.endpoint] if options.endpoint else []
    given += ["--data", str(options.data)] if options.data is not None else []
    return ctl.main(["status", *given, *(["--json"] if options.json else [])], program="cortex")


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "up": up,
    "serve": serve,
    "broker": roles.broker,
    "edge": roles.edge,
    "neuron": roles.neuron,
    "exporter": roles.metrics_exporter,
    "status": status,
}
UNLISTED = frozenset({"exporter"})
"""Started by the launcher, never by hand."""


def check_command(root: argparse.ArgumentParser, arguments: list[str]) -> None:
    """Exit with 2 on a word that is no command; argparse would list commands that are not for users."""
    given = next((argument for argument in arguments if not argument.startswith("-")), None)
    if given is None or given in COMMANDS:
        return
    listed = [name for name in COMMANDS if name not in UNLISTED]
    close = difflib.get_close_matches(given, listed, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    root.error(f"{given!r} is not a command; {hint}(commands: {', '.join(listed)})")


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    root = parser()
    check_command(root, arguments)
    options = root.parse_args(arguments)
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
