"""Models to measure with: random weights of a real class, and a tokenizer in which every token is a visible word.

A model of random weights says anything. So that a client sees each of its tokens, and that no answer ends early, the
tokens that print nothing or half a character are never the likeliest: their rows of the head are zero.
"""

from __future__ import annotations

import json
import random
import shutil
import string
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerFast, Qwen3Config

from cortex.neuron.engine.torch.vocabulary import byte_alphabet

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A Qwen3."""

    name: str
    dtype: str
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    tied: bool = True
    context: int = 2048

    @property
    def position_items(self) -> int:
        """Numbers that are kept of each position: keys and values of all layers."""
        return self.layers * 2 * self.kv_heads * self.head_dim


TINY = Shape("tiny", "float32", 4096, 256, 768, 8, 4, 2, 64)
"""7.3 million parameters."""
MID = Shape("mid", "bfloat16", 151_936, 1024, 3072, 28, 16, 8, 128)
"""Qwen3-0.6B's: 596 million parameters."""
LARGE = Shape("large", "bfloat16", 151_936, 4096, 12_288, 36, 32, 8, 128, tied=False)
"""Qwen3-8B's: 8.2 billion parameters."""


def words(vocabulary: int) -> list[str]:
    """Different words of four letters, as many as a vocabulary has room for beside bytes and special tokens."""
    source = random.Random(vocabulary)
    found: dict[str, None] = {}
    while len(found) < vocabulary - len(byte_alphabet()) - len(SPECIAL):
        found["".join(source.choices(string.ascii_lowercase, k=4))] = None
    return list(found)


def tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level: each byte a token, and each word with the space before it."""
    space = next(sign for sign, byte in byte_alphabet().items() if byte == ord(" "))
    tokens = [*byte_alphabet(), *(space + word for word in words(vocabulary)), *SPECIAL]
    # No merges: a word in the vocabulary is one token, anything else is its bytes.
    backend = Tokenizer(
        models.BPE(vocab={token: at for at, token in enumerate(tokens)}, merges=[], ignore_merges=True)
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(SPECIAL))
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


def question(shape: Shape, seed: int, length: int = 60) -> str:
    """So many words, other ones for each seed: nobody can use again what was computed for another."""
    return "".join(f" {word}" for word in random.Random(seed).choices(words(shape.vocabulary), k=length))


def read_per_step(directory: Path) -> int:
    """How many of its numbers each step reads: all but an embedding that is not the head, of which it takes rows."""
    with (directory / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tensors = {name: prod(one["shape"]) for name, one in header.items() if name != "__metadata__"}
    untied = "lm_head.weight" in tensors
    return sum(size for name, size in tensors.items() if not (untied and "embed_tokens" in name))


def save(shape: Shape, where: Path, device: str = "cpu") -> Path:
    """The directory of a model, which is made, on some device, unless it is there."""
    directory = where / shape.name
    if directory.exists():
        return directory
    unfinished = where / f"{shape.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    wrapped = tokenizer(shape.vocabulary)
    end = wrapped.convert_tokens_to_ids("<|im_end|>")
    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.context,
        tie_word_embeddings=shape.tied,
        eos_token_id=end,
        bos_token_id=None,
        pad_token_id=None,
        dtype=shape.dtype,
    )
    torch.manual_seed(7)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, shape.dtype))
    with torch.no_grad():
        silent = [*range(len(byte_alphabet())), *wrapped.all_special_ids]
        model.get_output_embeddings().weight[silent] = 0
    model.generation_config = GenerationConfig(eos_token_id=end, do_sample=False)
    model.save_pretrained(unfinished, max_shard_size="100GB")
    wrapped.save_pretrained(unfinished)
    unfinished.rename(directory)
    return directory
