"""What a model is made of, read off its modules: the parts that a picture of it must show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from limpid.inspection.points import is_post_norm
from limpid.inspection.twin import norms
from limpid.models.decoder import Decoder
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.speedrun import SpeedrunBlock
from limpid.nn.experts import MixtureOfExperts
from limpid.nn.feedforward import ACTIVATIONS, FeedForward, SwiGLU
from limpid.nn.norm import LayerNorm, RMSNorm
from limpid.nn.position import LearnedPositions, SinusoidalPositions

if TYPE_CHECKING:
    from limpid.inspection.stack import Stack
    from limpid.inspection.trace import Trace


def anatomy(trace: Trace) -> dict[str, Any]:
    """The traced model as plain values.

    family; kind: decoder, encoder or encoder-decoder; tied_embeddings: whether the head's matrix is the embedding's;
    soft_cap of the logits (0: none); head_bias; embedding_scale: what the embedding is multiplied by; stacks: of each,
    by name, what `stack_anatomy` says.
    """
    model = trace.subject.model
    scale = float(model.scale) if isinstance(model, EncoderDecoder) else 1.0
    kind = {Decoder: "decoder", EncoderDecoder: "encoder-decoder"}.get(type(model), "encoder")
    head: Any = getattr(model, "head", None)
    return {
        "family": model.config.family, "kind": kind, "embedding_scale": scale,
        "tied_embeddings": head is not None and head.weight is model.embedding.weight,
        "soft_cap": float(getattr(head, "cap", 0.0)), "head_bias": getattr(head, "bias", None) is not None,
        "stacks": {stack.name: stack_anatomy(trace, stack) for stack in trace.stacks.values()},
    }  # fmt: skip


def stack_anatomy(trace: Trace, stack: Stack) -> dict[str, Any]:
    """The parts of one stack's blocks.

    norm: rms, layer or none; norm_place: pre or post. positions: rotary, learned, sinusoidal or none; rope_base of
    rotary ones. feed_forward: swiglu, experts, or an activation's name; experts, experts_per_token of the second.
    n_head, n_kv_head, head_dim; qk_norm; attention_bias, output_bias, feed_forward_bias. windows: by layer, how many
    places its queries see (0: all). causal; cross: whether it looks at a source. final_norm: whether there is one
    before the head. mixed: by layer, whether the stream is mixed with its start; value_embedding: likewise.
    """
    block = stack.blocks[0]
    attention: Any = block.get_submodule("attention")
    layer: Any = block.get_submodule("feed_forward")
    model: Any = trace.subject.model
    within = model if isinstance(model, Decoder) else model.decoder if stack.name == "decoder" else model.encoder
    rotary = getattr(within, "rotary", None)
    experts = isinstance(layer, MixtureOfExperts)
    return {
        "n_layer": len(stack), "norm": _norm(norms(block)[0][0]),
        "norm_place": "post" if is_post_norm(block) else "pre",
        "positions": "rotary" if rotary is not None else _positions(getattr(within, "positions", None)),
        "rope_base": None if rotary is None else rotary.base,
        "feed_forward": _feed_forward(layer), "experts": len(layer.experts.gate_up) if experts else 0,
        "experts_per_token": layer.experts_per_token if experts else 0,
        "n_head": attention.n_head, "n_kv_head": getattr(attention, "n_kv_head", attention.n_head),
        "head_dim": attention.head_dim, "qk_norm": isinstance(getattr(attention, "q_norm", None), RMSNorm),
        "attention_bias": _has_bias(attention, "qkv", "q"), "output_bias": attention.output.bias is not None,
        "feed_forward_bias": not experts and layer.down.bias is not None,
        "windows": list(getattr(within, "windows", [0] * len(stack))),
        "causal": isinstance(model, Decoder) or stack.name == "decoder", "cross": stack.reads is not None,
        "final_norm": not isinstance(stack.norm, nn.Identity),
        "mixed": [isinstance(one, SpeedrunBlock) for one in stack.blocks],
        "value_embedding": [getattr(one, "value_embedding", None) is not None for one in stack.blocks],
    }  # fmt: skip


def _norm(norm: nn.Module) -> str:
    return "rms" if isinstance(norm, RMSNorm) else "layer" if isinstance(norm, LayerNorm) else "none"


def _positions(positions: nn.Module | None) -> str:
    if isinstance(positions, SinusoidalPositions):
        return "sinusoidal"
    return "learned" if isinstance(positions, LearnedPositions) else "none"


def _feed_forward(layer: nn.Module) -> str:
    if isinstance(layer, MixtureOfExperts):
        return "experts"
    if isinstance(layer, SwiGLU):
        return "swiglu"
    assert isinstance(layer, FeedForward)
    return next(name for name, function in ACTIVATIONS.items() if function is layer.activation)


def _has_bias(attention: Any, *names: str) -> bool:
    module: Any = next(m for m in (getattr(attention, name, None) for name in names) if m is not None)
    return module.bias is not None
