"""Skip-gram with negative sampling (Mikolov et al. 2013, "Distributed Representations", equation 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus


def skip_gram_loss(
    centres: Tensor, contexts: Tensor, pairs: Tensor, negatives: Tensor, negatives_a_pair: int
) -> Tensor:
    """The summed loss of word pairs, in nats.

    -log s(c . o) for each pair, and -log s(-c . n) for noise words n. All centres of a batch share the same K noise
    words, weighted so that they count as ``negatives_a_pair`` would: the sum has the same expectation and is one matrix
    product.

    Args:
        centres: (W, D) vectors of the centre words.
        contexts: (P, D) vectors of the words around them.
        pairs: (P,) for each context word the row of its centre.
        negatives: (K, D) vectors of the noise words.
    """
    near = softplus(-(centres[pairs] * contexts).sum(1)).sum()
    count = torch.bincount(pairs, minlength=len(centres)).to(centres.dtype)
    far = softplus(centres @ negatives.T).sum(1)  # (W,)
    return near + (count * far).sum() * (negatives_a_pair / len(negatives))
