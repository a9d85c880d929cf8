"""How a model writes: its family of formats for calls and reasoning, and its tokens as text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch.detokenize import Decode
from cortex.neuron.engine.torch.forcing import THOUGHTS, Thought, thought_of
from cortex.neuron.engine.torch.preflight import refused
from cortex.neuron.engine.torch.thinking import switched
from cortex.protocol.request import Chat
from cortex.protocol.toolcalls import KNOWN, markers_of
from cortex.protocol.toolcalls.detect import PLAIN, THINK, family_of
from cortex.protocol.toolcalls.families import FAMILIES
from cortex.protocol.toolcalls.steps import ALL, Step


@dataclass(frozen=True, slots=True)
class Speech:
    """`steps` are the repairs that may be made to its calls."""

    family: str
    steps: frozenset[Step]
    decode: Decode
    thought: Thought | None = None
    """How the model begins to think by itself; None for one that does not."""

    def abilities(self, template: str) -> tuple[str, ...]:
        """What it can do besides chatting: `tools` where the model is told of them and its calls are read; `reasoning`."""
        taught = family_of(template)
        calls = self.family not in (PLAIN, THINK) and ("tools" in template or self.family != taught)
        thinks = self.thought is not None or self.family == THINK
        return ("reasoning",) * thinks + ("tools",) * calls

    def may_think(self, request: Chat, tail: str) -> Thought | None:
        """The same for an answer to this request, whose prompt ends so: in a thought, or behind one, there is no other.

        A client that says nothing wants none, but of the families that never go without.
        """
        said = json.loads(request.template_options)
        asked = self.family in THOUGHTS if request.thinking is None else request.thinking
        if not switched(said, otherwise=asked) or self.thought is None:
            return None
        row = FAMILIES.get(self.family)
        marks = tuple(mark for pair in (row.thinking if row else ()) for mark in pair)
        return None if marks and tail.rstrip().endswith(marks) else self.thought


def speech_of(settings: ModelSettings, tokenizer: Any) -> Speech:
    """What the settings say, or what the chat template teaches the model."""
    family = settings.tool_calls or family_of(str(tokenizer.chat_template or ""))
    thought = thought_of(family, str(tokenizer.chat_template or ""))
    return Speech(family, ALL if settings.repairs else frozenset(), decoder(tokenizer, family), thought)


def check(settings: ModelSettings) -> None:
    """Raises `FaultError`, code load_failed, for a family that there is none of."""
    if settings.tool_calls and settings.tool_calls not in KNOWN:
        known = ", ".join(KNOWN)
        raise refused(settings.id, f"tool_calls {settings.tool_calls!r} is no family; known are {known}.")


def decoder(tokenizer: Any, family: str) -> Decode:
    """The tokenizer's text without special tokens but those that are the family's markers.

    Straight from its backend where it has one, ten times as fast.
    """
    hidden = _hidden(tokenizer, markers_of(family))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        if hidden is None:
            return lambda ids: str(backend.decode(ids, skip_special_tokens=True))
        return lambda ids: str(
            backend.decode([one for one in ids if one not in hidden], skip_special_tokens=False)
        )
    return lambda ids: str(
        tokenizer.decode(
            ids if hidden is None else [one for one in ids if one not in hidden],
            skip_special_tokens=hidden is None,
            clean_up_tokenization_spaces=False,
        )
    )


def _hidden(tokenizer: Any, markers: frozenset[str]) -> frozenset[int] | None:
    """The special tokens that never reach a client; None if that is all of them."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    special = {index: token.content for index, token in added.items() if token.special}
    shown = {
        index
        for index, text in special.items()
        if any(text in marker or marker in text for marker in markers)
    }
    return frozenset(special.keys() - shown) if shown else None
