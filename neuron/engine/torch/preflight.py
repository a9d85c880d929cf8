"""Why a directory cannot be loaded, found in its small files before anything is read, and what would work instead.

Looks at names, at `config.json` and at what the installed transformers knows; opens no weights. What it lets pass may
still fail when it is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from cortex.protocol.faults import Code, FaultError, fault

PICKLED = ("*.bin", "*.pth", "*.pt", "*.ckpt")
FEW = 3
"""How many names are told where there are more."""
LOOKED_AT = 100
"""Subdirectories in which a model is looked for."""
WHOLE = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "spiece.model",
        "sentencepiece.bpe.model",
        "vocab.txt",
        "tekken.json",
    }
)
"""Any of these is the heart of a tokenizer by itself."""
BYTES = frozenset({"ByT5Tokenizer"})
"""Tokenizers that need no file."""
KINDS = (
    ("Classification", "a classifier"),
    ("QuestionAnswering", "a model that marks answers in a text"),
    ("Reward", "a model that judges answers"),
)
"""What the name of an architecture tells of it."""


def refused(name: str, why: str) -> FaultError:
    """A model that cannot be loaded, for this reason."""
    return fault(Code.LOAD_FAILED, f"{name}: {why}")


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def no_model(found: Path) -> str:
    """Why what is named as a source is no directory of a model."""
    here = repr(str(found))
    if not found.exists():
        where = (
            f"in {str(Path.cwd())!r}, where this neuron was started"
            if not found.is_absolute()
            else "on this host"
        )
        return f"There is no {here} {where}; name a directory in Hugging Face layout."
    if not found.is_dir():
        return f"Source {here} is a file; name the directory that holds it, in Hugging Face layout."
    if (found / "adapter_config.json").is_file():
        base = _read(found / "adapter_config.json").get("base_model_name_or_path")
        of = f" of {base!r}" if base else ""
        return f"There is only an adapter{of} in {here}; merge it into its base model and name the result."
    if below := _below(found):
        return f"There is no config.json in {here}; name {' or '.join(repr(str(one)) for one in below)}."
    if names := _named(found, ("*.gguf",)):
        return f"There is {names} in {here}; GGUF is not loaded: name a directory with config.json and safetensors."
    return f"There is no config.json in {here}; name a directory in Hugging Face layout."


def no_safetensors(found: Path) -> str:
    """Why there are no weights to be loaded."""
    here = repr(str(found))
    if (names := _named(found, PICKLED)) or (names := _named(found, ("*.gguf",))):
        return f"There are no safetensors in {here}, only {names}; convert these to safetensors."
    if (found / "adapter_config.json").is_file():
        return no_model(found)
    return f"There are no safetensors in {here}; no other form is loaded."


def require_all(name: str, paths: Iterable[Path]) -> None:
    """Whether every file that the index names is there. Raises `FaultError`."""
    if missing := [path.name for path in paths if not path.is_file()]:
        more = f" and {len(missing) - FEW} more" if len(missing) > FEW else ""
        verb = "is" if len(missing) == 1 else "are"
        raise refused(
            name, f"{', '.join(missing[:FEW])}{more} {verb} missing; fetch the model's files again."
        )


def _below(found: Path) -> list[Path]:
    """Directories one level down, or in the cache of the hub three, that hold a model."""
    main = found / "refs" / "main"
    if (
        main.is_file()
        and (
            (one := found / "snapshots" / main.read_text(encoding="utf-8").strip()) / "config.json"
        ).is_file()
    ):
        return [one]
    inside = sorted(islice((one for one in found.iterdir() if one.is_dir()), LOOKED_AT))
    snapshots = found / "snapshots"
    inside += sorted(snapshots.iterdir()) if snapshots.is_dir() else []
    return [one for one in inside if (one / "config.json").is_file()][:FEW]


def _named(found: Path, patterns: Iterable[str]) -> str:
    names = sorted(path.name for pattern in patterns for path in islice(found.glob(pattern), LOOKED_AT))
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def _read(path: Path) -> dict[str, Any]:
    """An object in JSON; an empty one if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────


def require_computable(name: str, found: Path, config: dict[str, Any]) -> None:
    """Whether it is a causal language model that transformers knows, in numbers, with a tokenizer. Raises `FaultError`."""
    why = _unknown(config) or _other_kind(config) or _quantized(config) or _no_tokenizer(found)
    if why:
        raise refused(name, why)


def _unknown(config: dict[str, Any]) -> str:
    kind = config.get("model_type")
    if kind in CONFIG_MAPPING_NAMES:
        return ""
    if not isinstance(kind, str) or not kind:
        return "Its config.json names no model_type; take a directory in Hugging Face layout."
    known = get_close_matches(kind, CONFIG_MAPPING_NAMES, FEW)
    closest = f"; the closest that it knows: {', '.join(known)}" if known else ""
    return f"The installed transformers {transformers.__version__} does not know the model_type {kind!r}{closest}."


def _other_kind(config: dict[str, Any]) -> str:
    """What it is if it is no causal language model."""
    kind = config["model_type"]
    listed = config.get("architectures")
    built = str(listed[0]) if isinstance(listed, list) and listed else ""
    if built in _causal() and (config.get("is_decoder") or kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES):
        return ""
    if config.get("is_encoder_decoder"):
        what = "an encoder with a decoder"
    elif kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not config.get("is_decoder"):
        what = "an encoder"
    elif kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        what = next((word for part, word in KINDS if part in built), "")
        if not what:
            return ""
    elif kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        what = "a model of images and texts"
    elif kind in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
        what = "a model of images"
    else:
        what = "of another kind"
    return f"It is {what} ({built or kind}), and no causal language model; name one."


def _causal() -> Iterator[str]:
    """The names of all architectures that are."""
    for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        yield from (names,) if isinstance(names, str) else names


def _quantized(config: dict[str, Any]) -> str:
    text = config.get("text_config")
    found = config.get("quantization_config") or (
        text.get("quantization_config") if isinstance(text, dict) else None
    )
    if not found:
        return ""
    method = found.get("quant_method") if isinstance(found, dict) else None
    return (
        f"Its weights are quantized ({method or 'quantization_config'}), which this engine does not compute; take the "
        "model in bfloat16, float16 or float32."
    )


def _no_tokenizer(found: Path) -> str:
    names = {path.name for path in found.iterdir()}
    pair = {"vocab.json", "merges.txt"}
    if names & WHOLE or pair <= names or any(name.endswith(".tiktoken") for name in names):
        return ""
    if _read(found / "tokenizer_config.json").get("tokenizer_class") in BYTES:
        return ""
    here = repr(str(found))
    if half := pair & names:
        (missing,) = pair - names
        return f"There is {half.pop()} in {here}, and {missing} is missing; fetch it or tokenizer.json."
    return f"There is no tokenizer in {here}; fetch tokenizer.json and tokenizer_config.json as well."
