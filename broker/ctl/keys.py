"""`cortex-ctl keys`: makes, lists and revokes API keys in their file. No broker is asked: the gateway reads the file itself."""

from __future__ import annotations

import argparse
import datetime as dt
import re
import secrets
import time
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from cortex.broker.ctl.keys_place import address_of, file_of
from cortex.broker.ctl.output import Output
from cortex.broker.ctl.render.keys import made, table
from cortex.protocol.keys import (
    ALPHABET,
    ID_LENGTH,
    SECRET_LENGTH,
    KeyEntry,
    KeyFile,
    digest_of,
    key_of,
    moment_of,
    seconds_of,
)
from cortex.protocol.kit import keyfile
from cortex.protocol.kit.settings import SettingsError

UNITS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
LAST_YEAR = 9999


class KeyShown(Struct, frozen=True, kw_only=True):
    """A key as it may be shown: without its digest."""

    id: str
    name: str
    models: tuple[str, ...]
    priority: int
    created: str
    expires: str
    state: str


class KeyMade(KeyShown, frozen=True, kw_only=True):
    """A new key, with what nobody can see a second time."""

    key: str
    file: str


class KeyRevoked(KeyShown, frozen=True, kw_only=True):
    """A key that opens nothing any more, and the file that says so."""

    file: str


class KeyList(Struct, frozen=True, kw_only=True):
    file: str
    keys: tuple[KeyShown, ...]


def run(options: argparse.Namespace, output: Output) -> None:
    """Do what was asked for. Raises `SettingsError`."""
    path, now = file_of(options), time.time()
    match options.action:
        case "new":
            new_key(output, path, _entry_of(options, now), now, address_of(options))
        case "list":
            list_keys(output, path, now)
        case _:
            revoke(output, path, options.id, now)


def _entry_of(options: argparse.Namespace, now: float) -> KeyEntry:
    """What the arguments say of a new key; its id and digest come later."""
    return KeyEntry(
        id="0000",
        name=options.name,
        digest="0" * 64,
        models=options.models,
        priority=options.priority,
        created=moment_of(now),
        expires=moment_of(expiry_of(options.expires, now)) if options.expires else "",
    )


def new_key(output: Output, path: Path, entry: KeyEntry, now: float, address: str) -> None:
    """Write it down and show it, once. `address` is where a client finds the gateway."""
    id_, secret = _drawn(ID_LENGTH), _drawn(SECRET_LENGTH)
    entry = structs.replace(entry, id=id_, digest=digest_of(secret))
    with keyfile.editing(path):
        known = keyfile.read(path) if path.exists() else KeyFile()
        keyfile.write(path, KeyFile(keys=(*known.keys, entry)))
    key = key_of(id_, secret)
    shown = KeyMade(**_shown(entry, now), key=key, file=str(path))
    namesakes = tuple(one.id for one in known.keys if one.name == entry.name and one.state(now) == "active")
    output.show(
        shown, made(entry, key, str(path), address=address, namesakes=namesakes, first=not known.keys)
    )


def list_keys(output: Output, path: Path, now: float) -> None:
    """All keys; a file that is not there has none."""
    known = keyfile.read(path) if path.exists() else KeyFile()
    shown = KeyList(file=str(path), keys=tuple(KeyShown(**_shown(entry, now)) for entry in known.keys))
    output.show(shown, table(known, str(path), now, there=path.exists()))


def revoke(output: Output, path: Path, id_: str, now: float) -> None:
    """It lets nobody in any more. Doing it twice is no mistake."""
    if not path.exists():
        keyfile.read(path)  # says so
    with keyfile.editing(path):
        known = keyfile.read(path)
        found = next((entry for entry in known.keys if entry.id == id_), None)
        if found is None:
            raise SettingsError(
                f"{path}: there is no key with the id {id_!r}; cortex-ctl keys list shows them all"
            )
        if not found.revoked:
            keyfile.write(path, known.revoked(id_))
    entry = structs.replace(found, revoked=True)
    if output.as_json:
        output.json(KeyRevoked(**_shown(entry, now), file=str(path)))
    output.line(
        f"{id_} ({entry.name}): revoked in {path}; a running gateway that reads it refuses the key within a second"
    )


def _shown(entry: KeyEntry, now: float) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "models": entry.models,
        "priority": entry.priority,
        "created": entry.created,
        "expires": entry.expires,
        "state": entry.state(now),
    }


def _drawn(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def expiry_of(text: str, now: float) -> float:
    """`30d`, `12h`, `4w`, a date or an RFC 3339 time, as seconds since the epoch. Raises `SettingsError`."""
    if found := re.fullmatch(r"([0-9]{1,6})([hdw])", text):
        moment = now + int(found[1]) * UNITS[found[2]]
    else:
        try:
            moment = seconds_of(f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text)
        except ValueError as error:
            raise SettingsError(
                f"--expires: {text!r} is neither a time from now such as 30d, 12h or 4w, nor a date such as 2027-01-31"
            ) from error
    if not now < moment < dt.datetime(LAST_YEAR, 12, 31, tzinfo=dt.UTC).timestamp():
        raise SettingsError(f"--expires: {text!r} has passed already, or is beyond the year {LAST_YEAR}")
    return moment
