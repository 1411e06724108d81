"""Distillation: learn the teacher's whole distribution of the next token, not only the token that came."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.data.batches import Batch
from limpid.models.decoder import Decoder
from limpid.nn.heads import soft_cap
from limpid.training.objectives.cross_entropy import CHUNK_LOGITS


class Distillation:
    """Summed weighted ``share * T^2 * KL(teacher || student) + (1 - share) * cross-entropy``, in nats.

    Both distributions of the divergence are softened by the temperature T; T^2 keeps its gradient's size whatever T is
    (Hinton et al. 2015, section 2). The teacher is frozen and has the student's vocabulary.

    measured: after each call, "teacher_kl", the mean KL a token at temperature T since `reset`.
    """

    def __init__(self, dtype: torch.dtype, teacher: Decoder, temperature: float, share: float) -> None:
        self.dtype, self.teacher, self.temperature, self.share = dtype, teacher, temperature, share
        self._sums = torch.zeros(2)  # KL, tokens

    @property
    def measured(self) -> dict[str, float]:
        """What was measured since it was last asked for."""
        divergence, tokens = self._sums.tolist()
        self._sums.zero_()
        return {"teacher_kl": divergence / max(tokens, 1.0)}

    def __call__(self, model: Decoder, batch: Batch) -> Tensor:
        penalties: list[Tensor] = []
        learnt = batch.weights > 0
        hidden = model(batch.inputs, dtype=self.dtype, segments=batch.segments, penalties=penalties)[learnt]
        with torch.no_grad():
            shown = self.teacher(batch.inputs, dtype=self.dtype, segments=batch.segments)[learnt]
        weights = batch.weights[learnt]
        loss, divergence = _ChunkedDistillation.apply(
            hidden, model.head.weight, shown, self.teacher.head.weight, batch.targets[learnt], weights,
            self.temperature, self.share, model.head.cap, self.teacher.head.cap,
        )  # fmt: skip
        self._sums += torch.stack([divergence.detach(), weights.sum()]).cpu()
        return loss + weights.sum() * sum(penalties) if penalties else loss


class _ChunkedDistillation(torch.autograd.Function):
    """Loss and gradients in one pass, a slice of rows at a time, so that all logits never exist at once.

    Shapes: hidden, shown (N, D) and (N, D'); weight, other (V, D) and (V, D'); targets, weights (N,).
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        shown: Tensor,
        other: Tensor,
        targets: Tensor,
        weights: Tensor,
        temperature: float,
        share: float,
        cap: float,
        other_cap: float,
    ) -> tuple[Tensor, Tensor]:
        matrix, other = weight.to(hidden.dtype), other.to(shown.dtype)
        d_hidden = torch.empty_like(hidden)
        d_weight = torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        summed = torch.zeros_like(total)
        chunk = max(64, CHUNK_LOGITS // weight.shape[0])
        for begin in range(0, len(hidden), chunk):
            part = slice(begin, begin + chunk)
            w, target = weights[part], targets[part, None]
            logits = soft_cap((hidden[part] @ matrix.T).float(), cap)  # (n, V)
            theirs = (soft_cap((shown[part] @ other.T).float(), other_cap) / temperature).log_softmax(-1)
            ours = (logits / temperature).log_softmax(-1)
            taught = theirs.exp()
            divergence = (taught * (theirs - ours)).sum(-1)
            plain = logits.log_softmax(-1)
            cross_entropy = -plain.gather(1, target).squeeze(1)
            total += (w * (share * temperature**2 * divergence + (1 - share) * cross_entropy)).sum()
            summed += (w * divergence).sum()
            d_logits = (share * temperature) * (ours.exp() - taught)
            d_logits += (1 - share) * plain.exp_()
            d_logits.scatter_add_(1, target, torch.full_like(w, share - 1.0)[:, None])
            if cap:
                d_logits *= 1 - (logits / cap).square()
            d_logits *= w[:, None]
            d_low = d_logits.to(hidden.dtype)
            torch.matmul(d_low, matrix, out=d_hidden[part])
            d_weight += d_low.T @ hidden[part]
        ctx.save_for_backward(d_hidden, d_weight.to(weight.dtype))
        ctx.mark_non_differentiable(summed)
        return total, summed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        scale = grads[0]
        return d_hidden * scale.to(d_hidden.dtype), d_weight * scale, *[None] * 8
