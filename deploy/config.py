"""The whole of cortex.toml, put together from the sections that its readers define, and the first one written."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import toml
from msgspec import Struct

from cortex.broker.config import BrokerSettings, EvictionSettings, ExpectedNeuron, QueueSettings
from cortex.broker.profiles import Source
from cortex.broker.view import Policy
from cortex.deploy.first_models import FIRST_MODELS
from cortex.edge.config import Gateway
from cortex.neuron.config import ModelSettings, NeuronSettings
from cortex.protocol.kit import keyfile
from cortex.protocol.kit import settings as settings_kit
from cortex.protocol.kit.keyfile import KeysAt
from cortex.protocol.kit.paths import CORTEX_TOML, Planes

NEURON_TOML = "neuron.toml"
MODELS_TOML = "models.toml"


class CortexSettings(Struct, frozen=True, kw_only=True):
    """cortex.toml. `models_config` names models.toml, relative to this file; without it, the one beside this file."""

    gateway: Gateway = Gateway()
    broker: BrokerSettings = BrokerSettings()
    eviction: EvictionSettings = EvictionSettings()
    queue: QueueSettings = QueueSettings()
    neurons: tuple[ExpectedNeuron, ...] = ()
    models_config: str = ""


def load_cortex(path: Path | None) -> CortexSettings:
    """Read cortex.toml (None: defaults) and the environment."""
    return load_cortex_told(path)[0]


def load_cortex_told(path: Path | None) -> tuple[CortexSettings, settings_kit.Origins]:
    """The same, and where each value came from."""
    return settings_kit.load_told(CortexSettings, path, os.environ)


def load_neuron(path: Path | None) -> NeuronSettings:
    """Read neuron.toml (None: the demo model) and the environment."""
    settings = settings_kit.load(NeuronSettings, path, os.environ, prefix="NEURON_")
    if path is None:
        return msgspec.structs.replace(settings, models=(ModelSettings(id="cortex-demo", source="demo"),))
    return settings


def profiles(settings: CortexSettings, cortex_toml: Path | None, data: Path) -> Source:
    """models.toml: the one that cortex.toml names, which must be there, else the one beside it, or in `data`.

    Raises `SettingsError` if it is wrong.
    """
    beside = (cortex_toml.parent if cortex_toml is not None else data).absolute()
    named = Path(settings.models_config).expanduser()
    if not settings.models_config:
        return Source(beside / MODELS_TOML)
    try:
        return Source(beside / named, required=True)
    except settings_kit.SettingsError as error:
        if (beside / named).exists():
            raise
        raise settings_kit.SettingsError(f"{error}; models_config of {cortex_toml} names it") from error


def keys_at(settings: CortexSettings, cortex_toml: Path | None, data: Path) -> KeysAt:
    """Where these settings have the API keys."""
    return keyfile.keys_at(settings.gateway.keys, cortex_toml, data)


def policy(settings: CortexSettings) -> Policy:
    """What the settings say about decisions."""
    return Policy(
        strategy=settings.eviction.strategy,
        defrag_after_cycles=settings.eviction.defrag_after_cycles,
        turn_s=settings.queue.turn_s,
        max_waiting=settings.queue.max_waiting,
        per_principal=settings.queue.per_principal,
        kept_bytes=settings.broker.responses_mb * 1024 * 1024,
    )


def planes(configured: BrokerSettings, data: Path) -> Planes:
    """Where the broker's planes are: as configured, else in the data directory's runtime directory."""
    local = Planes.under(data)
    return Planes(
        configured.edge or local.edge, configured.neuron or local.neuron, configured.ctl or local.ctl
    )


def edge_endpoints(configured: CortexSettings, data: Path) -> tuple[str, ...]:
    """The brokers that an edge speaks to: those that are listed, else the one of this data directory."""
    return configured.gateway.brokers or (planes(configured.broker, data).edge,)


def write_first(data: Path, gateway: Gateway, *, with_cortex_toml: bool = True) -> list[Path]:
    """Write the files that `cortex up` starts from, unless they are there; answers which it wrote.

    They show the addresses that this first start was asked for, so that the next one needs no flags.
    """
    data.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    defaults = EvictionSettings()
    if with_cortex_toml:
        written += _write(
            data / CORTEX_TOML,
            "The gateway's settings; `cortex up` wrote them once and reads them from now on.",
            {
                "gateway": {"listen": gateway.listen, "metrics_listen": gateway.metrics_listen},
                "eviction": {
                    "strategy": defaults.strategy,
                    "defrag_after_cycles": defaults.defrag_after_cycles,
                },
            },
        )
    written += _write(
        data / NEURON_TOML,
        "What this host serves. A source is a directory in Hugging Face layout, or the bundled demo.",
        {"models": [{"id": "cortex-demo", "source": "demo"}]},
    )
    models = data / MODELS_TOML
    if not models.exists():
        models.write_text(FIRST_MODELS, encoding="utf-8")
        written.append(models)
    return written


def _write(path: Path, heading: str, content: dict[str, object]) -> list[Path]:
    if path.exists():
        return []
    path.write_text(f"# {heading}\n\n{toml.dumps(content)}", encoding="utf-8")
    return [path]
