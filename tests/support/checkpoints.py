"""Tiny random checkpoints in Hugging Face layout, made on the spot: real model classes, nothing to download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BambaConfig,
    BambaForCausalLM,
    FalconMambaConfig,
    FalconMambaForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GenerationConfig,
    GptOssConfig,
    GptOssForCausalLM,
    JambaConfig,
    JambaForCausalLM,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Mamba2Config,
    Mamba2ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    Qwen3NextConfig,
    Qwen3NextForCausalLM,
)

PLAIN = ("falcon_mamba", "mamba2", "jamba", "bamba", "qwen3_next", "lfm2", "gemma2", "gpt_oss")
"""Families that read one sequence at a time."""

CORPUS = [
    "the quick brown fox jumps over the lazy dog",
    "a model speaks in tokens, and the tokens become text",
    "grüße aus köln, 東京, and 🙂🚀",
]

CHATML = """
{%- for message in messages -%}
    {%- if message.content == 'refuse' -%}{{- raise_exception('no such talk') -}}{%- endif -%}
    {{- '<|im_start|>' + message.role + '\\n' + message.content -}}
    {%- for call in message.tool_calls or [] -%}
        {{- '<tool_call>' + (call.function | tojson) + '</tool_call>' -}}
    {%- endfor -%}
    {{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if tools -%}{{- tools | tojson -}}{%- endif -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\\n' -}}
    {%- if enable_thinking is not defined or enable_thinking -%}{{- '<think>\\n' -}}{%- endif -%}
{%- endif -%}
"""


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of some 320 tokens with ChatML's special tokens; <think> and <tool_call> are ordinary ones."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=310, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    backend.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    plain = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
    backend.add_tokens([AddedToken(token, normalized=False, special=False) for token in plain])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    wrapped.chat_template = CHATML
    return wrapped


def save(directory: Path, family: str = "qwen3", *, context: int = 512, layers: int = 2) -> Path:
    """Write a checkpoint. `family` is qwen3, llama, or mistral, which attends to the last 24 positions only.

    "wide" is a Qwen3 whose linear layers are large enough to be packed; "gemma" has layers of both kinds, and "moe"
    four experts of which a token takes two. `PLAIN` are those that do not attend through our function.
    """
    wrapped = tokenizer()
    shape = {
        "vocab_size": len(wrapped) + 5,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": context,
        "eos_token_id": wrapped.convert_tokens_to_ids("<|im_end|>"),
        "bos_token_id": None,
        "pad_token_id": None,
        # Small random weights repeat one token for ever; these wander, so that a wrong key or position shows.
        "initializer_range": 0.25,
    }
    if family == "wide":
        shape |= {"hidden_size": 512, "intermediate_size": 1024, "head_dim": 128, "initializer_range": 0.1}
    torch.manual_seed(7)
    model = {
        "gemma": lambda: Gemma3ForCausalLM(
            Gemma3TextConfig(
                **shape,
                sliding_window=24,
                layer_types=["sliding_attention", "full_attention"][:layers],
                query_pre_attn_scalar=16,
                tie_word_embeddings=False,  # else each token predicts itself
            )
        ),
        "moe": lambda: Qwen3MoeForCausalLM(
            Qwen3MoeConfig(**shape, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=48)
        ),
        "wide": lambda: Qwen3ForCausalLM(Qwen3Config(**shape, tie_word_embeddings=True)),
        "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**shape)),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=True)),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**shape, sliding_window=24)),
        **_plain(shape),
    }[family]()
    if family in ("llama", "mistral"):
        with torch.no_grad():
            # Without Qwen3's norms such weights attend to a single position, and hardly any mistake would show.
            for layer in model.model.layers:
                layer.self_attn.q_proj.weight.mul_(0.2)
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=[
            wrapped.convert_tokens_to_ids("<|im_end|>"),
            wrapped.convert_tokens_to_ids("<|endoftext|>"),
        ],
    )
    model.save_pretrained(directory)
    wrapped.save_pretrained(directory)
    return directory


def _plain(shape: dict[str, Any]) -> dict[str, Callable[[], PreTrainedModel]]:
    """Models with a state in place of keys and values in all layers or in one, with a softcap, and with sinks."""
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "eos_token_id", "bos_token_id", "pad_token_id")
    untied = {"tie_word_embeddings": False}  # else each token predicts itself
    state = {name: shape[name] for name in names} | {"initializer_range": 0.25} | untied
    heads = {"num_heads": 8, "head_dim": 16, "state_size": 16, "n_groups": 2, "chunk_size": 16}
    linear = {f"linear_{name}": size for name, size in (("key_head_dim", 16), ("value_head_dim", 16))}
    linear |= {"linear_num_key_heads": 2, "linear_num_value_heads": 4}
    experts = {"num_experts": 4, "num_experts_per_tok": 2}
    sizes = {"moe_intermediate_size": 48, "shared_expert_intermediate_size": 48}
    mixed = {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 8, "use_mamba_kernels": False}
    jamba = {name: value for name, value in shape.items() if name != "head_dim"}
    beside = {"attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16}
    kinds = ["linear_attention", "full_attention"]
    return {
        "falcon_mamba": lambda: FalconMambaForCausalLM(FalconMambaConfig(**state)),
        "mamba2": lambda: Mamba2ForCausalLM(Mamba2Config(**state, **heads)),
        "jamba": lambda: JambaForCausalLM(JambaConfig(**jamba, **mixed, num_experts=2)),
        "bamba": lambda: BambaForCausalLM(BambaConfig(**jamba, **beside, mamba_n_groups=1)),
        "qwen3_next": lambda: Qwen3NextForCausalLM(
            Qwen3NextConfig(**shape, **linear, **experts, **sizes, layer_types=kinds)
        ),
        "lfm2": lambda: Lfm2ForCausalLM(Lfm2Config(**shape, layer_types=["conv", "full_attention"])),
        "gemma2": lambda: Gemma2ForCausalLM(
            Gemma2Config(**shape, **untied, sliding_window=24, query_pre_attn_scalar=16)
        ),
        "gpt_oss": lambda: GptOssForCausalLM(
            GptOssConfig(**shape, num_local_experts=4, num_experts_per_tok=2, sliding_window=24)
        ),
    }


def shelf(mktemp: Callable[[str], Path]) -> Callable[[str], Path]:
    """Answers where a family's checkpoint is, which is made when it is first asked for."""
    made: dict[str, Path] = {}

    def get(family: str) -> Path:
        if family not in made:
            made[family] = save(mktemp(family), family)
        return made[family]

    return get
