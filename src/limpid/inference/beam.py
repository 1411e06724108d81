"""Beam search over a decoder that reads a source; a beam of one is greedy search."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from limpid.inference.cache import allocate, layers
from limpid.models.encoder_decoder import EncoderDecoder, Memory
from limpid.nn.attention import LayerCache

REACH_STEP = 16
"""Attention looks at a multiple of this many slots: each new shape costs oneDNN a kernel, in time and in memory."""


class Hypothesis(NamedTuple):
    """A finished translation.

    ids: its tokens, the end token included where it came to one. logprobs: natural log of each token's probability.
    score: their sum / length^length_penalty, by which hypotheses are ranked.
    """

    ids: list[int]
    logprobs: list[float]
    score: float


class _Beams(NamedTuple):
    """The running hypotheses of B sentences, K each: ids, logprobs (B, K, n) and their sums (B, K), best first."""

    ids: Tensor
    logprobs: Tensor
    sums: Tensor

    def pick(self, sentences: Tensor) -> _Beams:
        return _Beams(*(part[sentences] for part in self))


@torch.inference_mode()
def beam_search(
    model: EncoderDecoder,
    source: Tensor,
    lengths: Tensor,
    *,
    beam: int,
    length_penalty: float,
    limits: list[int],
    start: int,
    end: int,
) -> list[list[Hypothesis]]:
    """Translate B sources together; for each, up to ``beam`` hypotheses, best first.

    Args:
        model: an inference copy; it computes in the dtype of its embedding.
        source, lengths: (B, S) and (B,), as `EncoderDecoder.encode` takes them.
        beam: hypotheses kept at every step.
        length_penalty: alpha in score = log p / length^alpha; 0 ranks by probability, which favours short ones. (The
            2017 paper divides by ((5 + length) / 6)^0.6, Wu et al. 2016 equation 14.)
        limits: the most tokens each translation may have.
        start: the token before the first one. end: the one that closes a translation.

    At each step the 2 x beam best continuations of a sentence are looked at: those among the best ``beam`` that end are
    finished, the best that go on run on. A sentence is done when it has ``beam`` finished hypotheses and the best
    running one, were it to end at once, could not better the worst of them (greedy search: at its first end).
    """
    dtype, device = model.embedding.weight.dtype, model.embedding.weight.device
    count = len(source)
    memory = model.prepare(model.encode(source.to(device), lengths.to(device), dtype=dtype))
    memory = _pick_memory(memory, torch.arange(count, device=device).repeat_interleave(beam))
    slots = -(-max(limits) // REACH_STEP) * REACH_STEP
    block = allocate(model.config, count * beam, slots, dtype, device)
    cache = layers(block, slice(0, count * beam))
    sums = torch.full((count, beam), -torch.inf, device=device)
    sums[:, 0] = 0.0  # one running hypothesis; the others become real with the first step
    empty = torch.zeros(count, beam, 0, device=device)
    beams = _Beams(empty.long(), empty, sums)
    running = list(range(count))  # the sentence in each place of the batch
    finished: list[list[Hypothesis]] = [[] for _ in range(count)]
    last = torch.full((count * beam, 1), start, device=device)
    for step in range(max(limits)):
        seen = min(slots, -(-(step + 1) // REACH_STEP) * REACH_STEP)
        positions = torch.full_like(last, step)
        hidden = model.decode(last, memory, dtype=dtype, positions=positions, cache=cache, seen=seen)
        logprobs = model.head(hidden[:, 0]).float().log_softmax(-1).view(len(running), beam, -1)
        beams, parents = _step(beams, logprobs, [limits[s] for s in running], finished, running, length_penalty, end)
        best = (beams.sums[:, 0] / (step + 1) ** length_penalty).tolist()
        keep = [
            place
            for place, sentence in enumerate(running)
            if step + 1 < limits[sentence] and not _done(finished[sentence], beam, best[place])
        ]
        if not keep:
            break
        kept = torch.tensor(keep, device=device)
        rows = (kept[:, None] * beam + parents[kept]).flatten()
        block[:, : len(rows), :, : step + 1] = block[:, rows, :, : step + 1]
        cache = layers(block, slice(0, len(rows)))
        if len(keep) < len(running):
            running = [running[place] for place in keep]
            beams = beams.pick(kept)
            memory = _pick_memory(memory, rows)  # a sentence's rows are alike, so its parents' order does not matter
        last = beams.ids[:, :, -1].reshape(-1, 1)
    return finished


def _step(
    beams: _Beams,
    logprobs: Tensor,
    limits: list[int],
    finished: list[list[Hypothesis]],
    running: list[int],
    length_penalty: float,
    end: int,
) -> tuple[_Beams, Tensor]:
    """One token more for every sentence: appends to ``finished``; the beams that run on and their parents (B, K)."""
    count, beam, vocab_size = logprobs.shape
    length = beams.ids.shape[2] + 1
    flat = (beams.sums[:, :, None] + logprobs).view(count, -1)
    sums, index = flat.topk(min(2 * beam, flat.shape[1]), dim=1)  # (B, 2K)
    parents, tokens = index // vocab_size, index % vocab_size
    at = torch.arange(count, device=index.device)[:, None]
    ids = torch.cat((beams.ids[at, parents], tokens[:, :, None]), dim=2)  # (B, 2K, n)
    each = torch.cat((beams.logprobs[at, parents], logprobs[at, parents, tokens][:, :, None]), dim=2)
    over = torch.tensor(limits, device=index.device) <= length
    ends = (tokens == end) | over[:, None]
    for place, rank in (ends[:, :beam] & sums[:, :beam].isfinite()).nonzero().tolist():
        score = float(sums[place, rank]) / length**length_penalty
        candidate = Hypothesis(ids[place, rank].tolist(), each[place, rank].tolist(), score)
        best = [*finished[running[place]], candidate]
        finished[running[place]] = sorted(best, key=lambda h: h.score, reverse=True)[:beam]
    going = sums.masked_fill(ends, -torch.inf).topk(beam, dim=1)
    chosen = going.indices
    return _Beams(ids[at, chosen], each[at, chosen], going.values), parents.gather(1, chosen)


def _done(finished: list[Hypothesis], beam: int, best: float) -> bool:
    return len(finished) == beam and (beam == 1 or best <= finished[-1].score)


def _pick_memory(memory: Memory, rows: Tensor) -> Memory:
    assert isinstance(memory.states, list)
    return Memory([LayerCache(layer.keys[rows], layer.values[rows]) for layer in memory.states], memory.mask[rows])
