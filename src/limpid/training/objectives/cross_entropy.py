"""Cross-entropy of the next token, a slice of rows at a time, so that all logits never exist at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_LOGITS = 1 << 20
"""Logits held at once, in elements: small enough to stay in cache on a CPU."""


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Loss and gradients in one pass: each chunk's logits are made, used for both, and dropped."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor, z_loss: float, chunk: int
    ) -> Tensor:
        matrix = weight.to(hidden.dtype)
        d_hidden = torch.empty_like(hidden)
        d_weight = torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for rows in torch.arange(hidden.shape[0], device="cpu").split(chunk):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            logits = (hidden[part] @ matrix.T).float()  # (n, V)
            log_sum = logits.logsumexp(-1)
            chosen = logits.gather(1, targets[part, None]).squeeze(1)
            w = weights[part]
            total += (w * (log_sum - chosen + z_loss * log_sum.square())).sum()
            d_logits = logits.sub_(log_sum[:, None]).exp_()  # the softmax, in place
            if z_loss:
                d_logits.mul_(1 + 2 * z_loss * log_sum[:, None])
            d_logits.scatter_add_(1, targets[part, None], torch.full_like(w, -1.0)[:, None])
            d_low = d_logits.mul_(w[:, None]).to(hidden.dtype)
            torch.matmul(d_low, matrix, out=d_hidden[part])
            d_weight += d_low.T @ hidden[part]
        ctx.save_for_backward(d_hidden, d_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        (scale,) = grads
        return d_hidden * scale.to(d_hidden.dtype), d_weight * scale, None, None, None, None


def summed_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor, *, z_loss: float = 0.0
) -> Tensor:
    """``sum(weights * -log softmax(hidden @ weight.T)[targets])``, a float32 scalar, in nats.

    Args:
        hidden: (B, T, D) in the compute dtype.
        weight: (V, D) of the output head.
        targets: (B, T) token ids; a position of weight 0 may hold any valid id.
        weights: (B, T) float32, how much each target counts.
        z_loss: coefficient of ``log(sum(exp(logits)))**2`` (Chowdhery et al. 2022, section 5), kept per target.

    Rows whose weight is 0 are dropped before the product, so masked positions cost nothing.
    """
    flat = weights.reshape(-1)
    hidden, targets = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    if not torch.all(flat):
        keep = flat.nonzero().squeeze(1)
        hidden, targets, flat = hidden[keep], targets[keep], flat[keep]
    chunk = max(64, CHUNK_LOGITS // weight.shape[0])
    if torch.is_grad_enabled():
        return _ChunkedCrossEntropy.apply(hidden, weight, targets, flat, z_loss, chunk)
    total = torch.zeros((), dtype=torch.float32, device=hidden.device)
    matrix = weight.to(hidden.dtype)
    for h, t, w in zip(hidden.split(chunk), targets.split(chunk), flat.split(chunk), strict=True):
        total += (w * torch.nn.functional.cross_entropy((h @ matrix.T).float(), t, reduction="none")).sum()
    return total
