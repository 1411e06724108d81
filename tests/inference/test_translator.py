"""Lines in, translations out, in their order."""

from __future__ import annotations

import math

import pytest
import torch
from tests.models.encoder_decoders import random_transformer

from limpid.core.errors import LimpidError
from limpid.inference.translator import Translator
from limpid.inference.weights import inference_copy

LINES = ["The cat sat.", "", "A dog on the mat with the cat", "What?", "   "]


@pytest.fixture
def translator(tokenizer) -> Translator:
    return Translator(inference_copy(random_transformer(0, vocab_size=320), torch.float32), tokenizer)


def test_translations_come_in_the_order_of_the_lines_whatever_is_computed_together(translator):
    whole = translator.translate(LINES, beam=2, max_tokens=6)
    assert [t.source for t in whole] == LINES
    assert whole[1].text == whole[4].text == ""
    assert whole[0].text
    one_by_one = list(translator.stream(LINES, beam=2, max_tokens=6))
    by_two = list(translator.stream(LINES, beam=2, max_tokens=6, lines_at_once=2))
    assert [t.text for t in whole] == [t.text for t in one_by_one] == [t.text for t in by_two]


def test_the_tokens_spell_the_text_and_their_probabilities_make_the_score(translator):
    (answer,) = translator.translate([LINES[0]], beam=3, length_penalty=0.5, max_tokens=6)
    ids = [token for token, _ in answer.tokens]
    assert translator.tokenizer.decode(i for i in ids if i != translator.end) == answer.text
    assert answer.score == pytest.approx(sum(logprob for _, logprob in answer.tokens) / math.sqrt(len(ids)))


def test_a_stream_asks_for_no_more_lines_than_it_answers(translator):
    asked = []

    def typed():
        for line in LINES:
            asked.append(line)
            yield line

    stream = translator.stream(typed(), beam=1, max_tokens=3)
    next(stream)
    assert len(asked) == 1


def test_a_line_longer_than_the_context_is_named(translator):
    lines = ["short", "cat " * 60]
    with pytest.raises(LimpidError, match=r"line 2 has \d+ tokens and this model reads at most 48"):
        list(translator.stream(lines, beam=1, max_tokens=3))
