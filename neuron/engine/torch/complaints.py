"""What is wrong with a model's files, in one sentence that names the file, and the key or the tensor in it.

Libraries tell it in as many ways as there are libraries, over several lines and without a name. Nothing is repaired.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cortex.protocol.faults import Code, FaultError, fault

FEW = 3
"""How many tensors are named where there are more."""
LONGEST = 400
"""Characters of what a library says."""
TEXTS = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json")
"""What is read beside config.json and the index of the weights."""
NUMBERS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)
"""What must be a whole number, or one for each layer, wherever config.json has it."""
FRAME = re.compile(r"^(Class v|V)alidation error for (validator|field) '[^']*':\s*(\w+:\s*)?")
"""What transformers puts before its own words on a key of config.json."""


def broken(message: str) -> FaultError:
    """Files that cannot be served."""
    return fault(Code.LOAD_FAILED, message)


def sentence(error: BaseException) -> str:
    """What an exception says: one line, one full stop. Its kind comes first where that tells more."""
    if isinstance(error, FaultError):
        return ended(error.fault.message)
    said, is_about_a_key = FRAME.subn("", " ".join(str(error).split()))
    said = said if len(said) <= LONGEST else said[:LONGEST] + "…"
    if isinstance(error, KeyError):
        return ended(f"{said} is not known")
    kind = "" if is_about_a_key else type(error).__name__
    return ended(": ".join(part for part in (kind, said) if part))


def ended(text: str) -> str:
    """With one full stop at its end."""
    return text.rstrip(" .!") + "."


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Raises `FaultError` that names the file."""
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise broken(f"{path.name} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise broken(f"{path.name} is no valid JSON ({ended(str(error))[:-1]}); fetch it again.") from error
    if not isinstance(found, dict):
        raise broken(f"{path.name} holds no JSON object; fetch it again.")
    return found


def require_texts(directory: Path) -> None:
    """Whether what is read of a tokenizer and of sampling is JSON at all. Raises `FaultError`."""
    for name in TEXTS:
        if (directory / name).is_file():
            read_object(directory / name)


def require_numbers(config: Mapping[str, Any], prefix: str = "") -> None:
    """Whether config.json has numbers where its sizes are. Raises `FaultError`."""
    for key in NUMBERS:
        value = config.get(key)
        if isinstance(value, str | bool | dict | float):
            raise broken(f"config.json: {prefix}{key} is {value!r}, and must be a whole number.")
    inner = config.get("text_config")
    if isinstance(inner, dict) and not prefix:
        require_numbers(inner, "text_config.")


def require_whole(info: Mapping[str, Any]) -> None:
    """Whether the checkpoint had every weight of the model, in its shape, by what transformers tells of a load.

    What is missing would be random. Raises `FaultError`.
    """
    if wrong := sorted(info.get("mismatched_keys", ())):
        name, stored, wanted = wrong[0]
        raise broken(
            f"{name} has the shape {list(stored)} in the checkpoint, and config.json asks for {list(wanted)}"
            f"{_more(len(wrong) - 1)}; they belong to different models."
        )
    if missing := sorted(info.get("missing_keys", ())):
        verb = "is" if len(missing) == 1 else "are"
        names = ", ".join(missing[:FEW]) + _more(len(missing) - FEW)
        raise broken(f"{names} {verb} missing from the checkpoint; fetch the model's files again.")
    if errors := info.get("error_msgs"):
        raise broken(f"Its weights cannot be read: {ended(' '.join(str(next(iter(errors))).split()))}")


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def without_id(model: str, message: str) -> str:
    """A message whose readers are told the model's id anyway."""
    return message.removeprefix(f"{model}: ")


def names_of(unexpected: Iterable[str]) -> str:
    """What a checkpoint has beside the model's weights, for the log."""
    names = sorted(unexpected)
    return ", ".join(names[:FEW]) + _more(len(names) - FEW)
