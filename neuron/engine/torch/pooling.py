"""How a model makes one vector of the hidden states of a text, as its own files say.

Embedding models come in the layout of sentence-transformers: `modules.json` lists what follows the transformer, and the
directory of its Pooling says which states count. Where nothing is said it is the mean, made to length one. What these
files ask for and is not computed here is told to whoever asks for an embedding; the model speaks all the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

Mode = Literal["mean", "last", "cls"]
FLAGS: dict[str, Mode] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
    "pooling_mode_cls_token": "cls",
}
NAMES: dict[str, Mode] = {"mean": "mean", "lasttoken": "last", "cls": "cls"}
HARMLESS = frozenset({"Transformer", "Pooling", "Normalize", "Dropout"})


@dataclass(frozen=True, slots=True)
class Pooling:
    """`unknown` names what the files ask for and nothing here computes; empty as a rule."""

    mode: Mode = "mean"
    normalize: bool = True
    unknown: str = ""

    def add(self, so_far: torch.Tensor | None, states: torch.Tensor) -> torch.Tensor:
        """What there is after some more states, [n, width], of the same text; `so_far` is None at its beginning."""
        if self.mode == "last":
            return states[-1].float()
        if self.mode == "cls":
            return states[0].float() if so_far is None else so_far
        sum_ = states.float().sum(dim=0)
        return sum_ if so_far is None else so_far + sum_

    def finish(self, pooled: torch.Tensor, length: int, width: int) -> torch.Tensor:
        """The vector of a text of so many tokens, cut to `width` numbers."""
        vector = (pooled / length if self.mode == "mean" else pooled)[:width]
        return torch.nn.functional.normalize(vector, dim=0) if self.normalize else vector


def pooling_of(directory: Path) -> Pooling:
    """What the files in a model's directory say."""
    listed = directory / "modules.json"
    if not listed.is_file():
        return Pooling()
    try:
        modules = json.loads(listed.read_text(encoding="utf-8"))
        paths = {str(module["type"]).rpartition(".")[2]: directory / module["path"] for module in modules}
        mode: Mode | None = "mean"
        if (pooling := paths.get("Pooling")) is not None:
            mode = _mode(json.loads((pooling / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Pooling(unknown="modules.json, which cannot be read")
    strange = sorted(paths.keys() - HARMLESS)
    unknown = (
        f"a module of type {strange[0]}" if strange else "" if mode is not None else "its kind of pooling"
    )
    return Pooling(mode or "mean", "Normalize" in paths, unknown)


def _mode(config: dict[str, Any]) -> Mode | None:
    """The one kind of pooling that is asked for; None if it is another, or several."""
    if isinstance(name := config.get("pooling_mode"), str):
        return NAMES.get(name)
    wanted = [flag for flag, value in config.items() if flag.startswith("pooling_mode_") and value is True]
    if not wanted:
        return "mean"
    return FLAGS.get(wanted[0]) if len(wanted) == 1 else None
