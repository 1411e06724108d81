"""Learning from preferences without a reward model: DPO, IPO, KTO and ORPO.

With s(y) the summed log-probability of an answer's tokens, the end of its turn included, and h(y) = s(y) less what the
frozen reference gives it, each loss is a function of the better answer's numbers and the worse one's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.data.preference_batches import PreferenceBatch
from limpid.models.decoder import Decoder
from limpid.parallel.environment import World
from limpid.parallel.shard import settle
from limpid.training.objectives.cross_entropy import summed_cross_entropy

Loss = Literal["dpo", "ipo", "kto", "orpo"]


class Answers(NamedTuple):
    """What a model and the reference make of a batch's answers.

    sums: (B, S) summed log-probabilities, in nats. reference: (B, S), the same of the reference, or zeros without one.
    counts: (B, S) tokens of each answer. divergence: (B, S) KL(model || reference), summed over those tokens.
    """

    sums: Tensor
    reference: Tensor
    counts: Tensor
    divergence: Tensor


class PreferenceLoss:
    """Summed over pairs: one of the losses below, plus ``imitation`` times the better answer's mean negative
    log-probability a token (RPO: Pang et al. 2024, equation 3), plus the batch's text at its own weights.

    What the model's layers add to the loss (the balance of experts) counts once for each pair.

    measured: since it was last asked, means over pairs: "margin" (beta times h of the better answer less h of the worse
    one: the difference of implicit rewards), "accuracy" (how often that is above 0), "chosen_reward" and
    "rejected_reward" (beta times h), "kl" in nats a token, and "length" of the better answers in tokens.

    Args:
        dtype: the compute dtype.
        reference: the frozen model; None for ORPO, which has none.
        loss: which.
        beta: of DPO, IPO and KTO the strength of the pull towards the reference; of ORPO the weight of its odds.
        smoothing: of DPO, the share of pairs that are taken to be labelled the wrong way round.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        reference: Decoder | None,
        loss: Loss = "dpo",
        beta: float = 0.1,
        smoothing: float = 0.0,
        imitation: float = 0.0,
    ) -> None:
        self.dtype, self.reference, self.loss, self.beta = dtype, reference, loss, beta
        self.smoothing, self.imitation = smoothing, imitation
        self.baseline, self.processes = 0.0, 1
        self._sums: Tensor | None = None

    def measured(self, total: Callable[[Tensor], Tensor] = lambda sums: sums) -> dict[str, float]:
        """The means since the last call. total: the sum of sums over all processes, each of which has its own pairs."""
        if self._sums is None:
            return {}
        margin, right, chosen, rejected, divergence, tokens, length, pairs = total(self._sums).tolist()
        self._sums = None
        return {
            "margin": margin / pairs,
            "accuracy": right / pairs,
            "chosen_reward": chosen / pairs,
            "rejected_reward": rejected / pairs,
            "kl": divergence / tokens,
            "length": length / pairs,
        }

    @torch.no_grad()
    def look(self, model: Decoder, parts: Sequence[PreferenceBatch], world: World) -> None:
        """Of KTO, the estimate z of the divergence, from all pairs of the step, whoever computes them."""
        self.processes = world.size
        if self.loss != "kto":
            return
        found = torch.zeros(2, dtype=torch.float64)
        for part in parts:
            unrelated = read_answers(model, self.reference, part.sequences(2, 3).to(world.device), self.dtype)
            h = (unrelated.sums - unrelated.reference).cpu().double()
            found += torch.stack((h.sum(), torch.tensor(h.numel())))
        settle(model)
        total, count = (world.sum(found.to(world.device)) if world.size > 1 else found).tolist()
        self.baseline = max(0.0, total / count)

    def __call__(self, model: Decoder, batch: PreferenceBatch) -> Tensor:
        penalties: list[Tensor] = []
        answers = read_answers(model, self.reference, batch.sequences(0, 2), self.dtype, penalties)
        loss = pair_losses(self.loss, answers, self.beta, self.smoothing, self.baseline).sum()
        if self.imitation:
            loss = loss - self.imitation * (answers.sums[:, 0] / answers.counts[:, 0]).sum()
        texts = self._texts(batch)
        if len(texts.text_inputs):
            hidden = model(texts.text_inputs, dtype=self.dtype)
            loss = loss + summed_cross_entropy(
                hidden, model.head.weight, texts.text_targets, texts.text_weights, cap=model.head.cap
            )
        self._measure(answers)
        return loss + batch.total_weight * sum(penalties) if penalties else loss

    def _texts(self, batch: PreferenceBatch) -> PreferenceBatch:
        """The batch; of several processes all must compute as many models, so one that has no row of the text at this
        time reads one that weighs nothing."""
        count, context = batch.text_inputs.shape
        if count or self.processes == 1 or context < 2:  # or nobody has any
            return batch
        nothing = batch.inputs.new_zeros(1, context)
        return batch._replace(text_inputs=nothing, text_targets=nothing, text_weights=torch.zeros_like(nothing).float())

    @torch.no_grad()
    def _measure(self, answers: Answers) -> None:
        rewards = self.beta * (answers.sums - answers.reference)
        margin = rewards[:, 0] - rewards[:, 1]
        found = torch.stack(
            [
                margin.sum(),
                (margin > 0).sum(),
                rewards[:, 0].sum(),
                rewards[:, 1].sum(),
                answers.divergence.sum(),
                answers.counts.sum(),
                answers.counts[:, 0].sum(),
                torch.tensor(len(margin), device=margin.device),
            ]
        )
        self._sums = found if self._sums is None else self._sums + found


def read_answers(
    model: Decoder,
    reference: Decoder | None,
    batch: PreferenceBatch,
    dtype: torch.dtype,
    penalties: list[Tensor] | None = None,
) -> Answers:
    """Log-probabilities of the batch's answers under the model, with gradients, and under the reference, without."""
    shape = batch.inputs.shape[:2]
    ids, starts, lengths = batch.inputs.flatten(0, 1), batch.starts.flatten(), batch.lengths.flatten()
    places = torch.arange(1, ids.shape[1], device=ids.device)
    spoken = (places >= starts[:, None]) & (places < lengths[:, None])  # (N, T - 1): the targets that are the answer's
    rows = spoken.nonzero()[:, 0]
    targets = ids[:, 1:][spoken]
    own = _log_probabilities(model, ids, spoken, dtype, penalties)  # (tokens, V)

    def summed(of_tokens: Tensor) -> Tensor:
        return torch.zeros(len(ids), device=ids.device).index_add(0, rows, of_tokens).view(shape)

    def chosen(table: Tensor) -> Tensor:
        return summed(table.gather(1, targets[:, None]).squeeze(1))

    counts = spoken.sum(1).view(shape)
    if reference is None:
        return Answers(
            chosen(own), torch.zeros(shape, device=ids.device), counts, torch.zeros(shape, device=ids.device)
        )
    with torch.no_grad():
        theirs = _log_probabilities(reference, ids, spoken, dtype)
        divergence = summed((own.exp() * (own - theirs)).sum(-1))
        before = chosen(theirs)
    return Answers(chosen(own), before, counts, divergence)


def _log_probabilities(
    model: Decoder, ids: Tensor, spoken: Tensor, dtype: torch.dtype, penalties: list[Tensor] | None = None
) -> Tensor:
    """(tokens, V) float32. Padding follows the answers, so a causal model's answers do not see it."""
    hidden = model(ids[:, :-1], dtype=dtype, penalties=penalties)[spoken]
    return model.head(hidden).float().log_softmax(-1)


def pair_losses(loss: Loss, answers: Answers, beta: float, smoothing: float = 0.0, baseline: float = 0.0) -> Tensor:
    """(B,) losses, in which gradients flow through ``answers.sums``. baseline: KTO's z."""
    h = answers.sums - answers.reference
    if loss == "dpo":
        return dpo(h[:, 0] - h[:, 1], beta, smoothing)
    if loss == "ipo":
        return ipo(h[:, 0] - h[:, 1], beta)
    if loss == "kto":
        return kto(h[:, 0], h[:, 1], baseline, beta)
    return orpo(answers.sums[:, 0], answers.sums[:, 1], answers.counts[:, 0], answers.counts[:, 1], beta)


def dpo(h: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """``-log sigmoid(beta h)``, h = h(better) - h(worse) (Rafailov et al. 2023, equation 7).

    smoothing e: ``-(1 - e) log sigmoid(beta h) - e log sigmoid(-beta h)`` (conservative DPO, Mitchell 2023).
    """
    return -(1 - smoothing) * F.logsigmoid(beta * h) - smoothing * F.logsigmoid(-beta * h)


def ipo(h: Tensor, beta: float) -> Tensor:
    """``(h - 1 / (2 beta))^2`` (Azar et al. 2023, equation 17; beta is its tau): a margin to reach, not to exceed."""
    return (h - 1 / (2 * beta)).square()


def kto(better: Tensor, worse: Tensor, baseline: float, beta: float) -> Tensor:
    """The mean of ``1 - sigmoid(beta (h(better) - z))`` and ``1 - sigmoid(beta (z - h(worse)))``.

    Ethayarajh et al. 2024, equation 8, both weights 1; z is their estimate of the divergence from the reference: the
    mean h of answers to other prompts, of all pairs of the step, at least 0 and without gradient.
    """
    return (2 - torch.sigmoid(beta * (better - baseline)) - torch.sigmoid(beta * (baseline - worse))) / 2


def orpo(better: Tensor, worse: Tensor, better_tokens: Tensor, worse_tokens: Tensor, beta: float) -> Tensor:
    """``-m(better) - beta log sigmoid(log-odds(better) - log-odds(worse))`` (Hong et al. 2024, equations 6 and 7).

    m(y) = s(y) / tokens, and the odds are ``p / (1 - p)`` of p = exp(m). There is no reference.
    """
    m, other = better / better_tokens, worse / worse_tokens
    log_odds = (m - _log1mexp(m)) - (other - _log1mexp(other))
    return -m - beta * F.logsigmoid(log_odds)


def _log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0; an x of 0 (a certain answer) is taken just below."""
    return torch.log(-torch.expm1(x.clamp(max=-1e-7)))
