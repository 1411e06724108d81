"""The policy gradient: make the tokens of good answers more probable, those of bad ones less."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from limpid.data.answer_batch import AnswerBatch
from limpid.data.folding import Folded, fold
from limpid.models.actor_critic import ActorCritic
from limpid.models.decoder import Decoder
from limpid.nn.shared_prefixes import picked
from limpid.training.objectives.cross_entropy import CHUNK_LOGITS, summed_cross_entropy
from limpid.training.objectives.kl import AdaptiveKl
from limpid.training.objectives.policy_tokens import DrawnTokens, PolicyTerms, policy_loss


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
    What answers share, their prompt, is computed once (see `fold`).

    reference: a frozen copy of the model that was started from, for the exact divergence; None where the batch brings
    the reference's log-probabilities, for k3. (k1 is no term of a loss: the gradient of its mean is 0.)
    """

    def __init__(self, dtype: torch.dtype, loss: PolicyLoss, kl: AdaptiveKl, reference: Decoder | None = None) -> None:
        self.dtype, self.loss, self.kl, self.reference = dtype, loss, kl, reference
        self.reset()

    def reset(self) -> None:
        """Forget what was measured."""
        self.sums = torch.zeros(7, dtype=torch.float64)

    def measured(self, sums: Tensor | None = None) -> dict[str, float]:
        """Means over the drawn tokens since `reset`: "entropy" in nats, "clip_fraction", "ratio" of new to old
        probability, and with the reference at hand the exact "kl" in nats, and "kl_an_answer"; given text does not
        count. (k3 of tokens that an older policy drew means nothing: one that has become improbable weighs more than
        all others.)

        sums: `sums` of all processes, added up; each has seen its own rows.
        """
        tokens, kl, entropy, clipped, ratio, value, answers = (self.sums if sums is None else sums).tolist()
        count = max(tokens, 1.0)
        names = {"entropy": entropy / count, "clip_fraction": clipped / count, "ratio": ratio / count}
        if self.reference is not None and answers:
            names |= {"kl": kl / count, "kl_an_answer": kl / answers}
        if self.loss.value:
            names["value_loss"] = value / count
        return names

    def __call__(self, model: Decoder | ActorCritic, batch: AnswerBatch) -> Tensor:
        policy = model.policy if isinstance(model, ActorCritic) else model
        folded = fold(batch)
        states = policy(folded.ids, dtype=self.dtype, shared=folded.shared)  # (1, N, D)
        hidden = picked(states[0], folded.trained)  # (n, D)
        drawn, given = slice(0, folded.drawn), slice(folded.drawn, None)
        targets, weights = folded.of(batch.targets), folded.of(batch.weights)
        total, seen = policy_loss(
            hidden[drawn],
            policy.head,
            DrawnTokens(*(folded.of(field)[drawn] for field in _drawn_fields(batch))),
            self._terms(),
            self._theirs(folded),
        )
        self.sums[:5] += seen
        self.sums[6] += ((batch.weights > 0).any(1) & batch.drawn).sum().cpu()
        if isinstance(model, ActorCritic) and self.loss.value:
            values = picked(model.values(folded.ids, folded.shared, states, self.dtype), folded.trained)[drawn]
            old, returns = (folded.of(field)[drawn] for field in (batch.values, batch.returns))
            losses = value_loss(values, old, returns, self.loss.value_clip)
            self.sums[5] += losses.detach().sum().double().cpu()
            total = total + self.loss.value * (weights[drawn] * losses).sum()
        # Also where there is none: every process must compute the same graph.
        return total + summed_cross_entropy(
            hidden[given], policy.head.weight, targets[given], weights[given], cap=policy.head.cap
        )

    def _terms(self) -> PolicyTerms:
        loss = self.loss
        kl = self.kl.coefficient if loss.kl_in_loss else 0.0
        return PolicyTerms(loss.temperature, loss.clip_low, loss.clip_high, kl, loss.entropy)

    @torch.no_grad()
    def _theirs(self, folded: Folded) -> Any:
        """The reference's states of the drawn tokens, and its head."""
        if self.reference is None:
            return None
        states = self.reference(folded.ids, dtype=self.dtype, shared=folded.shared)[0]
        return states[folded.trained[: folded.drawn]], self.reference.head


def _drawn_fields(batch: AnswerBatch) -> tuple[Tensor, ...]:
    return batch.targets, batch.weights, batch.advantages, batch.logprobs, batch.reference


@torch.no_grad()
def token_logprobs(model: Any, batch: AnswerBatch, dtype: torch.dtype, temperature: float, rows: int) -> Tensor:
    """(B, T) log-probabilities of the answer tokens at ``temperature``, 0 elsewhere; so many rows at once."""
    found = torch.zeros_like(batch.logprobs)
    device = next(model.parameters()).device
    for start in range(0, len(batch.inputs), rows):
        part = batch.rows(start, start + rows).to(device)
        folded = fold(part)
        hidden = model(folded.ids, dtype=dtype, shared=folded.shared)[0, folded.trained]
        chosen = [
            (model.head(states).float() / temperature).log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
            for states, targets in zip(
                *(x.split(max(64, CHUNK_LOGITS // len(model.head.weight))) for x in (hidden, folded.of(part.targets))),
                strict=True,
            )
        ]
        if chosen:
            found[start : start + rows].view(-1)[folded.source.cpu()] = torch.cat(chosen).cpu()
    return found
