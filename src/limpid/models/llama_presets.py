"""Published shapes of the llama family, from the config.json beside each model's weights."""

from __future__ import annotations

from typing import Any


def _llama(
    vocab_size: int, context: int, d_model: int, n_layer: int, heads: tuple[int, int, int], d_ff: int, **others: Any
) -> dict[str, Any]:
    """heads: n_head, n_kv_head, head_dim."""
    n_head, n_kv_head, head_dim = heads
    return {
        "vocab_size": vocab_size, "context": context, "d_model": d_model, "n_layer": n_layer, "n_head": n_head,
        "n_kv_head": n_kv_head, "head_dim": head_dim, "d_ff": d_ff, "qk_norm": False, "norm_eps": 1e-5,
    } | others  # fmt: skip


def _llama3(*shape: Any, **others: Any) -> dict[str, Any]:
    return _llama(128_256, *shape, rope_base=500_000.0, **others)


def _stretched(factor: float) -> dict[str, Any]:
    return {"kind": "llama3", "factor": factor, "original_context": 8192}


def _qwen2(vocab_size: int, *shape: Any, **others: Any) -> dict[str, Any]:
    return _llama(vocab_size, 32_768, *shape, qkv_bias=True, rope_base=1e6, norm_eps=1e-6, **others)


def _qwen3(*shape: Any, **others: Any) -> dict[str, Any]:
    return _llama(151_936, 40_960, *shape, qk_norm=True, rope_base=1e6, norm_eps=1e-6, **others)


LLAMA_PRESETS: dict[str, dict[str, Any]] = {
    "llama2-7b": _llama(32_000, 4096, 4096, 32, (32, 32, 128), 11_008),
    "llama2-13b": _llama(32_000, 4096, 5120, 40, (40, 40, 128), 13_824),
    "llama2-70b": _llama(32_000, 4096, 8192, 80, (64, 8, 128), 28_672),
    "llama3-8b": _llama3(8192, 4096, 32, (32, 8, 128), 14_336),
    "llama3-70b": _llama3(8192, 8192, 80, (64, 8, 128), 28_672),
    "llama3.1-8b": _llama3(131_072, 4096, 32, (32, 8, 128), 14_336, rope_scaling=_stretched(8)),
    "llama3.1-70b": _llama3(131_072, 8192, 80, (64, 8, 128), 28_672, rope_scaling=_stretched(8)),
    "llama3.1-405b": _llama3(131_072, 16_384, 126, (128, 8, 128), 53_248, rope_scaling=_stretched(8)),
    "llama3.2-1b": _llama3(131_072, 2048, 16, (32, 8, 64), 8192, tie_embeddings=True, rope_scaling=_stretched(32)),
    "llama3.2-3b": _llama3(131_072, 3072, 28, (24, 8, 128), 8192, tie_embeddings=True, rope_scaling=_stretched(32)),
    "mistral-7b": _llama(32_000, 32_768, 4096, 32, (32, 8, 128), 14_336, window=4096),
    "mixtral-8x7b": _llama(32_000, 32_768, 4096, 32, (32, 8, 128), 14_336, rope_base=1e6, n_expert=8),
    "qwen2-0.5b": _qwen2(151_936, 896, 24, (14, 2, 64), 4864, tie_embeddings=True),
    "qwen2-1.5b": _qwen2(151_936, 1536, 28, (12, 2, 128), 8960, tie_embeddings=True),
    "qwen2-7b": _qwen2(152_064, 3584, 28, (28, 4, 128), 18_944),
    "qwen2-72b": _qwen2(152_064, 8192, 80, (64, 8, 128), 29_568),
    "qwen3-0.6b": _qwen3(1024, 28, (16, 8, 128), 3072, tie_embeddings=True),
    "qwen3-1.7b": _qwen3(2048, 28, (16, 8, 128), 6144, tie_embeddings=True),
    "qwen3-4b": _qwen3(2560, 36, (32, 8, 128), 9728, tie_embeddings=True),
    "qwen3-8b": _qwen3(4096, 36, (32, 8, 128), 12_288),
    "qwen3-14b": _qwen3(5120, 40, (40, 8, 128), 17_408),
    "qwen3-32b": _qwen3(5120, 64, (64, 8, 128), 25_600),
    "qwen3-30b-a3b": _qwen3(2048, 48, (32, 4, 128), 768, n_expert=128, experts_per_token=8),
    "qwen3-235b-a22b": _qwen3(4096, 94, (64, 4, 128), 1536, n_expert=128, experts_per_token=8),
}
