"""Cross-entropy of the next token, a slice of rows at a time, so that all logits never exist at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.nn.heads import soft_cap

CHUNK_LOGITS = 1 << 20
"""Logits held at once, in elements: small enough to stay in cache on a CPU."""


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Loss and gradients in one pass: each chunk's logits are made, used for both, and dropped."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        weights: Tensor,
        z_loss: float,
        smoothing: float,
        cap: float,
        chunk: int,
    ) -> Tensor:
        matrix = weight.to(hidden.dtype)
        d_hidden = torch.empty_like(hidden)
        d_weight = torch.zeros_like(weight, dtype=torch.float32)
        d_bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for begin in range(0, hidden.shape[0], chunk):
            part = slice(begin, begin + chunk)
            logits = _logits(hidden[part], matrix, bias, cap)  # (n, V)
            slope = 1 - (logits / cap).square() if cap else None  # of the cap: the derivative of tanh
            log_sum = logits.logsumexp(-1)
            chosen = logits.gather(1, targets[part, None]).squeeze(1)
            if smoothing:
                chosen = (1 - smoothing) * chosen + smoothing * logits.mean(-1)
            w = weights[part]
            total += (w * (log_sum - chosen + z_loss * log_sum.square())).sum()
            d_logits = logits.sub_(log_sum[:, None]).exp_()  # the softmax, in place
            if z_loss:
                d_logits.mul_(1 + 2 * z_loss * log_sum[:, None])
            if smoothing:
                d_logits.sub_(smoothing / logits.shape[1])
            d_logits.scatter_add_(1, targets[part, None], torch.full_like(w, smoothing - 1.0)[:, None])
            if slope is not None:
                d_logits.mul_(slope)
            d_logits.mul_(w[:, None])
            if d_bias is not None:
                d_bias += d_logits.sum(0)
            d_low = d_logits.to(hidden.dtype)
            torch.matmul(d_low, matrix, out=d_hidden[part])
            d_weight += d_low.T @ hidden[part]
        ctx.save_for_backward(d_hidden, d_weight.to(weight.dtype), d_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        (scale,) = grads
        d_bias = None if d_bias is None else d_bias * scale
        return d_hidden * scale.to(d_hidden.dtype), d_weight * scale, d_bias, None, None, None, None, None, None


def _logits(hidden: Tensor, matrix: Tensor, bias: Tensor | None, cap: float) -> Tensor:
    """(n, V) float32."""
    logits = (hidden @ matrix.T).float()
    return soft_cap(logits if bias is None else logits + bias, cap)


def summed_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    weights: Tensor,
    *,
    bias: Tensor | None = None,
    z_loss: float = 0.0,
    label_smoothing: float = 0.0,
    cap: float = 0.0,
) -> Tensor:
    """``sum(weights * -log softmax(hidden @ weight.T)[targets])``, a float32 scalar, in nats.

    Args:
        hidden: (B, T, D) in the compute dtype.
        weight: (V, D) of the output head.
        targets: (B, T) token ids; a position of weight 0 may hold any valid id.
        weights: (B, T) float32, how much each target counts.
        bias: (V,) of the output head, added to the logits.
        z_loss: coefficient of ``log(sum(exp(logits)))**2`` (Chowdhery et al. 2022, section 5), kept per target.
        label_smoothing: share of the target's probability that is spread evenly over the vocabulary, the target
            included (Szegedy et al. 2016, section 7; .1 in Vaswani et al. 2017).
        cap: the output head's bound on its logits (`LanguageModelHead`), 0 for none.

    Without gradients neither z_loss nor label_smoothing counts: what is measured is the plain cross-entropy.

    Rows whose weight is 0 are dropped before the product, so masked positions cost nothing.
    """
    flat = weights.reshape(-1)
    hidden, targets = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    if not torch.all(flat):
        keep = flat.nonzero().squeeze(1)
        hidden, targets, flat = hidden[keep], targets[keep], flat[keep]
    chunk = max(64, CHUNK_LOGITS // weight.shape[0])
    if torch.is_grad_enabled():
        return _ChunkedCrossEntropy.apply(hidden, weight, bias, targets, flat, z_loss, label_smoothing, cap, chunk)
    total = torch.zeros((), dtype=torch.float32, device=hidden.device)
    matrix = weight.to(hidden.dtype)
    for h, t, w in zip(hidden.split(chunk), targets.split(chunk), flat.split(chunk), strict=True):
        total += (w * torch.nn.functional.cross_entropy(_logits(h, matrix, bias, cap), t, reduction="none")).sum()
    return total
