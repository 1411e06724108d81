"""The policy gradient: make the tokens of good answers more probable, those of bad ones less."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from limpid.data.answer_batch import AnswerBatch
from limpid.models.actor_critic import ActorCritic
from limpid.models.decoder import Decoder
from limpid.training.objectives import kl as divergences
from limpid.training.objectives.kl import AdaptiveKl


class PolicyLoss(NamedTuple):
    """The terms of the loss. temperature: that of the draws, and of every probability but that of given text.

    clip_low, clip_high: see `algorithms.Settings`. kl_in_loss: whether the divergence is a term, or only measured.
    entropy: coefficient of the entropy, which is raised. value: coefficient of the value model's loss. value_clip: a
    value may move so far in one rollout before it stops learning from a token; 0: any distance.
    """

    temperature: float = 1.0
    clip_low: float = 0.2
    clip_high: float = 0.2
    kl_in_loss: bool = True
    entropy: float = 0.0
    value: float = 0.0
    value_clip: float = 0.2


def clipped_surrogate(ratio: Tensor, advantages: Tensor, low: float, high: float) -> Tensor:
    """``-min(ratio A, clip(ratio, 1 - low, 1 + high) A)`` of each token (Schulman et al. 2017, equation 7), to be
    minimised; low and high 0: ``-ratio A``, whose gradient where nothing moved yet is REINFORCE's."""
    if not low and not high:
        return -ratio * advantages
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)


def value_loss(values: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Half the squared error of each token's value, or that of the value held within ``clip`` of the old one, if it is
    larger (Schulman et al. 2016; clipping as in OpenAI's baselines)."""
    plain = (values - returns).square()
    if clip:
        plain = torch.maximum(plain, (old + (values - old).clamp(-clip, clip) - returns).square())
    return 0.5 * plain


class PolicyGradient:
    """The summed loss of a batch of answers; the loop divides it once, by the number of rows.

    Per drawn token: the clipped surrogate, with the ratio to the probability it was drawn with; ``kl`` times its
    divergence from the reference; the value model's loss. Per token of given text: ``-log p`` at temperature 1 (the
    pretraining mix of Ouyang et al. 2022, equation 2, and demonstrations). Each is scaled by the batch's weights.

    reference: a frozen copy of the model that was started from, for the exact divergence; None where the batch brings
    the reference's log-probabilities, for k3. (k1 is no term of a loss: the gradient of its mean is 0.)
    """

    def __init__(self, dtype: torch.dtype, loss: PolicyLoss, kl: AdaptiveKl, reference: Decoder | None = None) -> None:
        self.dtype, self.loss, self.kl, self.reference = dtype, loss, kl, reference
        self.reset()

    def reset(self) -> None:
        """Forget what was measured."""
        self.sums = torch.zeros(6, dtype=torch.float64)

    def measured(self, sums: Tensor | None = None) -> dict[str, float]:
        """Means over the drawn tokens since `reset`: "entropy" in nats, "clip_fraction", "ratio" of new to old
        probability, and with the reference at hand the exact "kl" in nats; given text does not count. (k3 of tokens
        that an older policy drew means nothing: one that has become improbable weighs more than all others.)

        sums: `sums` of all processes, added up; each has seen its own rows.
        """
        tokens, kl, entropy, clipped, ratio, value = (self.sums if sums is None else sums).tolist()
        names = {"entropy": entropy, "clip_fraction": clipped, "ratio": ratio}
        if self.reference is not None:
            names["kl"] = kl
        if self.loss.value:
            names["value_loss"] = value
        return {name: total / max(tokens, 1.0) for name, total in names.items()}

    def __call__(self, model: Decoder | ActorCritic, batch: AnswerBatch) -> Tensor:
        batch = batch.trimmed()
        policy = model.policy if isinstance(model, ActorCritic) else model
        hidden = policy(batch.inputs, dtype=self.dtype)  # (B, T, D)
        drawn = (batch.weights > 0) & batch.drawn[:, None]
        given = (batch.weights > 0) & ~batch.drawn[:, None]
        total = self._policy_terms(policy, hidden, batch, drawn)
        if isinstance(model, ActorCritic) and self.loss.value:
            values = model.values(batch.inputs, hidden, self.dtype)[drawn]
            losses = value_loss(values, batch.values[drawn], batch.returns[drawn], self.loss.value_clip)
            self.sums[5] += losses.detach().sum().double().cpu()
            total = total + self.loss.value * (batch.weights[drawn] * losses).sum()
        # Also where there is none: every process must compute the same graph.
        logprobs = _of(policy.head(hidden[given]).float().log_softmax(-1), batch.targets[given])
        return total - (batch.weights[given] * logprobs).sum()

    def _policy_terms(self, policy: Decoder, hidden: Tensor, batch: AnswerBatch, drawn: Tensor) -> Tensor:
        loss, weights = self.loss, batch.weights[drawn]
        everything = (policy.head(hidden[drawn]).float() / loss.temperature).log_softmax(-1)  # (N, V)
        logprobs = _of(everything, batch.targets[drawn])
        ratio = (logprobs - batch.logprobs[drawn]).exp()
        surrogate = clipped_surrogate(ratio, batch.advantages[drawn], loss.clip_low, loss.clip_high)
        entropy = -(everything.exp() * everything).sum(-1)
        kl = self._divergence(everything, logprobs, batch, drawn)
        with torch.no_grad():
            outside = (ratio < 1 - loss.clip_low) | (ratio > 1 + loss.clip_high)
            clipped = outside if loss.clip_low or loss.clip_high else torch.zeros_like(outside)
            seen = (torch.ones_like(kl), kl, entropy, clipped, ratio)
            self.sums[:5] += torch.stack([part.double().sum() for part in seen]).cpu()
        terms = surrogate - loss.entropy * entropy
        if loss.kl_in_loss and self.kl.coefficient:
            terms = terms + self.kl.coefficient * kl
        return (weights * terms).sum()

    def _divergence(self, everything: Tensor, logprobs: Tensor, batch: AnswerBatch, drawn: Tensor) -> Tensor:
        if self.reference is None:
            return divergences.k3(logprobs, batch.reference[drawn])
        with torch.no_grad():
            other = self.reference.head(self.reference(batch.inputs, dtype=self.dtype)[drawn]).float()
        return divergences.exact(everything, (other / self.loss.temperature).log_softmax(-1))


def _of(logprobs: Tensor, targets: Tensor) -> Tensor:
    """The entries of (N, V) at (N,) token ids."""
    return logprobs.gather(1, targets[:, None]).squeeze(1)


@torch.no_grad()
def token_logprobs(model: Any, batch: AnswerBatch, dtype: torch.dtype, temperature: float, rows: int) -> Tensor:
    """(B, T) log-probabilities of the answer tokens at ``temperature``, 0 elsewhere; so many rows at once."""
    found = torch.zeros_like(batch.logprobs)
    device = next(model.parameters()).device
    for start in range(0, len(batch.inputs), rows):
        part = batch.rows(start, start + rows).trimmed()
        spoken = part.weights > 0
        hidden = model(part.inputs.to(device), dtype=dtype)[spoken.to(device)]
        logprobs = (model.head(hidden).float() / temperature).log_softmax(-1).cpu()
        found[start : start + rows, : spoken.shape[1]][spoken] = _of(logprobs, part.targets[spoken])
    return found
