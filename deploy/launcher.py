"""Runs the roles of one machine as child processes: starts them, restarts what dies, stops them in order.

Each child has a session of its own, so that Ctrl-C reaches only the launcher, and dies with it. The order of stopping
is written down: the edge first (live streams get their last event), then the neuron, the broker, the exporter.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cortex.deploy.logfile import LogFile
from cortex.protocol.kit.process import Restarts, end, ending
from cortex.protocol.kit.signals import Stop

CHECK_S = 0.1


class ChildFailedError(Exception):
    """A role ended before everything was ready; the message holds the end of what it logged."""


@dataclass(slots=True)
class Role:
    """One child: its command line, where it logs (None: our standard error), how long it may take to stop."""

    name: str
    arguments: list[str]
    patience_s: float
    log: LogFile | None = None
    process: subprocess.Popen[bytes] | None = None
    restarts: Restarts = field(default_factory=Restarts)
    retry_at: float = 0.0


class Launcher:
    """Roles are started in the order given and stopped in the order of `stopping`."""

    def __init__(self, roles: list[Role], stopping: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._roles = {role.name: role for role in roles}
        self._stopping = stopping
        self._environment = {**os.environ, **environment}

    def start(self) -> None:
        now = time.monotonic()
        for role in self._roles.values():
            self._start(role, now)

    def _start(self, role: Role, now: float) -> None:
        command = [sys.executable, "-P", "-m", "cortex.deploy", *role.arguments, "--parent", str(os.getpid())]
        log = role.log.open() if role.log is not None else None
        try:
            role.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log or sys.stderr,
                stderr=log or sys.stderr,
                env=self._environment,
                start_new_session=True,
            )
        finally:
            if log is not None:
                log.close()
        role.restarts.started = now

    def wait_until(self, is_ready: Callable[[], bool], stop: Stop, deadline_s: float) -> bool:
        """Poll until ready; False if a stop was requested first. Raises `ChildFailedError`."""
        until = time.monotonic() + deadline_s
        while not is_ready():
            for role in self._roles.values():
                if role.process is not None and (code := role.process.poll()) is not None:
                    raise ChildFailedError(f"the {role.name} {ending(code)}{_end(role)}")
            self._tell_warnings()
            if time.monotonic() >= until:
                raise ChildFailedError(f"not ready after {deadline_s:.0f} s{self._ends()}")
            select.select([stop], [], [], CHECK_S)
            if stop.requested:
                return False
        return True

    def watch(self, stop: Stop) -> None:
        """Keep every role alive until a stop is requested; what they warn of is told here too."""
        while not stop.requested:
            now = time.monotonic()
            for role in self._roles.values():
                self._revive(role, now)
            self._tell_warnings()
            select.select([stop], [], [], CHECK_S)

    def _tell_warnings(self) -> None:
        for role in self._roles.values():
            for line in role.log.warnings() if role.log is not None else ():
                print(f"cortex: {line}", file=sys.stderr, flush=True)

    def _revive(self, role: Role, now: float) -> None:
        if role.process is None:
            if now >= role.retry_at:
                self._start(role, now)
        elif (code := role.process.poll()) is not None:
            role.process = None
            pause = role.restarts.pause(code, now)
            role.retry_at = now + pause
            print(f"cortex: the {role.name} {ending(code)}; again in {pause:.1f} s", file=sys.stderr)

    def stop(self) -> None:
        """End every child, in the written order."""
        for name in self._stopping:
            role = self._roles.get(name)
            if role is not None and role.process is not None:
                end(role.process, role.patience_s)
                role.process = None

    def _ends(self) -> str:
        return "".join(map(_end, self._roles.values()))


def _end(role: Role) -> str:
    return role.log.end() if role.log is not None else ""
