"""The policy's loss of drawn tokens and its gradient, a slice of tokens at a time, so that all logits never exist at
once."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from limpid.nn.heads import LanguageModelHead, soft_cap
from limpid.training.objectives import kl as divergences
from limpid.training.objectives.cross_entropy import CHUNK_LOGITS

MEASURES = ("tokens", "kl", "entropy", "clipped", "ratio")
"""What is summed over tokens on the way."""


class PolicyTerms(NamedTuple):
    """temperature: that of the draws. clip_low, clip_high: of the ratio, 0 for both: never. kl: coefficient of the
    divergence. entropy: coefficient of the entropy, which is raised."""

    temperature: float
    clip_low: float
    clip_high: float
    kl: float
    entropy: float


class DrawnTokens(NamedTuple):
    """Of n drawn tokens, (n,) each: their ids, what each counts, its advantage, the log-probability it was drawn with,
    and that under the reference."""

    targets: Tensor
    weights: Tensor
    advantages: Tensor
    logprobs: Tensor
    reference: Tensor


def clipped_surrogate(ratio: Tensor, advantages: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """``-min(ratio A, clip(ratio, 1 - low, 1 + high) A)`` of each token (Schulman et al. 2017, equation 7), to be
    minimised, and its derivative by log p. low and high 0: ``-ratio A``, whose gradient where nothing moved yet is
    REINFORCE's."""
    plain = ratio * advantages
    if not low and not high:
        return -plain, -plain
    held = ratio.clamp(1 - low, 1 + high) * advantages
    return -torch.minimum(plain, held), -plain * (plain <= held)


def policy_loss(
    hidden: Tensor,
    head: LanguageModelHead,
    tokens: DrawnTokens,
    terms: PolicyTerms,
    other: tuple[Tensor, LanguageModelHead] | None = None,
) -> tuple[Tensor, Tensor]:
    """``sum(weights * (surrogate - entropy * H + kl * KL))``, a float32 scalar, and the sums of `MEASURES`, float64.

    Args:
        hidden: (n, D) the policy's states that the tokens were predicted from.
        head: the policy's.
        other: the reference's states (n, D) and head, for the exact divergence; None: k3 of ``tokens.reference``.

    The divergence is computed, but costs nothing, where its coefficient is 0.
    """
    seen = torch.zeros(len(MEASURES), dtype=torch.float64)
    loss: Tensor = _ChunkedPolicy.apply(hidden, head.weight, head.cap, tokens, terms, other, seen)
    return loss, seen


class _ChunkedPolicy(torch.autograd.Function):
    """Loss and gradients in one pass: each slice's logits are made, used for both, and dropped.

    By the logits z of a token, with p = softmax(z / T), a surrogate or k3 of slope s by log p has the gradient
    ``s (onehot - p) / T``; the entropy H ``-p (log p + H) / T``; and KL(p || q) ``p (log p - log q - KL) / T``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        cap: float,
        tokens: DrawnTokens,
        terms: PolicyTerms,
        other: tuple[Tensor, LanguageModelHead] | None,
        seen: Tensor,
    ) -> Tensor:
        matrix = weight.to(hidden.dtype)
        d_hidden = torch.empty_like(hidden)
        d_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        total = torch.zeros((), device=hidden.device)
        sums = torch.zeros(len(MEASURES), dtype=torch.float64, device=hidden.device)
        chunk = max(64, CHUNK_LOGITS // len(weight))
        for begin in range(0, len(hidden), chunk):
            part = slice(begin, begin + chunk)
            logits = soft_cap((hidden[part] @ matrix.T).float(), cap)  # (m, V)
            slope = 1 - (logits / cap).square() if cap else None  # of the cap: the derivative of tanh
            logs = torch.log_softmax(logits / terms.temperature, -1)
            theirs = None
            if other is not None:
                states, head = other
                theirs = torch.log_softmax(head(states[part]).float() / terms.temperature, -1)
            some = DrawnTokens(*(field[part] for field in tokens))
            d_logits, summed, found = _slice(logs, theirs, some, terms)
            total += summed
            sums += found
            if slope is not None:
                d_logits.mul_(slope)
            low = d_logits.to(hidden.dtype)
            torch.matmul(low, matrix, out=d_hidden[part])
            if d_weight is not None:
                d_weight += low.T @ hidden[part]
        seen += sums.cpu()
        ctx.save_for_backward(d_hidden, None if d_weight is None else d_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        (scale,) = grads
        by_weight = None if d_weight is None else d_weight * scale
        return d_hidden * scale.to(d_hidden.dtype), by_weight, None, None, None, None, None


def _slice(
    logs: Tensor, theirs: Tensor | None, tokens: DrawnTokens, terms: PolicyTerms
) -> tuple[Tensor, Tensor, Tensor]:
    """Of log-probabilities (m, V): the gradient by the logits (m, V), the loss, and the sums of `MEASURES`."""
    targets = tokens.targets[:, None]
    chances = logs.exp()
    own = logs.gather(1, targets).squeeze(1)
    ratio = (own - tokens.logprobs).exp()
    surrogate, slope = clipped_surrogate(ratio, tokens.advantages, terms.clip_low, terms.clip_high)
    entropy = -(chances * logs).sum(-1)
    if theirs is None:
        kl = divergences.k3(own, tokens.reference)
        slope = slope + terms.kl * (1 - (tokens.reference - own).exp())
        inner = -slope[:, None]  # what each p is multiplied by
    else:
        apart = logs - theirs
        kl = (chances * apart).sum(-1)
        inner = -slope[:, None]
        if terms.kl:
            inner = inner + terms.kl * (apart - kl[:, None])
    if terms.entropy:
        inner = inner + terms.entropy * (logs + entropy[:, None])
    each = surrogate - terms.entropy * entropy + terms.kl * kl
    weights = tokens.weights / terms.temperature
    d_logits = chances.mul_(inner).scatter_add_(1, targets, slope[:, None]).mul_(weights[:, None])
    outside = (ratio < 1 - terms.clip_low) | (ratio > 1 + terms.clip_high)
    clipped = outside if terms.clip_low or terms.clip_high else torch.zeros_like(outside)
    sums = [part.double().sum() for part in (torch.ones_like(kl), kl, entropy, clipped, ratio)]
    return d_logits, (tokens.weights * each).sum(), torch.stack(sums)
