"""Direct logit attribution: what each part writes into the residual stream, seen along the direction of a logit.

The stream is a sum, and a logit is linear in it once the scale of each norm is held at what it was (Elhage et al. 2021,
"A Mathematical Framework for Transformer Circuits"). Here the direction is carried back from the head, through every
norm that stands in the stream's way, to each part that writes; so the shares sum to the logit for pre-norm, post-norm
and mixed streams alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from limpid.core.errors import LimpidError
from limpid.inspection.matrices import Inside, matrix
from limpid.inspection.points import is_post_norm, norm_scale
from limpid.inspection.subject import embedding_norm
from limpid.inspection.twin import attentions, norms
from limpid.models.speedrun import SpeedrunBlock
from limpid.nn.norm import LayerNorm, RMSNorm

if TYPE_CHECKING:
    from limpid.inspection.trace import Trace

Doubles = npt.NDArray[np.float64]


class Attribution(NamedTuple):
    """The logit of a token at a place, minus that of ``against`` if there is one, as a sum of shares.

    logit: the model's own, before a cap. embeddings: of what is summed before the first block, and
    where its table is kept in fewer bits, of the rounding of that sum. heads: (L, H) of each
    kind of attention. attention_biases: (L,) of each. feed_forward: (L,). biases: of the head and of norms.
    directions: (L, D) of each kind of branch, that along which its output counts.
    """

    trace: Trace
    at: int
    token_id: int
    against: int | None
    logit: float
    embeddings: dict[str, float]
    heads: dict[str, Doubles]
    attention_biases: dict[str, Doubles]
    feed_forward: Doubles
    biases: float
    directions: dict[str, Tensor]

    @property
    def total(self) -> float:
        """The sum of all shares: the logit, but for rounding."""
        parts = [*self.embeddings.values(), self.feed_forward.sum(), self.biases]
        parts += [table.sum() for table in (*self.heads.values(), *self.attention_biases.values())]
        return float(sum(parts))

    def neurons(self, layer: int) -> Doubles:
        """(F,): the shares of a layer's neurons; with that of its bias they sum to ``feed_forward[layer]``.

        Raises:
            LimpidError: the layer is a mixture of experts.
        """
        inside = self.trace.main.inside(layer)
        if "mlp.hook_post" not in inside.notes:
            raise LimpidError(f"layer {layer} is a mixture of experts: it has no one set of neurons.")
        down: Any = inside.block.get_submodule("feed_forward").get_submodule("down")
        shares = inside.notes["mlp.hook_post"][0, self.at].double() * (self.directions["mlp"][layer] @ _weight(down))
        return _array(shares)

    def sources(self, layer: int, head: int, kind: str = "attn") -> Doubles:
        """(S,): a head's share, by the token it was read from; they sum to ``heads[kind][layer, head]``."""
        inside = self.trace.main.inside(layer)
        weights = matrix(inside, kind, head)[self.at].double()
        values = inside.notes[f"{kind}.kernel_v"][0]
        queries = inside.notes[f"{kind}.kernel_q"].shape[1]
        along = _head_directions(attentions(inside.block)[kind], self.directions[kind][layer])[head]
        return _array(weights * (values[head // (queries // len(values))].double() @ along))

    def ranked(self) -> list[tuple[str, float]]:
        """Every share by name, the largest by amount first."""
        rows = [(name.removeprefix("hook_"), share) for name, share in self.embeddings.items()]
        for kind, table in self.heads.items():
            word = "head" if kind == "attn" else "cross_head"
            rows += [(f"{word}:{layer}.{head}", float(share)) for (layer, head), share in np.ndenumerate(table)]
            rows += [
                (f"{kind}:{layer} bias", float(share))
                for layer, share in enumerate(self.attention_biases[kind])
                if share
            ]
        rows += [(f"mlp:{layer}", float(share)) for layer, share in enumerate(self.feed_forward)]
        rows.append(("biases of norms and head", self.biases))
        return sorted((row for row in rows if row[1]), key=lambda row: -abs(row[1]))

    @property
    def title(self) -> str:
        """What was attributed, in words."""
        own = f"'{self.trace.label(self.token_id)}'"
        if self.against is None:
            return f"logit of {own}"
        return f"logit of {own} minus '{self.trace.label(self.against)}'"

    def _repr_html_(self) -> str:
        from limpid.inspection.html import attribution_view
        from limpid.inspection.markup import framed

        return framed(attribution_view(self))


@torch.no_grad()
def attribute(
    trace: Trace, token: int | str | None = None, against: int | str | None = None, at: int = -1
) -> Attribution:
    """See `Trace.attribution`. token: None is the most probable.

    Raises:
        LimpidError: an encoder, whose head is not linear; a classifier that takes a mean; a token that is not one.
    """
    model, head, place = trace.subject.model, trace.subject.head, trace.place(at)
    if head is None:
        raise LimpidError(
            "an encoder's head is not linear in its states, so no logit can be shared out among its parts."
        )
    if trace.subject.pools:
        raise LimpidError("this model's answer is a mean over places, so no place's parts make it alone.")
    trace.check_weights()
    token_id = int(trace.logits(place).argmax()) if token is None else trace.token_id(token)
    other = None if against is None else trace.token_id(against)
    direction, constant = head.weight[token_id].double(), _bias(head, token_id)
    if other is not None:
        direction, constant = direction - head.weight[other].double(), constant - _bias(head, other)
    logit = float(trace.hidden[place].double() @ direction) + constant

    def through(norm: nn.Module, x: Tensor, along: Tensor) -> Tensor:
        nonlocal constant
        along, added = _pulled(norm, x[place], along)
        constant += added
        return along

    stack = trace.main
    direction = through(stack.norm, stack.entered(len(stack)), direction)
    kinds = stack.kinds()
    heads: dict[str, list[Tensor]] = {kind: [] for kind in kinds}
    biases: dict[str, list[float]] = {kind: [] for kind in kinds}
    directions: dict[str, list[Tensor]] = {branch: [] for branch in (*kinds, "mlp")}
    outputs, at_start = [], torch.zeros_like(direction)
    for layer in range(len(stack) - 1, -1, -1):
        inside = stack.inside(layer)
        for number, (norm, branch) in reversed(list(enumerate(norms(inside.block), start=1))):
            if is_post_norm(inside.block):
                direction = through(norm, inside.notes[f"ln{number}.input"][0], direction)
            directions[branch].append(direction)
            if branch == "mlp":
                outputs.append(float(inside.notes["hook_mlp_out"][0, place].double() @ direction))
            else:
                shares, bias = _attention_shares(inside, branch, place, direction)
                heads[branch].append(shares)
                biases[branch].append(bias)
        if isinstance(inside.block, SpeedrunBlock):
            own, start = inside.block.mix.double()
            direction, at_start = own * direction, at_start + start * direction
    table = trace.embedded(stack)
    direction = direction + at_start
    entered = float(table.pop("hook_full_embed")[place].double() @ direction) + constant
    direction = through(embedding_norm(trace.subject, stack), sum(table.values(), torch.zeros(())), direction)
    embeddings = {name: float(value[place].double() @ direction) for name, value in table.items()}
    if model.embedding.weight.dtype != torch.float32:  # the model summed them in fewer bits than we do
        embeddings["rounding"] = entered - constant - sum(embeddings.values())
    return Attribution(
        trace, place, token_id, other, logit, embeddings,
        {kind: _array(torch.stack(rows[::-1])) for kind, rows in heads.items()},
        {kind: np.array(rows[::-1]) for kind, rows in biases.items()},
        np.array(outputs[::-1]), constant,
        {branch: torch.stack(rows[::-1]) for branch, rows in directions.items()},
    )  # fmt: skip


def _pulled(norm: nn.Module, x: Tensor, along: Tensor) -> tuple[Tensor, float]:
    """For y = norm(x) with its scale held: the direction in x along which y counts along ``along``, and a constant."""
    if isinstance(norm, RMSNorm):
        return along * norm.weight.double() / norm_scale(norm, x.double()), 0.0
    if isinstance(norm, LayerNorm):
        scaled = along * norm.weight.double() / norm_scale(norm, x.double())
        return scaled - scaled.mean(), float(norm.bias.double() @ along)
    return along, 0.0


def _attention_shares(inside: Inside, kind: str, place: int, along: Tensor) -> tuple[Tensor, float]:
    """(H,) of each head's output at a place, and of the output's bias."""
    attention: Any = attentions(inside.block)[kind]
    z = inside.notes[f"{kind}.hook_z"][0, :, place].double()  # (H, C)
    bias = attention.output.bias
    return (z * _head_directions(attention, along)).sum(-1), 0.0 if bias is None else float(bias.double() @ along)


def _head_directions(attention: Any, along: Tensor) -> Tensor:
    """(H, C): the direction as each head's mixed values see it, through the output's matrix."""
    return (along @ _weight(attention.output)).view(-1, attention.head_dim)


def _weight(linear: Any) -> Tensor:
    weight: Tensor = linear.weight.detach()
    return weight.double()


def _bias(head: Any, token_id: int) -> float:
    return 0.0 if head.bias is None else float(head.bias[token_id])


def _array(tensor: Tensor) -> Doubles:
    found: Doubles = tensor.detach().cpu().numpy()
    return found
