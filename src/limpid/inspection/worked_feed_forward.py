"""The working of a feed-forward layer's numbers: one network, or a few of many experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import nn

from limpid.inspection.worked import Recipe, module_name, numbers, product
from limpid.nn.experts import MixtureOfExperts
from limpid.nn.feedforward import ACTIVATIONS, FeedForward, SwiGLU

if TYPE_CHECKING:
    from limpid.inspection.worked_block import BlockWorks


def activation_name(layer: nn.Module) -> str:
    """The rule that makes a layer's neurons: swiglu, or its activation's name."""
    if isinstance(layer, FeedForward):
        return next(name for name, function in ACTIVATIONS.items() if function is layer.activation)
    return "swiglu"


def feed_forward_recipe(works: BlockWorks, point: str, place: tuple[int, ...]) -> Recipe:
    """The recipe of ``mlp....`` or ``hook_mlp_out``."""
    layer = works.block.get_submodule("feed_forward")
    if isinstance(layer, MixtureOfExperts):
        return _experts(works, layer, point, place)
    assert isinstance(layer, FeedForward | SwiGLU)
    t, i = place
    if point == "hook_mlp_out":
        neurons = works.notes["mlp.hook_post"][0, t]
        return product(neurons, works.at("mlp.hook_post", t), layer.down, i, works.model)
    if point == "mlp.hook_post":
        before = {"x": "mlp.hook_pre"}
        if isinstance(layer, SwiGLU):
            before = {"gate": "mlp.hook_pre", "up": "mlp.hook_pre_linear"}
        given = {symbol: float(works.of(name)[place]) for symbol, name in before.items()}
        return Recipe(
            activation_name(layer), given, {}, {symbol: works.at(name, *place) for symbol, name in before.items()}
        )
    x, source = works.entering("mlp")
    if isinstance(layer, FeedForward):
        return product(x[t], works.at(source, t), layer.up, i, works.model)
    row = i if point == "mlp.hook_pre" else i + layer.gate_up.weight.shape[0] // 2
    return product(x[t], works.at(source, t), layer.gate_up, row, works.model)


def _experts(works: BlockWorks, layer: MixtureOfExperts, point: str, place: tuple[int, ...]) -> Recipe:
    t, i = place[0], place[1]
    x = works.notes["mlp.input"][t]
    _, source = works.entering("mlp")
    if point == "mlp.hook_router_logits":
        return product(x, works.at(source, t), layer.router, i, works.model)
    router = works.notes["mlp.router"][t].float()
    chosen = works.notes["mlp.hook_expert_indices"][t]
    sources = {"x": works.at("mlp.hook_router_logits", t)}
    if point == "mlp.hook_expert_indices":
        return Recipe("choice", {"at": float(i)}, {"x": numbers(router)}, sources)
    if point == "mlp.hook_expert_weights":
        given = {"at": float(i), "normalise": float(layer.normalise)}
        rows = {"x": numbers(router), "chosen": numbers(chosen)}
        return Recipe("share", given, rows, sources | {"chosen": works.at("mlp.hook_expert_indices", t)})
    weights = works.notes["mlp.hook_expert_weights"][t].float()
    experts: Any = layer.experts
    name = module_name(works.model, experts)
    if point == "mlp.hook_expert_post":
        expert, f = int(chosen[i]), place[2]
        matrix, width = experts.gate_up[expert].float(), experts.down.shape[-1]
        given = {"gate": float(matrix[f] @ x.float()), "up": float(matrix[f + width] @ x.float())}
        where = {"gate": f"{name}.gate_up[{expert}, {f}] with {works.at(source, t)}"}
        return Recipe(
            "swiglu", given, {}, where | {"up": f"{name}.gate_up[{expert}, {f + width}] with {works.at(source, t)}"}
        )
    each = []
    for expert in chosen.tolist():
        gate, up = F.linear(x, experts.gate_up[expert].to(x.dtype)).chunk(2, dim=-1)
        each.append(float((F.silu(gate) * up).float() @ experts.down[expert, i].float()))
    where = {
        "a": works.at("mlp.hook_expert_weights", t),
        "b": f"{name}.down[:, {i}] with {works.at('mlp.hook_expert_post', t)}",
    }
    return Recipe("dot", {}, {"a": numbers(weights), "b": each}, where)
