"""How many tokens a chat has, told by its model's tokenizer alone: the same that admission would count.

A thread of its own asks this while the device thread computes, so nothing is shared with what is being served: a
tokenizer is loaded once more, and the last few of them stay. Knows no weights.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from transformers import AutoTokenizer

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import Length
from cortex.neuron.engine.torch import files
from cortex.neuron.engine.torch.lengths import length_of
from cortex.neuron.engine.torch.template import text_of
from cortex.protocol.request import Chat

SECONDS = 0.6
"""What counting may take: whoever asks waits for a second."""
KEPT = 4
"""Tokenizers that stay."""


class Tokens:
    """`configured` are the models that this host knows by itself."""

    def __init__(self, configured: tuple[ModelSettings, ...]) -> None:
        self._configured = {settings.id: settings for settings in configured}
        self._tokenizers: OrderedDict[str, Any] = OrderedDict()

    def count(self, chat: Chat, source: str) -> Length:
        """The tokens of a prompt, however long it is. Raises `FaultError`, as admission would."""
        tokenizer = self._tokenizer(chat.model, source)
        return length_of(text_of(chat, tokenizer), tokenizer, SECONDS)

    def _tokenizer(self, model: str, source: str) -> Any:
        known = self._configured.get(model, ModelSettings(id=model))
        directory = str(files.directory(ModelSettings(id=model, source=source or known.source)))
        found = self._tokenizers.get(directory)
        if found is None:
            found = AutoTokenizer.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
            self._tokenizers[directory] = found
            if len(self._tokenizers) > KEPT:
                self._tokenizers.popitem(last=False)
        self._tokenizers.move_to_end(directory)
        return found
