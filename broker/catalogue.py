"""models.toml: which models there are, what each needs, and how dear it is to lose one. Values only.

A profile tells what a model needs wherever it is placed; what really is where, and what really fits, only the neurons
know. Reading the file, and reading it again while everything runs, is the business of `cortex.broker.profiles`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from cortex.protocol.messages import Cost, Names
from cortex.protocol.request import Sampling
from cortex.protocol.values import Name

MIB = 1024 * 1024
PRIORITY = 100
"""Of a model whose profile names none, and of one that no profile describes."""

Positive = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]


class Replicas(Struct, frozen=True, kw_only=True):
    """How many copies are kept hot at least, and how many there may be when a queue is long and memory is free."""

    min: Natural = 0
    max: Positive = 1


class Limit(Struct, frozen=True, kw_only=True):
    """Tokens; 0: as the model's own configuration says."""

    context: Natural = 0
    output: Natural = 0


class Profile(Struct, frozen=True, kw_only=True):
    """[[models]] one model.

    `vram_mb` is the whole footprint in MiB: weights, keys and values, working memory; over `min_devices` devices of one
    host it is shared evenly. `min_device_vram_mb` is a floor that each of them must have in total. `affinity` names the
    hosts, or devices as HOST/KIND-INDEX, that may hold it; empty: any. `pinned` keeps it: once placed it is never
    evicted, and it is placed without being asked for. Durations are in seconds: `ttl` of idleness after which it is
    unloaded (0: never), `min_residency` for which it stays whatever is wanted, `load_deadline` for one load.
    `tool_calls` names the family of formats in which it writes calls, where its chat template does not tell rightly;
    with `repairs = false` calls that are almost right are left as they came.
    """

    id: Name
    engine: str = ""
    source: str = ""
    quantization: str = ""
    vram_mb: Natural = 0
    min_devices: Annotated[int, Meta(ge=1, le=64)] = 1
    min_device_vram_mb: Natural = 0
    affinity: tuple[str, ...] = ()
    pinned: bool = False
    priority: int = PRIORITY
    ttl: Seconds = 0.0
    min_residency: Seconds = 10.0
    load_deadline: Annotated[float, Meta(gt=0)] = 600.0
    replicas: Replicas = Replicas()
    slots: Natural = 0
    limit: Limit = Limit()
    capabilities: tuple[str, ...] = ()
    cost: Cost | None = None
    sampling: Sampling = Sampling()
    aliases: tuple[str, ...] = ()
    tool_calls: str = ""
    repairs: bool | None = None

    @property
    def footprint_bytes(self) -> int:
        """What to reserve on each of its devices; 0 where the profile does not tell."""
        return -(-self.vram_mb * MIB // self.min_devices)


class Catalogue(Struct, frozen=True, kw_only=True):
    """The whole of models.toml."""

    models: tuple[Profile, ...] = ()
    aliases: dict[str, str] = {}
    """Name or pattern with `*` → id."""
    small_model: str = ""
    """What an unknown name stands for that means "some small, quick model", such as claude-haiku-4-5 or gpt-5-mini."""

    def find(self, model: str) -> Profile:
        """The profile of an id; one with the defaults where none is written."""
        return self.by_id().get(model) or Profile(id=model)

    def by_id(self) -> dict[str, Profile]:
        return {profile.id: profile for profile in self.models}

    def digest(self) -> bytes:
        """Eight bytes that are the same for catalogues that say the same."""
        return blake2b(msgspec.json.encode(self), digest_size=8).digest()

    @property
    def names(self) -> Names:
        """All other names, as the edges need them."""
        aliases = dict(self.aliases)
        for profile in self.models:
            aliases.update(dict.fromkeys(profile.aliases, profile.id))
        return Names(aliases=aliases, small=self.small_model)
