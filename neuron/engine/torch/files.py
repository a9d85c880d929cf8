"""What the files of a checkpoint say before anything of it is loaded: whether it may be, and how large it will be.

Only headers and configurations are read. Nothing is fetched, and a configuration that names code of its own is refused.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import torch

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch.complaints import broken, read_object, require_numbers, sentence
from cortex.neuron.engine.torch.linear import TINY, can_pack, is_fast, is_kept
from cortex.neuron.engine.torch.preflight import (
    no_model,
    no_safetensors,
    refused,
    require_all,
    require_computable,
)
from cortex.neuron.engine.torch.sizes import position_bytes, state_bytes
from cortex.protocol.faults import Code, FaultError, fault

CONFIGS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
SLOTS = 8
CONVERSATION = 4096
"""Positions per slot for which room is reserved: caches grow with use, and few conversations use a whole context."""
UNTOLD = 2**20
"""Bytes for what no file tells of: buffers, and pages that are not full."""
LONGEST_HEADER = 100 * 2**20
ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "BF16": 2,
    "F16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
FLOATS = {"F64", "F32", "BF16", "F16"}


def directory(settings: ModelSettings) -> Path:
    """Where a model lies. Raises `FaultError` with code load_failed if it is none, or asks for code of its own."""
    if settings.source == "demo":
        from cortex.neuron.demo import model_path  # noqa: PLC0415  (only who asks for the demo model needs it)

        found = model_path()
    else:
        found = Path(settings.source).expanduser()
    if not settings.source:
        raise fault(Code.LOAD_FAILED, f"{settings.id}: It is not known here; name its source.")
    if not (found / "config.json").is_file():
        raise refused(settings.id, no_model(found))
    for name in CONFIGS:
        path = found / name
        if path.is_file() and '"auto_map"' in path.read_text(encoding="utf-8"):
            raise fault(
                Code.LOAD_FAILED,
                f"{settings.id}: {name} asks for code of its own, which is never run; take another model.",
            )
    return found


def dtype(wanted: str, device: torch.device) -> torch.dtype:
    """The number format in which a model is computed."""
    if wanted == "auto":
        # Half the bytes are half the time of a step, where the device has instructions for them.
        return torch.bfloat16 if device.type == "cuda" or is_fast(torch.bfloat16) else torch.float32
    chosen: torch.dtype = getattr(torch, wanted)
    return chosen


def footprint(settings: ModelSettings, device: torch.device) -> int:
    """Bytes that the model will take: its weights, and keys and values for a conversation in each slot.

    For one whole context at least where settings name it; a context that they do not name is cut to what there is.

    Raises `FaultError` with code load_failed when its files are not what they should be.
    """
    found = directory(settings)
    chosen = dtype(settings.dtype, device)
    try:
        config = read_object(found / "config.json")
        paths = weights(found)
        require_all(settings.id, paths)
        require_computable(settings.id, found, config)
        require_numbers(config)
        headers = {path: _header(path) for path in paths}
        size = sum(_weights(path, header, chosen.itemsize) for path, header in headers.items())
        if device.type == "cpu" and can_pack(chosen):
            size += _copies([header.tensors for header in headers.values()], config) * chosen.itemsize
        return size + UNTOLD + _cache(settings, config, chosen.itemsize)
    except FaultError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise refused(settings.id, f"Its files cannot be read: {sentence(error)}") from error


Fingerprint = tuple[tuple[str, int, int], ...]
"""Of each file its name, its size and when it was written."""


def fingerprint(settings: ModelSettings) -> Fingerprint:
    """What changes when a model's files do; of files that are not there any more it is empty."""
    try:
        found = sorted(path for path in directory(settings).iterdir() if path.is_file())
        return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found)
    except (FaultError, OSError):
        return ()


def weights(found: Path) -> list[Path]:
    """The files that hold the weights; others may lie beside them."""
    index = found / "model.safetensors.index.json"
    if index.is_file():
        names = read_object(index).get("weight_map")
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise broken(f"{index.name} has no weight_map; fetch it again.")
        return [found / name for name in sorted(set(names.values()))]
    whole = found / "model.safetensors"
    if not whole.is_file():
        raise fault(Code.LOAD_FAILED, no_safetensors(found))
    return [whole]


class Header(NamedTuple):
    """Of a safetensors file: its own bytes, and what there is of each tensor by name."""

    bytes: int
    tensors: dict[str, dict[str, Any]]


def _header(path: Path) -> Header:
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 0 < length <= LONGEST_HEADER:
            raise broken(f"{path.name} is not a safetensors file; fetch it again.")
        text = file.read(length)
    if len(text) < length:
        raise broken(f"{path.name} is truncated: its header alone has {length} bytes; fetch it again.")
    try:
        header = json.loads(text)
        tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
    except (ValueError, AttributeError, RecursionError) as error:
        raise broken(f"{path.name} is not a safetensors file: its header is no JSON object.") from error
    return Header(length, tensors)


def _copies(files: list[dict[str, dict[str, Any]]], config: dict[str, Any]) -> int:
    """Items that are there twice once the linear layers are packed: small ones, and a head that is the embedding."""
    tied = config.get("tie_word_embeddings", True)
    items = 0
    for tensors in files:
        for name, tensor in tensors.items():
            size = prod(tensor["shape"])
            if "embed_tokens" in name:
                items += size if tied and size >= TINY else 0
            elif len(tensor["shape"]) == 2 and is_kept(size):
                items += size
    return items


def _weights(path: Path, header: Header, item: int) -> int:
    """Bytes of a file's tensors once they are loaded. A file that ends too early is found here."""
    tensors = header.tensors.values()
    end = 8 + header.bytes + max((tensor["data_offsets"][1] for tensor in tensors), default=0)
    if path.stat().st_size < end:
        raise broken(f"{path.name} is truncated: it should have {end} bytes; fetch it again.")
    total = 0
    for tensor in tensors:
        begin, stop = tensor["data_offsets"]
        stored = ITEM_BYTES.get(tensor["dtype"])
        floats = stored is not None and tensor["dtype"] in FLOATS
        total += (stop - begin) // stored * item if stored and floats else stop - begin
    return total


def _cache(settings: ModelSettings, config: dict[str, Any], item: int) -> int:
    """Bytes of what is kept of one conversation in each slot, and of a context that was asked for."""
    text = config.get("text_config") or config
    longest = int(text.get("max_position_embeddings") or 0)
    context = min(settings.context or longest, longest) if longest else settings.context or CONVERSATION
    slots = settings.slots or SLOTS
    positions = slots * min(context, CONVERSATION)
    if settings.context:
        positions = max(positions, context)
    return positions * position_bytes(config, item) + slots * state_bytes(config)
