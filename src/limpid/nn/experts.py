"""Mixture of experts: a router sends each token to a few of many feed-forward layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.nn.attention import Attention, Context, LayerCache
from limpid.nn.block import PreNormBlock
from limpid.nn.linear import Linear


class Experts(nn.Module):
    """E SwiGLU layers in three tensors of matrices, each run once, on all the tokens that chose it.

    Shapes: x (N, D); chosen (N, k), numbers of experts; weights (N, k) -> (N, D), the weighted sum of the k outputs.
    """

    def __init__(self, n_expert: int, d_model: int, d_ff: int, *, output_std: float | None = None) -> None:
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(n_expert, 2 * d_ff, d_model))
        self.down = nn.Parameter(torch.empty(n_expert, d_model, d_ff))
        self.std = d_model**-0.5
        self.output_std = d_ff**-0.5 if output_std is None else output_std

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        nn.init.normal_(self.gate_up, std=self.std, generator=generator)
        if self.output_std:
            nn.init.normal_(self.down, std=self.output_std, generator=generator)
        else:
            nn.init.zeros_(self.down)

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        each = chosen.shape[1]
        order = chosen.flatten().argsort(stable=True)  # (N k,) choices, expert by expert
        counts = torch.bincount(chosen.flatten(), minlength=len(self.gate_up)).tolist()
        gate_ups, downs = self.gate_up.to(x.dtype).unbind(), self.down.to(x.dtype).unbind()
        outputs = []
        for expert, tokens in enumerate(x[order // each].split(counts)):
            if len(tokens):
                gate, up = F.linear(tokens, gate_ups[expert]).chunk(2, dim=-1)
                outputs.append(F.linear(F.silu(gate) * up, downs[expert]))
        by_token = torch.cat(outputs)[order.argsort()].view(-1, each, x.shape[1])  # (N, k, D)
        return (by_token * weights.to(x.dtype)[..., None]).sum(1)

    def keep_from_compiler(self) -> None:
        """How many tokens an expert gets is another number every time: a compiler would specialise on each."""
        self.forward = torch.compiler.disable(self.forward)  # type: ignore[method-assign]


class MixtureOfExperts(nn.Module):
    """Each token's feed-forward layer is the weighted sum of the k experts its router finds most probable.

    normalise: whether the k probabilities are scaled to sum to one (Mixtral: Jiang et al. 2024, section 2.1) or kept.

    Shapes: x (B, T, D), counted (B, T) bool -> (B, T, D), and the balance loss of Switch Transformers (Fedus et al.
    2022, equations 4-6) over the tokens counted: E x the sum over experts of (choices of it a token) x (its mean
    probability); k where all are alike, and the more the fewer experts do the work.
    """

    def __init__(
        self,
        n_expert: int,
        experts_per_token: int,
        d_model: int,
        d_ff: int,
        *,
        normalise: bool,
        output_std: float | None = None,
    ) -> None:
        super().__init__()
        self.experts_per_token, self.normalise = experts_per_token, normalise
        self.router = Linear(d_model, n_expert)
        self.experts = Experts(n_expert, d_model, d_ff, output_std=output_std)

    def forward(self, x: Tensor, counted: Tensor | None = None) -> tuple[Tensor, Tensor]:
        flat = x.reshape(-1, x.shape[-1])  # (N, D)
        probabilities = self.router(flat).float().softmax(-1)  # (N, E)
        weights, chosen = probabilities.topk(self.experts_per_token, dim=-1)  # (N, k)
        if self.normalise:
            weights = weights / weights.sum(-1, keepdim=True)
        imbalance = balance(probabilities, chosen, None if counted is None else counted.flatten())
        return self.experts(flat, chosen, weights).view(x.shape), imbalance


def balance(probabilities: Tensor, chosen: Tensor, counted: Tensor | None = None) -> Tensor:
    """The balance loss of router probabilities (N, E) and the experts chosen (N, k), over the tokens counted (N,)."""
    n_expert = probabilities.shape[-1]
    choices = F.one_hot(chosen, n_expert).float().sum(1)  # (N, E)
    if counted is None:
        return n_expert * (choices.mean(0) * probabilities.mean(0)).sum()
    share = counted.float() / counted.sum().clamp(min=1)  # (N,)
    return n_expert * ((share @ choices) * (share @ probabilities)).sum()


class ExpertsBlock(PreNormBlock):
    """A `PreNormBlock` whose feed-forward layer is a `MixtureOfExperts`, and whose balance, times ``balance_loss``, is
    added to the loss where there is one."""

    def __init__(
        self,
        attention: Attention,
        feed_forward: MixtureOfExperts,
        attention_norm: nn.Module,
        feed_forward_norm: nn.Module,
        *,
        dropout: float,
        balance_loss: float,
    ) -> None:
        super().__init__(attention, feed_forward, attention_norm, feed_forward_norm, dropout=dropout)
        self.balance_loss = balance_loss

    def forward(self, x: Tensor, context: Context, cache: LayerCache | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), context, cache))
        out, imbalance = self.feed_forward(self.feed_forward_norm(x), context.counted)
        if context.penalties is not None:
            context.penalties.append(self.balance_loss * imbalance)
        return x + self.dropout(out)
