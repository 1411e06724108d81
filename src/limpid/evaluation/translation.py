"""How good translations are: likelihood of the references, and BLEU by sacrebleu."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from limpid.data.batches import Batch
from limpid.evaluation.bootstrap import Interval
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.training.objectives.translation import Translation


class Bleu(NamedTuple):
    """score: corpus BLEU (Papineni et al. 2002) with its 95% bootstrap interval. signature: how it was computed."""

    score: Interval
    signature: str


def bleu(translations: Sequence[str], references: Sequence[str], *, resamples: int = 1000) -> Bleu:
    """BLEU of detokenized, cased text against one reference a sentence, by sacrebleu's own tokenizer (Post 2018)."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU()
    scored = metric.corpus_score(list(translations), [list(references)], n_bootstrap=resamples)
    low, high = scored._mean - scored._ci, scored._mean + scored._ci  # what sacrebleu prints as mu and +-
    return Bleu(Interval(scored.score, low, high), str(metric.get_signature()))


def mean_nats(model: EncoderDecoder, batches: Iterable[Batch], dtype: torch.dtype) -> float:
    """Mean -log p of the references' tokens, in nats."""
    device = model.embedding.weight.device
    objective = Translation(dtype)
    total = weight = 0.0
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for batch in batches:
            total += float(objective(model, batch.to(device)))
            weight += batch.total_weight
    model.train(was_training)
    return total / weight
