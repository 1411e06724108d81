"""The policy gradient: make the tokens of good answers more probable, those of bad ones less."""

from __future__ import annotations

import torch
from torch import Tensor

from limpid.data.batches import Batch
from limpid.models.decoder import Decoder


class PolicyGradient:
    """Summed REINFORCE loss ``-advantage * log p(token)`` over answer tokens, plus ``kl`` x KL(policy || reference).

    The answers of a step are drawn from the very weights that are then updated once, so no importance ratio is needed
    (GRPO, Shao et al. 2024, equation 3, with one update a batch). ``temperature`` is that of the draws: what is
    trained are the probabilities that were sampled from. The divergence is exact: summed over the vocabulary at every
    answer token, at temperature 1. Division by the number of answer tokens of the whole batch is left to the loop.

    measured: after each call, "kl" and "entropy" in nats a token, means over the tokens since `reset`.
    """

    def __init__(self, dtype: torch.dtype, reference: Decoder, kl: float, temperature: float = 1.0) -> None:
        self.dtype, self.reference, self.kl, self.temperature = dtype, reference, kl, temperature
        self.reset()

    def reset(self) -> None:
        """Forget what was measured."""
        self._sums = torch.zeros(3)  # KL, entropy, tokens

    @property
    def measured(self) -> dict[str, float]:
        kl, entropy, tokens = self._sums.tolist()
        return {"kl": kl / max(tokens, 1.0), "entropy": entropy / max(tokens, 1.0)}

    def __call__(self, model: Decoder, batch: Batch) -> Tensor:
        assert batch.advantages is not None
        answer = batch.weights > 0
        hidden = model(batch.inputs, dtype=self.dtype, segments=batch.segments)[answer]  # (N, D)
        logits = model.head(hidden).float()  # (N, V)
        with torch.no_grad():
            other = self.reference(batch.inputs, dtype=self.dtype, segments=batch.segments)[answer]
            reference = self.reference.head(other).float().log_softmax(-1)
        own = logits.log_softmax(-1)
        drawn_from = (logits / self.temperature).log_softmax(-1)
        chosen = drawn_from.gather(1, batch.targets[answer][:, None]).squeeze(1)
        divergence = (own.exp() * (own - reference)).sum(-1)
        with torch.no_grad():
            entropy = -(own.exp() * own).sum(-1)
            self._sums += torch.tensor([divergence.sum(), entropy.sum(), len(chosen)])
        return (batch.weights[answer] * (self.kl * divergence - batch.advantages[answer] * chosen)).sum()
