"""What one sequence takes of memory, as far as a model's configuration tells it. Knows JSON, and no model."""

from __future__ import annotations

from typing import Any

STATE_ITEM = 4
"""Bytes of a number in a state: many models keep theirs in float32, whatever they compute in."""


def position_bytes(config: dict[str, Any], item: int) -> int:
    """Bytes of the keys and values of one position in all layers that attend, `item` to a number."""
    text = _text(config)
    heads = int(text.get("num_attention_heads") or 1)
    width = int(text.get("head_dim") or int(text.get("hidden_size") or 0) // heads)
    return _attending(text) * 2 * int(text.get("num_key_value_heads") or heads) * width * item


def state_bytes(config: dict[str, Any]) -> int:
    """Bytes of what layers keep of a sequence however long it is."""
    text = _text(config)
    layers = _layers(text)
    beside = layers if text.get("model_type") in PARALLEL else layers - _attending(text)
    return beside * _state_items(text) * STATE_ITEM


PARALLEL = frozenset({"falcon_h1"})
"""Whose layers have both."""


def _text(config: dict[str, Any]) -> dict[str, Any]:
    text: dict[str, Any] = config.get("text_config") or config
    return text


def _layers(text: dict[str, Any]) -> int:
    return int(text.get("num_hidden_layers") or 1)


def _attending(text: dict[str, Any]) -> int:
    """How many layers have keys and values."""
    layers = _layers(text)
    kinds = text.get("layer_types") or text.get("layers_block_type")
    if isinstance(kinds, list):
        return sum("attention" in str(kind) and "linear" not in str(kind) for kind in kinds[:layers])
    if isinstance(indices := text.get("attn_layer_indices"), list):
        return len(indices)
    if period := int(text.get("attn_layer_period") or 0):
        return len(range(int(text.get("attn_layer_offset") or 0), layers, period))
    if period := int(text.get("full_attention_interval") or 0):
        return layers // period
    return layers if text.get("num_attention_heads") else 0


def _state_items(text: dict[str, Any]) -> int:
    """Numbers in the state of one layer that does not attend."""
    hidden = int(text.get("hidden_size") or 0)
    if heads := int(text.get("linear_num_value_heads") or 0):
        keys, values = int(text["linear_key_head_dim"]), int(text["linear_value_head_dim"])
        through = 2 * int(text["linear_num_key_heads"]) * keys + heads * values
        return heads * keys * values + through * int(text.get("linear_conv_kernel_dim") or 4)
    if size := _first(text, "mamba_d_state", "state_size", "ssm_state_size"):
        inner = _first(text, "mamba_d_ssm") or _first(text, "mamba_expand", "expand") * hidden
        inner = inner or int(text.get("intermediate_size") or 2 * hidden)
        groups = _first(text, "mamba_n_groups", "n_groups")
        return inner * size + (inner + 2 * groups * size) * (_first(text, "mamba_d_conv", "conv_kernel") or 4)
    if short := int(text.get("conv_L_cache") or 0):
        return short * hidden
    return 5 * int(text.get("attention_hidden_size") or hidden)  # what RWKV keeps


def _first(text: dict[str, Any], *names: str) -> int:
    return next((int(text[name]) for name in names if text.get(name)), 0)
