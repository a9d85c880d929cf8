"""One process each: broker, edge, neuron, exporter. Started by hand on a host of its own, or by the launcher."""

from __future__ import annotations

import argparse
import fcntl
import os
import time
from pathlib import Path

import msgspec

from cortex.broker.config import BrokerSettings
from cortex.deploy import config, exporter
from cortex.deploy.in_force import InForce
from cortex.protocol.kit import log as logs
from cortex.protocol.kit.paths import note_ctl, note_keys
from cortex.protocol.kit.signals import Stop
from cortex.protocol.kit.sockets import EndpointError, new_context, private_directory


def lock_of(data: Path, role: str) -> Path:
    """The file that a running role keeps locked."""
    return data / "run" / f"{role}.lock"


def claim(data: Path, role: str = "broker") -> int:
    """Take the data directory for this process's life: a second broker would steal the first one's sockets."""
    private_directory(data / "run")
    handle = os.open(lock_of(data, role), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise EndpointError(
            f"{data}: another cortex runs here; stop it, or choose another --data DIR"
        ) from error
    return handle


def broker(options: argparse.Namespace) -> int:
    """Bind the planes and decide until told to stop."""
    settings, origins = config.load_cortex_told(options.config)
    log = logs.set_up("broker")
    data = options.data.absolute()
    claim(data)
    exporter.use(data)
    from prometheus_client import CollectorRegistry  # noqa: PLC0415  # reads its directory when imported

    from cortex.broker.app import BrokerApp  # noqa: PLC0415
    from cortex.broker.core import Broker  # noqa: PLC0415
    from cortex.broker.metrics import BrokerMetrics  # noqa: PLC0415
    from cortex.broker.sources import Endpoints  # noqa: PLC0415

    planes = config.planes(settings.broker, data)
    profiles = config.profiles(settings, options.config, data)
    profiles.announce()
    stop = Stop().install()
    context = new_context()
    for expected in settings.neurons:
        if expected.endpoint:
            log.info("neurons join by themselves: the endpoint of %s is not used", expected.name)
    core = Broker(
        settings.broker.name,
        time.monotonic(),
        epoch=os.urandom(4).hex(),
        policy=config.policy(settings),
        catalogue=profiles.catalogue,
    )
    app = BrokerApp(
        context,
        core,
        Endpoints(planes.edge, planes.neuron, planes.ctl, settings.broker.peer, settings.broker.peers),
        stop,
        source=InForce(profiles, settings, origins, options.config),
        expected=tuple(neuron.name for neuron in settings.neurons),
        metrics=BrokerMetrics(CollectorRegistry()),
        insecure_open=options.insecure_open,
    )
    note_ctl(data, planes.ctl)
    log.info("serving on %s, %s, %s", planes.edge, planes.neuron, planes.ctl)
    app.run()
    context.destroy(linger=0)
    return 0


def edge(options: argparse.Namespace) -> int:
    """Serve HTTP under gunicorn until told to stop."""
    settings = config.load_cortex(options.config)
    log = logs.set_up("edge")
    data = options.data.absolute()
    exporter.use(data)
    from cortex.edge import server  # noqa: PLC0415  # imports metrics
    from cortex.edge.keyring import Keyring  # noqa: PLC0415

    keys = config.keys_at(settings, options.config, data)
    note_keys(data, keys.path)
    try:
        server.serve(
            settings.gateway,
            config.edge_endpoints(settings, data),
            keyring=Keyring(keys.path, required=keys.required),
            insecure_open=options.insecure_open,
        )
    except server.UntestedGunicornError as error:
        log.error("%s", error)
        return 1
    return 0


def neuron(options: argparse.Namespace) -> int:
    """Supervise this host's devices."""
    from cortex.neuron.supervisor import Supervisor  # noqa: PLC0415  # needs the neuron extra

    settings = config.load_neuron(options.config)
    logs.set_up("neuron")
    if not settings.neuron.brokers:
        local = options.broker or config.planes(BrokerSettings(), options.data).neuron
        host = msgspec.structs.replace(settings.neuron, brokers=(local,))
        settings = msgspec.structs.replace(settings, neuron=host)
    Supervisor(settings, Stop().install()).run()
    return 0


def metrics_exporter(options: argparse.Namespace) -> int:
    """Serve the gateway's figures to Prometheus."""
    settings = config.load_cortex(options.config)
    log = logs.set_up("exporter")
    host, _, port = settings.gateway.metrics_listen.rpartition(":")
    try:
        exporter.serve(host.strip("[]"), int(port), options.data, Stop().install())
    except OSError as error:
        log.error("metrics: cannot listen on %s: %s", settings.gateway.metrics_listen, error.strerror)
        return 1
    return 0
