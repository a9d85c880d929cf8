"""The arguments of cortex-ctl. Flags that hold for every command may stand before or after it."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from cortex.protocol.keys import HIGHEST, LOWEST

COMMANDS: dict[str, str] = {
    "status": "nodes, devices, models, load",
    "top": "the same, redrawn each second until Ctrl-C",
    "models": "what can be asked for, where it is, how busy it is",
    "neurons": "devices: memory, models, load",
    "load": "load a model and wait for it",
    "unload": "unload a model once its running requests have ended",
    "pin": "keep a model where it is: it is never evicted",
    "unpin": "let a model be evicted again",
    "drain": "take nothing new on a node, and wait until nothing runs there",
    "resume": "put a drained node into service again",
    "explain": "what would become of a request for a model now, and why",
    "events": "what the broker decided, and why",
    "reload": "read models.toml again",
    "config": "the settings in force",
    "keys": "make, list and revoke API keys",
}
OF_KEYS = {
    "new": "make a key, and show it once",
    "list": "all keys, without their secrets",
    "revoke": "let a key open nothing any more",
}
LONGEST_LABEL = 128
OF_MODELS = ("load", "unload", "pin", "unpin")
OF_NODES = ("drain", "resume")


class Parser(argparse.ArgumentParser):
    """Names the nearest command when one is mistyped."""

    words: Iterable[str] = tuple(COMMANDS)

    def error(self, message: str) -> NoReturn:
        mistyped = re.search(r"invalid choice: '([^']*)'", message)
        if mistyped:
            close = difflib.get_close_matches(mistyped[1], self.words, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(self.words)}"
            message = f"there is no command {mistyped[1]!r}: {hint}"
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """Every command with its own flags."""
    root = Parser(
        prog="cortex-ctl",
        description="Ask and command a cortex broker.",
        epilog="Without --endpoint and --data, CORTEX_ENDPOINT or the cortex of this user is asked. "
        "Exit codes: 0 done, 1 refused or failed, 2 usage.",
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=metadata.version("cortex-mesh"))
    _everywhere(root)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        added = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
        )
        _everywhere(added, default=argparse.SUPPRESS)
        if name in {*OF_MODELS, "explain"}:
            added.add_argument("model", metavar="MODEL", help="its id or another name of it")
        if name in OF_MODELS:
            added.add_argument("--node", metavar="NODE[/DEVICE]", default="", help="only there")
        if name in OF_NODES:
            added.add_argument("node", metavar="NODE[/DEVICE]", help="such as beast or beast/cuda-0")
        if name in {*OF_MODELS, *OF_NODES}:
            added.add_argument(
                "--no-wait", action="store_true", help="return once the broker has accepted it"
            )
        if name == "events":
            added.add_argument(
                "--since", metavar="N", type=_natural, default=0, help="only those after number N"
            )
            added.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
        if name == "keys":
            added.words = tuple(OF_KEYS)
            _of_keys(added)
    return root


def _of_keys(keys: Parser) -> None:
    """What may be done with keys; each takes the flags that hold everywhere, and says which file it is about."""
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in OF_KEYS.items():
        added = actions.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
        )
        _everywhere(added, default=argparse.SUPPRESS)
        if name == "new":
            added.add_argument("name", metavar="NAME", type=_label, help="whose it is, or what for")
            added.add_argument(
                "--models",
                metavar="A,B*",
                type=_labels,
                default=(),
                help="ids or other names that it may use, * for anything (default: all)",
            )
            added.add_argument(
                "--priority",
                metavar="N",
                type=_priority,
                default=0,
                help=f"who waits is served by it, the highest first: {LOWEST} to {HIGHEST} (default: 0)",
            )
            added.add_argument(
                "--expires",
                metavar="30d|DATE",
                default="",
                help="such as 12h, 30d, 2027-01-31 (default: never)",
            )
        if name == "revoke":
            added.add_argument("id", metavar="ID", help="as keys list shows it")
        added.add_argument(
            "--file",
            metavar="FILE",
            default=None,
            help="the key file (default: the one that the gateway on this host reads)",
        )
        added.add_argument(
            "--config",
            metavar="FILE",
            type=Path,
            default=None,
            help="the gateway's cortex.toml, which may name it",
        )


def _label(text: str) -> str:
    if not 1 <= len(text) <= LONGEST_LABEL or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a name of 1 to {LONGEST_LABEL} printable characters"
        )
    return text


def _labels(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    return tuple(map(_label, names))


def _priority(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,3}", text) or not LOWEST <= int(text) <= HIGHEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {LOWEST} to {HIGHEST}")
    return int(text)


def _everywhere(to: argparse.ArgumentParser, *, default: object = None) -> None:
    to.add_argument(
        "--endpoint",
        metavar="EP",
        default=default,
        help="the broker's ctl endpoint: ipc:///path or tcp://HOST:PORT",
    )
    to.add_argument(
        "--data", metavar="DIR", type=Path, default=default, help="data directory of the cortex to ask"
    )
    to.add_argument(
        "--json", action="store_true", default=default or False, help="print JSON, stable, for scripts"
    )
    to.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=default,
        help="give up after so many seconds (default: 5 without an answer; a load takes as long as it takes)",
    )


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of an event, such as 17")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.001 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds between 0.001 and 86400")
    return seconds
