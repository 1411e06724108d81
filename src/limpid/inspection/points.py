"""The names of everything inside a block: TransformerLens's, with more where a model has more; docs/inspecting.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.inspection.matrices import Inside, Stage, matrices
from limpid.inspection.twin import attentions, norms
from limpid.models.speedrun import SpeedrunBlock
from limpid.nn.attention import Attention
from limpid.nn.block import PostNormBlock
from limpid.nn.cross_block import PostNormCrossBlock
from limpid.nn.experts import MixtureOfExperts
from limpid.nn.feedforward import SwiGLU
from limpid.nn.norm import LayerNorm, RMSNorm


class Point(NamedTuple):
    """letters: the shape; T queries, S keys, D d_model, H heads, K kv heads, C head_dim, F d_ff, E experts, N of them a
    token. value: from what a block computed to the tensor, without a batch."""

    letters: str
    value: Callable[[Inside], Tensor]


def block_points(block: nn.Module) -> dict[str, Point]:
    """The points of a block by their names within it, in the order they are computed."""
    points = {"hook_resid_pre": Point("TD", _noted("hook_resid_pre"))}
    if isinstance(block, SpeedrunBlock):
        points["hook_resid_mixed"] = Point("TD", _noted("ln1.input"))
        if block.value_embedding is not None:
            points["attn.hook_v_proj"] = Point("SKC", _projected("attn", block.attention, "v"))
    branches = attentions(block)
    for number, (norm, branch) in enumerate(norms(block), start=1):
        normalised = _norm_points(f"ln{number}", norm)
        inner = _attention_points(branch, branches[branch]) if branch in branches else _feed_forward_points(block)
        points |= inner | normalised if is_post_norm(block) else normalised | inner
        if number < len(norms(block)):
            after = f"ln{number}.hook_normalized" if is_post_norm(block) else f"ln{number + 1}.input"
            points["hook_resid_mid" if number == 1 else "hook_resid_mid_cross"] = Point("TD", _noted(after))
    return points | {"hook_resid_post": Point("TD", _noted("hook_resid_post"))}


def is_post_norm(block: nn.Module) -> bool:
    """Whether the norms stand after the sums, as in 2017."""
    return isinstance(block, PostNormBlock | PostNormCrossBlock)


def norm_scale(norm: nn.Module, x: Tensor) -> Tensor:
    """What a norm divides by: (..., D) -> (...), in the dtype of x."""
    assert isinstance(norm, RMSNorm | LayerNorm)
    spread = x.square().mean(-1) if isinstance(norm, RMSNorm) else x.var(-1, unbiased=False)
    return (spread + norm.eps).sqrt()


def _noted(name: str) -> Callable[[Inside], Tensor]:
    return lambda inside: inside.notes[name][0]


def _norm_points(name: str, norm: nn.Module) -> dict[str, Point]:
    return {
        f"{name}.hook_scale": Point("T", lambda inside: norm_scale(norm, inside.notes[f"{name}.input"][0].float())),
        f"{name}.hook_normalized": Point("TD", _noted(f"{name}.hook_normalized")),
    }


def _attention_points(name: str, attention: Any) -> dict[str, Point]:
    heads_first = {
        "hook_rot_q": Point("THC", lambda inside: inside.notes[f"{name}.kernel_q"][0].transpose(0, 1)),
        "hook_rot_k": Point("SKC", lambda inside: inside.notes[f"{name}.kernel_k"][0].transpose(0, 1)),
        "hook_v": Point("SKC", lambda inside: inside.notes[f"{name}.kernel_v"][0].transpose(0, 1)),
    }
    points = {f"hook_{part}": Point(s, _projected(name, attention, part)) for part, s in (("q", "THC"), ("k", "SKC"))}
    if isinstance(getattr(attention, "q_norm", None), RMSNorm):
        for part, letters in (("q", "THC"), ("k", "SKC")):
            points[f"hook_norm_{part}"] = Point(letters, _noted(f"{name}.{part}_norm"))
    points |= heads_first
    stages: dict[str, Stage] = {
        "hook_attn_scores_raw": "raw", "hook_attn_scores_scaled": "scaled", "hook_attn_scores": "masked",
        "hook_pattern": "pattern",
    }  # fmt: skip
    points |= {part: Point("HTS", _matrices(name, stage)) for part, stage in stages.items()}
    points["hook_z"] = Point("THC", lambda inside: inside.notes[f"{name}.hook_z"][0].transpose(0, 1))
    points["hook_result"] = Point("THD", lambda inside: results(inside, name, attention))
    out = "hook_attn_out" if name == "attn" else "hook_cross_attn_out"
    return {f"{name}.{part}": point for part, point in points.items()} | {out: Point("TD", _noted(out))}


def _projected(name: str, attention: Any, part: str) -> Callable[[Inside], Tensor]:
    """Queries, keys or values as their matrix made them, (T, H, C) or (S, K, C)."""
    number = "qkv".index(part)
    counts = (attention.n_head, *[getattr(attention, "n_kv_head", attention.n_head)] * 2)

    def value(inside: Inside) -> Tensor:
        if isinstance(attention, Attention):
            heads = inside.notes[f"{name}.qkv"][0].unflatten(-1, (-1, attention.head_dim))
            return heads.split(counts, dim=1)[number]
        if number == 0:
            return inside.notes[f"{name}.q"][0].unflatten(-1, (-1, attention.head_dim))
        return inside.notes[f"{name}.kv"][0].unflatten(-1, (-1, attention.head_dim)).split(counts[1:], 1)[number - 1]

    return value


def _matrices(name: str, stage: Stage) -> Callable[[Inside], Tensor]:
    return lambda inside: matrices(inside, name, stage)


def results(inside: Inside, name: str, attention: Any) -> Tensor:
    """(T, H, D): what each head writes into the residual stream; with the output's bias they sum to the branch."""
    z = inside.notes[f"{name}.hook_z"][0].float()  # (H, T, C)
    output = attention.output.weight.float().unflatten(1, (-1, attention.head_dim))  # (D, H, C)
    return torch.einsum("htc,dhc->thd", z, output)


def _feed_forward_points(block: nn.Module) -> dict[str, Point]:
    layer = block.get_submodule("feed_forward")
    points = {}
    if isinstance(layer, MixtureOfExperts):
        points["mlp.hook_router_logits"] = Point("TE", lambda inside: inside.notes["mlp.router"])
        points["mlp.hook_expert_indices"] = Point("TN", lambda inside: inside.notes["mlp.hook_expert_indices"])
        points["mlp.hook_expert_weights"] = Point("TN", lambda inside: inside.notes["mlp.hook_expert_weights"])
        points["mlp.hook_expert_post"] = Point("TNF", lambda inside: _expert_neurons(inside, layer))
    elif isinstance(layer, SwiGLU):
        points["mlp.hook_pre"] = Point("TF", lambda inside: inside.notes["mlp.up"][0].chunk(2, -1)[0])
        points["mlp.hook_pre_linear"] = Point("TF", lambda inside: inside.notes["mlp.up"][0].chunk(2, -1)[1])
        points["mlp.hook_post"] = Point("TF", _noted("mlp.hook_post"))
    else:
        points["mlp.hook_pre"] = Point("TF", _noted("mlp.up"))
        points["mlp.hook_post"] = Point("TF", _noted("mlp.hook_post"))
    return points | {"hook_mlp_out": Point("TD", _noted("hook_mlp_out"))}


def _expert_neurons(inside: Inside, layer: MixtureOfExperts) -> Tensor:
    """(T, N, F): the neurons of each token's experts, before their weights."""
    x, chosen = inside.notes["mlp.input"], inside.notes["mlp.hook_expert_indices"]
    neurons = x.new_empty(*chosen.shape, layer.experts.down.shape[-1])
    for expert in chosen.unique().tolist():
        here = chosen == expert
        tokens = here.nonzero()[:, 0]
        gate, up = F.linear(x[tokens], layer.experts.gate_up[expert].to(x.dtype)).chunk(2, dim=-1)
        neurons[here] = F.silu(gate) * up
    return neurons
