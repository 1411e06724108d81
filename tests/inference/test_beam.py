"""Greedy and beam search, token for token those of transformers; beside other sentences as alone."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.models.encoder_decoders import BART, MARIAN, random_transformer, twin

from limpid.inference.beam import beam_search

SOURCE = torch.tensor([[5, 9, 30, 7, 11, 0], [8, 21, 3, 0, 17, 17], [6, 0, 17, 17, 17, 17], [12, 13, 14, 15, 0, 17]])
LENGTHS = torch.tensor([6, 4, 2, 5])


def eager_to_end(changes: dict, seed: int):
    """A random model in which ending is likely enough for translations of many lengths."""
    model = random_transformer(seed, **changes)
    with torch.no_grad():
        model.head.bias[model.config.end_token] += 3
    return model


def search(model, source=SOURCE, lengths=LENGTHS, **settings):
    config = model.config
    plan = {"beam": 4, "length_penalty": 1.0, "limits": [14] * len(source)} | settings
    return beam_search(model, source, lengths, start=config.start_token, end=config.end_token, **plan)


@pytest.mark.parametrize("changes", [MARIAN, BART], ids=["marian", "bart"])
@pytest.mark.parametrize(("beam", "length_penalty"), [(1, 1.0), (2, 1.0), (4, 1.0), (4, 0.0), (5, 0.6)])
def test_translations_are_those_of_transformers(changes, beam, length_penalty):
    lengths = set()
    for seed in range(1, 7):
        model = eager_to_end(changes, seed)
        theirs = twin(model).generate(
            input_ids=SOURCE, attention_mask=(torch.arange(6) < LENGTHS[:, None]).long(), num_beams=beam,
            length_penalty=length_penalty, max_new_tokens=14, min_length=0, do_sample=False, early_stopping=False,
            no_repeat_ngram_size=0, forced_bos_token_id=None, forced_eos_token_id=None, bad_words_ids=None,
        )  # fmt: skip
        for found, row in zip(search(model, beam=beam, length_penalty=length_penalty), theirs.tolist(), strict=True):
            ids = found[0].ids
            assert row[1 : 1 + len(ids)] == ids  # after the start token; what follows is their padding
            assert set(row[1 + len(ids) :]) <= {1, 52}
            lengths.add(len(ids))
    assert len(lengths) >= 2  # some end by themselves, some at the limit


@pytest.mark.parametrize("beam", [1, 3])
def test_a_sentence_is_translated_the_same_alone_as_beside_others(beam):
    model = eager_to_end(MARIAN, 3)
    together = search(model, beam=beam)
    for row, length in enumerate(LENGTHS.tolist()):
        (alone,) = search(model, SOURCE[row : row + 1, :length], LENGTHS[row : row + 1], beam=beam)
        assert [h.ids for h in alone] == [h.ids for h in together[row]]
        assert [h.score for h in alone] == pytest.approx([h.score for h in together[row]], abs=1e-4)


def test_a_wide_beam_finds_the_best_of_all_translations():
    """Exhaustively: every sequence of up to three tokens over a vocabulary of five."""
    model = random_transformer(4, vocab_size=5, logits_bias=True, start_token=4, end_token=0)
    source, lengths = torch.tensor([[1, 2, 3, 0]]), torch.tensor([4])

    def log_probability(ids: tuple[int, ...]) -> float:
        with torch.no_grad():
            logits = model.head(model(source, lengths, torch.tensor([[4, *ids[:-1]]])))[0]
        return float(logits.log_softmax(-1)[range(len(ids)), list(ids)].sum())

    bodies = [b for n in range(3) for b in itertools.product((1, 2, 3, 4), repeat=n)]
    whole = [(*body, 0) for body in bodies] + list(itertools.product((1, 2, 3, 4), repeat=3))
    for alpha in (0.0, 1.0):
        best = max(whole, key=lambda ids: log_probability(ids) / len(ids) ** alpha)
        (found,) = search(model, source, lengths, beam=64, length_penalty=alpha, limits=[3])
        assert tuple(found[0].ids) == best
        assert found[0].score == pytest.approx(log_probability(best) / len(best) ** alpha, abs=1e-5)
        assert sum(found[0].logprobs) == pytest.approx(log_probability(best), abs=1e-5)


def test_each_sentence_keeps_its_own_limit():
    model = eager_to_end(MARIAN, 5)
    with torch.no_grad():
        model.head.bias[0] -= 50  # never ends by itself
    limits = [3, 7, 1, 5]
    for beam in (1, 3):
        found = search(model, beam=beam, limits=limits)
        assert [len(best[0].ids) for best in found] == limits
