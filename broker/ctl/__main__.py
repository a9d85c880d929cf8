"""cortex-ctl: the command line. Exit codes: 0 done, 1 refused or failed (one line says why), 2 usage."""

from __future__ import annotations

import argparse
import os
import sys

from cortex.broker.ctl import commands, follow, keys, questions
from cortex.broker.ctl.arguments import parser
from cortex.broker.ctl.client import Client, NoAnswerError
from cortex.broker.ctl.output import Output
from cortex.protocol.codec import WireError
from cortex.protocol.faults import FaultError
from cortex.protocol.kit.paths import ctl_of, default_data_directory
from cortex.protocol.kit.settings import SettingsError
from cortex.protocol.kit.sockets import EndpointError
from cortex.protocol.messages import CommandFailed


def endpoint_of(options: argparse.Namespace) -> str:
    """--endpoint, --data, CORTEX_ENDPOINT, or else this user's own cortex."""
    if options.endpoint:
        return str(options.endpoint)
    if options.data is not None:
        return ctl_of(options.data)
    return os.environ.get("CORTEX_ENDPOINT") or ctl_of(default_data_directory())


def dispatch(options: argparse.Namespace, client: Client, output: Output) -> None:
    """Do what was asked for."""
    match options.command:
        case "status":
            questions.show_status(client, output)
        case "top":
            follow.top(client, output)
        case "models":
            questions.show_models(client, output)
        case "neurons":
            questions.show_neurons(client, output)
        case "explain":
            questions.show_explanation(client, output, options.model)
        case "config":
            questions.show_config(client, output)
        case "events" if options.follow:
            follow.follow_events(client, output, options.since)
        case "events":
            questions.show_events(client, output, options.since)
        case verb:
            command = commands.new_command(
                verb, model=getattr(options, "model", ""), node=getattr(options, "node", "")
            )
            wait = not getattr(options, "no_wait", False)
            commands.perform(client, output, command, wait=wait, timeout_s=options.timeout)


def main(arguments: list[str] | None = None, *, program: str = "cortex-ctl") -> int:
    """`program` is what complaints begin with."""
    options = parser().parse_args(arguments)
    output = Output(as_json=options.json, program=program)
    try:
        if options.command == "keys":  # a file: no broker is needed
            keys.run(options, output)
            return 0
        with Client(endpoint_of(options), timeout_s=options.timeout) as client:
            dispatch(options, client, output)
        return 0
    except FaultError as error:
        if output.as_json:
            output.json(CommandFailed(fault=error.fault))
        output.complain(commands.explain_fault(error.fault))
    except (commands.FailedError, EndpointError, NoAnswerError, SettingsError, WireError) as error:
        output.complain(str(error))
    except KeyboardInterrupt:
        output.complain("interrupted")
    except BrokenPipeError:  # whoever read has seen enough; nothing may be written any more, at exit neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a key file that this user may not write
        output.complain(f"{error.filename}: {error.strerror}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
