"""Small decoders of every family and kind of part, all their weights random: fresh zeros would hide mistakes."""

from __future__ import annotations

from typing import Any

import torch

from limpid.models.decoder import Decoder
from limpid.models.registry import build, config_from_table

SHAPE: dict[str, Any] = {"vocab_size": 97, "context": 64, "d_model": 32, "n_layer": 3, "n_head": 4, "d_ff": 56}
LLAMA = SHAPE | {"family": "llama", "n_kv_head": 2, "head_dim": 8, "rope_base": 500.0, "norm_eps": 1e-5}
PLAIN = LLAMA | {"qk_norm": False}
YARN = {"kind": "yarn", "factor": 4.0, "original_context": 16}
LLAMA3 = {"kind": "llama3", "factor": 8.0, "original_context": 32}
SPEEDRUN = SHAPE | {"family": "speedrun", "n_kv_head": 2, "head_dim": 8, "window": 6, "long_every": 2}

VARIANTS: dict[str, dict[str, Any]] = {
    "gpt1": SHAPE | {"family": "gpt", "norm": "post", "d_ff": 128},
    "gpt2": SHAPE | {"family": "gpt"},
    "gpt-sinusoidal": SHAPE | {"family": "gpt", "positions": "sinusoidal", "activation": "relu"},
    "llama": PLAIN,
    "llama-linear": PLAIN | {"rope_scaling": {"kind": "linear", "factor": 2.5}},
    "llama-llama3": PLAIN | {"rope_scaling": LLAMA3},
    "llama-yarn": PLAIN | {"rope_scaling": YARN},
    "llama-yarn-whole": PLAIN | {"rope_scaling": YARN | {"truncate": False, "attention_factor": 1.3, "fast": 8.0}},
    "mistral": PLAIN | {"window": 7},
    "qwen2": PLAIN | {"qkv_bias": True},
    "qwen2-tied": PLAIN | {"qkv_bias": True, "tie_embeddings": True},
    "qwen3": LLAMA,
    "mixtral": PLAIN | {"n_expert": 5, "window": 20},
    "qwen3-moe": LLAMA | {"n_expert": 6, "experts_per_token": 3},
    "qwen3-moe-raw": LLAMA | {"n_expert": 6, "experts_per_token": 3, "normalise_experts": False},
    "speedrun": SPEEDRUN,
    "speedrun-plain": SPEEDRUN | {"value_every": 0, "window": 0, "soft_cap": 0.0},
}


def random_decoder(variant: str, seed: int = 0, **changes: object) -> Decoder:
    """A model of the variant, ready to answer."""
    model: Decoder = build(config_from_table(VARIANTS[variant] | changes, variant), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scaled = noise * 0.25 if parameter.dim() > 1 else 1 + 0.2 * noise
            parameter.copy_(0.2 * noise if name.endswith("bias") else scaled)
        if not model.config.tie_embeddings:
            model.head.weight.mul_(0.25)  # logits of about one, where 1e-5 is some roundings of float32
    return model.eval()
