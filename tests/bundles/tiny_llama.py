"""A Llama of two layers and 64 tokens, with weights by chance: real code of transformers, small enough for a unit test."""

from __future__ import annotations

from typing import Any

VOCABULARY = 64


def make(attention: str = "eager") -> Any:
    """The model, the same at every call."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=128,
        attn_implementation=attention,
    )
    return LlamaForCausalLM(config).eval()
