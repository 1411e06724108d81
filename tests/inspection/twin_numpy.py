"""An independent twin: a decoder of the llama family in plain NumPy, one head and one token at a time.

Nothing of limpid's computing is used: weights are read by name, and everything between is written down from the papers.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def softmax(x: np.ndarray) -> np.ndarray:
    shifted = np.exp(x - x.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def turned(x: np.ndarray, place: int, base: float) -> np.ndarray:
    """Rotary position embedding of one head's numbers (C,), as complex products."""
    half = len(x) // 2
    pairs = x[:half] + 1j * x[half:]
    angles = place * base ** (-np.arange(half) * 2 / len(x))
    pairs = pairs * np.exp(1j * angles)
    return np.concatenate([pairs.real, pairs.imag])


def llama_inside(model: Any, ids: list[int]) -> dict[str, np.ndarray]:
    """Every named value of a dense llama with QK-norm and grouped queries, window included."""
    config = model.config
    weights = {name: p.detach().double().numpy() for name, p in model.named_parameters()}
    heads, groups, width = config.n_head, config.n_head // config.n_kv_head, config.head_dim
    found: dict[str, np.ndarray] = {}
    x = weights["embedding.weight"][ids]
    found["hook_embed"] = x
    for layer in range(config.n_layer):
        at, name = f"blocks.{layer}.", f"blocks.{layer}."
        found[f"{name}hook_resid_pre"] = x
        normed = rms_norm(x, weights[f"{at}attention_norm.weight"], config.norm_eps)
        found[f"{name}ln1.hook_normalized"] = normed
        qkv = (normed @ weights[f"{at}attention.qkv.weight"].T).reshape(len(ids), -1, width)
        q, k, v = np.split(qkv, [heads, heads + config.n_kv_head], axis=1)
        found |= {f"{name}attn.hook_q": q, f"{name}attn.hook_k": k, f"{name}attn.hook_v": v}
        q = rms_norm(q, weights[f"{at}attention.q_norm.weight"], config.norm_eps)
        k = rms_norm(k, weights[f"{at}attention.k_norm.weight"], config.norm_eps)
        found |= {f"{name}attn.hook_norm_q": q, f"{name}attn.hook_norm_k": k}
        q = np.stack([[turned(one, t, config.rope_base) for one in row] for t, row in enumerate(q)])
        k = np.stack([[turned(one, t, config.rope_base) for one in row] for t, row in enumerate(k)])
        found |= {f"{name}attn.hook_rot_q": q, f"{name}attn.hook_rot_k": k}
        shape = (heads, len(ids), len(ids))
        raw, masked, pattern = np.zeros(shape), np.full(shape, -np.inf), np.zeros(shape)
        z = np.zeros((len(ids), heads, width))
        for head in range(heads):
            for t in range(len(ids)):
                for s in range(len(ids)):
                    raw[head, t, s] = q[t, head] @ k[s, head // groups]
                    if s <= t and (not config.window or t - s < config.window):
                        masked[head, t, s] = raw[head, t, s] / np.sqrt(width)
                pattern[head, t] = softmax(masked[head, t])
                z[t, head] = sum(pattern[head, t, s] * v[s, head // groups] for s in range(len(ids)))
        found[f"{name}attn.hook_attn_scores_raw"] = raw
        found[f"{name}attn.hook_attn_scores_scaled"] = raw / np.sqrt(width)
        found |= {f"{name}attn.hook_attn_scores": masked, f"{name}attn.hook_pattern": pattern, f"{name}attn.hook_z": z}
        output = weights[f"{at}attention.output.weight"]
        result = np.stack([z[:, h] @ output[:, h * width : (h + 1) * width].T for h in range(heads)], axis=1)
        found[f"{name}attn.hook_result"] = result
        found[f"{name}hook_attn_out"] = result.sum(1)
        x = x + result.sum(1)
        found[f"{name}hook_resid_mid"] = x
        normed = rms_norm(x, weights[f"{at}feed_forward_norm.weight"], config.norm_eps)
        found[f"{name}ln2.hook_normalized"] = normed
        gate, up = np.split(normed @ weights[f"{at}feed_forward.gate_up.weight"].T, 2, axis=-1)
        neurons = gate / (1 + np.exp(-gate)) * up
        found |= {f"{name}mlp.hook_pre": gate, f"{name}mlp.hook_pre_linear": up, f"{name}mlp.hook_post": neurons}
        out = neurons @ weights[f"{at}feed_forward.down.weight"].T
        found[f"{name}hook_mlp_out"] = out
        x = x + out
        found[f"{name}hook_resid_post"] = x
    found["ln_final.hook_scale"] = np.sqrt((x**2).mean(-1) + config.norm_eps)
    hidden = rms_norm(x, weights["norm.weight"], config.norm_eps)
    found["ln_final.hook_normalized"] = hidden
    found["logits"] = hidden @ weights["head.weight"].T
    found["probabilities"] = softmax(found["logits"])
    return found
