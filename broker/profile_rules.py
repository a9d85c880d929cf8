"""What must hold between the keys of models.toml. Each broken rule is one error: where, what, and what to do.

Types and single values are checked before, by the types themselves. It knows no file, only a document.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from cortex.broker.catalogue import Profile
from cortex.protocol.kit.settings import Document
from cortex.protocol.kit.toml_lines import Path as TomlPath
from cortex.protocol.toolcalls import KNOWN

CANDLE = "candle"
ENGINES = ("torch", "sim")
OLD_NAMES = {
    "harness": ("engine",),
    "quant": ("quantization",),
    "pinned_on": ("affinity", "pinned"),
    "residency_priority": ("priority",),
}
"""Key of the Rust cortex → what it is called here."""
DEFAULTS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "max_tokens",
)
"""What a profile may say about sampling; the rest is each request's own."""
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "repetition_penalty": (0, 10),
}
"""What a client may ask for; a profile may not give every silent request more."""
LONGEST_NAME = 128

_DEVICE = re.compile(r"(?P<host>[^/\s]+)/(?:cpu|cuda|sim)-\d+")
_LIKE_A_DEVICE = re.compile(
    r"(?P<host>[^/\s:]+)[/:]+(?:(?P<kind>[a-z]+)[-_:/]?)?(?P<index>\d+)", re.IGNORECASE
)
_ID = re.compile(r"[^\s*\x00-\x1f\x7f]+")


def check_shape(document: Document) -> None:
    """What the types would say less clearly."""
    models = document.data.get("models")
    if isinstance(models, dict):
        raise document.error(("models",), "is one table; write [[models]] with two brackets for each model")
    for index, model in enumerate(models if isinstance(models, list) else ()):
        for key in ("context", "output") if isinstance(model, dict) else ():
            if key in model:
                raise document.error(
                    ("models", index, key), f"unknown key; did you mean limit = {{ {key} = {model[key]} }}?"
                )
        sampling = model.get("sampling") if isinstance(model, dict) else None
        for key in sampling if isinstance(sampling, dict) else ():
            if key in ("n", "seed", "stop", "min_tokens", "ignore_eos", "logprobs"):
                raise document.error(
                    ("models", index, "sampling", key),
                    f"belongs to each request; defaults can be given for {', '.join(DEFAULTS)}",
                )
    aliases = document.data.get("aliases")
    for name, target in aliases.items() if isinstance(aliases, dict) else ():
        if not isinstance(target, str):
            raise document.error(("aliases", name), 'must be the id of a model: "name" = "id"')


def check_old_names(document: Document, index: int) -> None:
    """A key may be there under one name only."""
    written = document.data["models"][index]
    for old, names in OLD_NAMES.items():
        for new in names:
            if old in written and new in written:
                raise document.error(
                    ("models", index, old),
                    f"is what {' and '.join(names)} replaced, and {new} is given too; keep {new}",
                )


def check_profiles(document: Document, profiles: tuple[Profile, ...]) -> None:
    """The rules for each model by itself."""
    for index, profile in enumerate(profiles):
        wrong = _wrong_with(profile)
        if wrong is not None:
            key, message = wrong
            raise document.error(_path(document, index, key), message)


def _path(document: Document, index: int, key: str) -> TomlPath:
    """Where a key is written; it may go deeper: limit.output."""
    steps = (int(step) if step.isdecimal() else step for step in key.split("."))
    return as_written(document.data, ("models", index, *steps))


def as_written(data: Mapping[str, Any], path: TomlPath) -> TomlPath:
    """The path of a key of a profile, under its old name if that was used."""
    match path:
        case ("models", int(index), str(first), *rest):
            written: Mapping[str, Any] = data["models"][index]
            for old, names in OLD_NAMES.items():
                if first in names and first not in written and old in written:
                    return ("models", index, old, *rest)
    return path


def _wrong_with(profile: Profile) -> tuple[str, str] | None:
    """The first broken rule: key and message."""
    share = -(-profile.vram_mb // profile.min_devices)
    limit = profile.limit
    if not _ID.fullmatch(profile.id):
        return "id", "must have no spaces and no `*`"
    if profile.engine and profile.engine not in ENGINES:
        close = difflib.get_close_matches(profile.engine, ENGINES, n=1)
        hint = f"write {close[0]}" if close else f"write {' or '.join(ENGINES)}"
        return "engine", f"{profile.engine!r} is no engine; {hint}, or leave it out for the neuron's own"
    if profile.tool_calls and profile.tool_calls not in KNOWN:
        close = difflib.get_close_matches(profile.tool_calls, KNOWN, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(KNOWN)}"
        return "tool_calls", f"{profile.tool_calls!r} is no family of tool calls; {hint}"
    if profile.replicas.min > profile.replicas.max:
        return "replicas.min", f"is {profile.replicas.min}, more than replicas.max, {profile.replicas.max}"
    if profile.min_devices > 1 and not profile.vram_mb:
        return "min_devices", "needs vram_mb, the whole footprint, which the devices share evenly"
    if share and 0 < profile.min_device_vram_mb < share:
        return (
            "min_device_vram_mb",
            f"is {profile.min_device_vram_mb}, less than a device's share of vram_mb, {share}; leave it out, or raise it",
        )
    for key, (low, high) in RANGES.items():
        value = getattr(profile.sampling, key)
        if value is not None and not low <= value <= high:
            return f"sampling.{key}", f"is {value:g}; requests take {low:g} to {high:g}"
    if profile.sampling.max_tokens == 0:
        return (
            "sampling.max_tokens",
            "is 0, which leaves no room for an answer; write 1 or more, or leave it out",
        )
    if profile.pinned and profile.ttl:
        return "ttl", "unloads a model that is pinned to stay; leave out ttl or pinned"
    if limit.context and limit.output > limit.context:
        return "limit.output", f"is {limit.output}, more than limit.context, {limit.context}"
    for index, host in enumerate(profile.affinity):
        if (message := _wrong_with_host(host, profile.affinity[:index])) is not None:
            return f"affinity.{index}", message
    return _too_few_devices(profile)


def _wrong_with_host(host: str, before: tuple[str, ...]) -> str | None:
    """What is wrong with an entry of `affinity`: HOST, or HOST/KIND-INDEX."""
    if host in before:
        return f"{host!r} is named twice"
    if "://" in host:
        return f"{host!r} is an address; name the host as its neuron does"
    if _DEVICE.fullmatch(host) or re.fullmatch(r"[^/\s:]+", host):
        return None
    like = _LIKE_A_DEVICE.fullmatch(host)
    if like is None:
        return f"{host!r} is neither a host such as beast nor a device such as beast/cuda-0"
    kind = (like["kind"] or "cuda").lower()
    kind = kind if kind in ("cpu", "sim") else "cuda"
    return f"{host!r} is no device; did you mean {like['host']}/{kind}-{like['index']}?"


def _too_few_devices(profile: Profile) -> tuple[str, str] | None:
    devices = [_DEVICE.fullmatch(entry) for entry in profile.affinity]
    if profile.min_devices == 1 or not devices or None in devices:
        return None
    most = max(Counter(device["host"] for device in devices if device is not None).values())
    if most >= profile.min_devices:
        return None
    return "affinity", f"names {most} devices of one host at most; min_devices is {profile.min_devices}"


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_names(
    document: Document, profiles: tuple[Profile, ...], aliases: Mapping[str, str], small: str
) -> str:
    """Every name means one model that is described; answers the id that `small_model` stands for."""
    ids: dict[str, int] = {}
    for index, profile in enumerate(profiles):
        if profile.id in ids:
            first = document.line_of(("models", ids[profile.id]))
            raise document.error(
                ("models", index, "id"),
                f"{profile.id!r} is described already, on line {first}; keep one of them",
            )
        ids[profile.id] = index
    written: list[tuple[TomlPath, str, str]] = [
        (("models", index, "aliases", at), name, profile.id)
        for index, profile in enumerate(profiles)
        for at, name in enumerate(profile.aliases)
    ]
    written += [(("aliases", name), name, target) for name, target in aliases.items()]
    meaning: dict[str, str] = {}
    for path, name, target in written:
        wrong = _wrong_with_alias(name, target, ids, meaning)
        if wrong is None and target not in ids:
            wrong = _wrong_target(target, ids, {name: target for _, name, target in written})
        if wrong is not None:
            raise document.error(path, wrong)
        meaning[name] = target
    if small and meaning.get(small, small) not in ids:
        raise document.error(("small_model",), _wrong_target(small, ids, {}))
    return meaning.get(small, small)


def _wrong_with_alias(
    name: str, target: str, ids: Mapping[str, int], meaning: Mapping[str, str]
) -> str | None:
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        return f"{name!r} is no name: it must have 1 to {LONGEST_NAME} printable characters"
    if name in ids:
        return f"{name!r} is the id of a model, and an id always means that model; leave this alias out"
    if meaning.get(name, target) != target:
        return f"{name!r} already means {meaning[name]}; keep one of them"
    return None


def _wrong_target(target: str, ids: Iterable[str], aliases: Mapping[str, str]) -> str:
    if target in aliases:
        return f"{target!r} is an alias itself, and aliases are not followed twice; name {aliases[target]!r}"
    close = difflib.get_close_matches(target, list(ids), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f'add [[models]] with id = "{target}", which is enough'
    return f"{target!r} is not described here; {hint}"
