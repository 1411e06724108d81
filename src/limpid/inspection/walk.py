"""The way of a text through a model, step by step: the parts it actually has, in the order they are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from limpid.inspection.points import is_post_norm
from limpid.inspection.subject import TASK_HEAD, embedding_norm
from limpid.inspection.twin import attentions, norms
from limpid.inspection.worked import module_name
from limpid.inspection.worked_feed_forward import activation_name
from limpid.models.decoder import Decoder
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.speedrun import SpeedrunBlock
from limpid.nn.experts import MixtureOfExperts
from limpid.nn.norm import RMSNorm

if TYPE_CHECKING:
    from limpid.inspection.stack import Stack
    from limpid.inspection.trace import Trace

_OUT = {"attn": "hook_attn_out", "cross_attn": "hook_cross_attn_out", "mlp": "hook_mlp_out"}


class Step(NamedTuple):
    """One operation.

    key: tokens, embed, position, segment, enter; mix, BRANCH.norm, .heads, .qk_norm, .turn, .raw, .scaled, .masked,
    .pattern, .mixed, .join, .residual, mlp.up, mlp.neurons, mlp.down, mlp.router, mlp.experts; lens, final_norm, pool,
    logits, classes, temperature, filters, draw. A branch is attn, cross_attn or mlp.
    shows: what goes in and what comes out, role -> name of the trace. weights: role -> parameter. how: what kind of
    norm, activation, position it is, and its sizes.
    """

    key: str
    shows: dict[str, str]
    weights: dict[str, str]
    how: dict[str, Any]


class Chapter(NamedTuple):
    """Steps of a stack. kind: input, block (of which the stack has several), memory (an encoder's end), output.
    layers: for a block, the steps of each layer; else one list."""

    kind: str
    stack: str
    layers: list[list[Step]]


def walk(trace: Trace) -> list[Chapter]:
    """Every step of a traced model; a decoder's source comes before it."""
    chapters = []
    for stack in trace.stacks.values():
        chapters.append(Chapter("input", stack.name, [_input(trace, stack)]))
        layers = [_block(trace, stack, layer) for layer in range(len(stack))]
        chapters.append(Chapter("block", stack.name, layers))
        if stack is not trace.main and not isinstance(stack.norm, nn.Identity):
            chapters.append(Chapter("memory", stack.name, [[_final_norm(trace, stack)]]))
    return [*chapters, Chapter("output", trace.main.name, [_output(trace)])]


def _input(trace: Trace, stack: Stack) -> list[Step]:
    model, prefix = trace.subject.model, trace._prefix(stack)
    parts = [name for name in trace.embedded(stack) if name != "hook_full_embed"]
    scale = float(getattr(model, "scale", 1.0))
    steps = [Step("tokens", {}, {}, {})]
    steps.append(Step("embed", {"out": f"{prefix}hook_embed"}, {"table": "embedding.weight"}, {"scale": scale}))
    if "hook_token_type_embed" in parts:
        steps.append(Step("segment", {"out": f"{prefix}hook_token_type_embed"}, {}, {}))
    if "hook_pos_embed" in parts:
        within: Any = model
        if not isinstance(model, Decoder):
            within = model.decoder if isinstance(model, EncoderDecoder) and stack.name == "decoder" else model.encoder
        learned = hasattr(within.positions, "weight")
        table = {"table": f"{module_name(model, within.positions)}.weight"} if learned else {}
        kind = "learned" if learned else "sinusoidal"
        steps.append(Step("position", {"out": f"{prefix}hook_pos_embed"}, table, {"kind": kind}))
        norm = embedding_norm(trace.subject, stack)
        how = {} if isinstance(norm, nn.Identity) else _norm_kind(norm)
        shows = {f"term{n}": f"{prefix}{name}" for n, name in enumerate(parts)} | {"out": f"{prefix}hook_full_embed"}
        steps.append(Step("enter", shows, {}, how))
    return steps


def _block(trace: Trace, stack: Stack, layer: int) -> list[Step]:
    block, model = stack.blocks[layer], trace.subject.model
    post = is_post_norm(block)
    at = f"{stack.name}.{layer}."
    stream = f"{at}hook_resid_pre"
    steps = []
    if isinstance(block, SpeedrunBlock):
        start = f"{trace._prefix(stack)}hook_full_embed"
        shows = {"in": stream, "start": start, "out": f"{at}hook_resid_mixed"}
        steps.append(Step("mix", shows, {"mix": f"{module_name(model, block)}.mix"}, {}))
        stream = f"{at}hook_resid_mixed"
    mids = iter(("hook_resid_mid", "hook_resid_mid_cross"))
    branches = norms(block)
    for number, (norm, branch) in enumerate(branches, start=1):
        normal, weight = f"{at}ln{number}.hook_normalized", {"weight": f"{module_name(model, norm)}.weight"}
        kind = _norm_kind(norm)
        after = f"{at}{next(mids) if number < len(branches) else 'hook_resid_post'}"
        reads = stream
        if not post:
            steps.append(Step(f"{branch}.norm", {"in": stream, "out": normal}, weight, kind))
            reads = normal
        steps += (
            _feed_forward(trace, stack, layer, reads)
            if branch == "mlp"
            else _attention(trace, stack, layer, branch, reads)
        )
        shows = {"term0": stream, "term1": f"{at}{_OUT[branch]}", "out": after}
        steps.append(Step(f"{branch}.residual", shows, weight if post else {}, kind if post else {}))
        stream = after
    return steps


def _attention(trace: Trace, stack: Stack, layer: int, branch: str, reads: str) -> list[Step]:
    attention: Any = attentions(stack.blocks[layer])[branch]
    model, at = trace.subject.model, f"{stack.name}.{layer}.{branch}."
    names, points = stack.points[layer], [f"hook_{letter}" for letter in "qkv"]
    heads, keys = stack.heads(branch), getattr(attention, "n_kv_head", attention.n_head)
    how = {
        "branch": branch,
        "heads": heads,
        "kv_heads": keys,
        "head_dim": attention.head_dim,
        "causal": _causal(trace, stack, branch),
    }
    source = reads
    if branch == "cross_attn":
        assert stack.reads is not None
        source = _left(stack.reads)
    matrices = {"qkv": attention.qkv} if hasattr(attention, "qkv") else {"q": attention.q, "kv": attention.kv}
    weights = {role: f"{module_name(model, linear)}.weight" for role, linear in matrices.items()}
    if f"{branch}.hook_v_proj" in names:
        points.append("hook_v_proj")
    shows = {"in": reads, "source": source} | {point.removeprefix("hook_"): at + point for point in points}
    steps = [Step(f"{branch}.heads", shows, weights, how)]
    query, key = "hook_q", "hook_k"
    if f"{branch}.hook_norm_q" in names:
        shows = {"q": at + query, "k": at + key, "to_q": f"{at}hook_norm_q", "to_k": f"{at}hook_norm_k"}
        norms_ = {
            f"{letter}_norm": f"{module_name(model, getattr(attention, f'{letter}_norm'))}.weight" for letter in "qk"
        }
        steps.append(Step(f"{branch}.qk_norm", shows, norms_, how | _norm_kind(attention.q_norm)))
        query, key = "hook_norm_q", "hook_norm_k"
    if branch == "attn" and getattr(model, "rotary", None) is not None:
        shows = {"q": at + query, "k": at + key, "to_q": f"{at}hook_rot_q", "to_k": f"{at}hook_rot_k"}
        steps.append(Step(f"{branch}.turn", shows, {}, how | {"base": model.rotary.base}))  # type: ignore[union-attr]
    queries, keys_ = f"{at}hook_rot_q", f"{at}hook_rot_k"
    stages = {
        "raw": "hook_attn_scores_raw",
        "scaled": "hook_attn_scores_scaled",
        "masked": "hook_attn_scores",
        "pattern": "hook_pattern",
    }
    before = {"q": queries, "k": keys_}
    for stage, point in stages.items():
        steps.append(Step(f"{branch}.{stage}", before | {"out": at + point}, {}, how))
        before = {"in": at + point}
    steps.append(
        Step(f"{branch}.mixed", {"pattern": f"{at}hook_pattern", "v": f"{at}hook_v", "out": f"{at}hook_z"}, {}, how)
    )
    out = f"{stack.name}.{layer}.{_OUT[branch]}"
    shows = {"z": f"{at}hook_z", "each": f"{at}hook_result", "out": out}
    return [*steps, Step(f"{branch}.join", shows, {"output": f"{module_name(model, attention.output)}.weight"}, how)]


def _feed_forward(trace: Trace, stack: Stack, layer: int, reads: str) -> list[Step]:
    network: Any = stack.blocks[layer].get_submodule("feed_forward")
    model, at = trace.subject.model, f"{stack.name}.{layer}."
    if isinstance(network, MixtureOfExperts):
        how = {
            "experts": len(network.experts.gate_up),
            "chosen": network.experts_per_token,
            "normalise": network.normalise,
        }
        shows = {
            "in": reads,
            "out": f"{at}mlp.hook_router_logits",
            "indices": f"{at}mlp.hook_expert_indices",
            "shares": f"{at}mlp.hook_expert_weights",
        }
        router = Step("mlp.router", shows, {"router": f"{module_name(model, network.router)}.weight"}, how)
        shows = {
            "indices": shows["indices"],
            "shares": shows["shares"],
            "neurons": f"{at}mlp.hook_expert_post",
            "out": f"{at}hook_mlp_out",
        }
        return [router, Step("mlp.experts", shows, {}, how)]
    kind = {"activation": activation_name(network)}
    pre = {"pre": f"{at}mlp.hook_pre"}
    if "mlp.hook_pre_linear" in stack.points[layer]:
        pre["linear"] = f"{at}mlp.hook_pre_linear"
    first = network.up if hasattr(network, "up") else network.gate_up
    up = Step("mlp.up", {"in": reads} | pre, {"up": f"{module_name(model, first)}.weight"}, kind)
    neurons = Step("mlp.neurons", pre | {"out": f"{at}mlp.hook_post"}, {}, kind)
    shows = {"in": f"{at}mlp.hook_post", "out": f"{at}hook_mlp_out"}
    return [up, neurons, Step("mlp.down", shows, {"down": f"{module_name(model, network.down)}.weight"}, kind)]


def _output(trace: Trace) -> list[Step]:
    stack = trace.main
    steps = [Step("lens", {}, {}, {"layers": len(stack)})]
    if not isinstance(stack.norm, nn.Identity):
        steps.append(_final_norm(trace, stack))
    subject = trace.subject
    state = _left(stack)
    if subject.pools:
        steps.append(Step("pool", {"in": state, "out": "hook_pooled"}, {}, {}))
        state = "hook_pooled"
    how: dict[str, Any] = {"outputs": subject.outputs}
    table = {}
    if subject.task is not None:
        table = {"head": f"{TASK_HEAD}.weight"}
        how |= {"tied": False, "cap": 0.0, "task": subject.task.config.task}
    elif subject.head is not None:  # an encoder's is a network by itself
        table = {"head": f"{module_name(subject.model, subject.head)}.weight"}
        how |= {"tied": subject.head.weight is subject.model.embedding.weight, "cap": getattr(subject.head, "cap", 0.0)}
    steps.append(Step("logits", {"in": state, "out": "logits"}, table, how))
    if subject.task is not None and subject.outputs > 1:
        steps.append(Step("classes", {"in": "logits", "out": "probabilities"}, {}, {}))
    drawing = ("temperature", "filters", "draw") if subject.foretells else ()  # other answers are no next token
    return [*steps, *(Step(key, {}, {}, {}) for key in drawing)]


def _final_norm(trace: Trace, stack: Stack) -> Step:
    shows = {"in": f"{stack.name}.{len(stack) - 1}.hook_resid_post", "out": _left(stack)}
    weight = {"weight": f"{module_name(trace.subject.model, stack.norm)}.weight"}
    return Step("final_norm", shows, weight, _norm_kind(stack.norm))


def _left(stack: Stack) -> str:
    """The name of what a stack gives: behind its norm, where it has one."""
    if isinstance(stack.norm, nn.Identity):
        return f"{stack.name}.{len(stack) - 1}.hook_resid_post"
    return f"{'' if stack.name == 'blocks' else f'{stack.name}.'}ln_final.hook_normalized"


def _norm_kind(norm: nn.Module) -> dict[str, Any]:
    return {"norm": "rms" if isinstance(norm, RMSNorm) else "layer", "eps": float(norm.eps)}  # type: ignore[arg-type]


def _causal(trace: Trace, stack: Stack, branch: str) -> bool:
    return branch == "attn" and (stack.name != "encoder") and trace.subject.causal
