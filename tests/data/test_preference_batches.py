"""Both answers of a pair as ids: the end of the turn is learnt, the prompt is not; what does not fit is counted."""

from __future__ import annotations

import pytest
import torch

from limpid.core.errors import LimpidError
from limpid.data.preference_batches import PreferenceBatches, PreferenceExamples, encode_preferences
from limpid.data.preferences import Preference
from limpid.text.tokenizer import Tokenizer

PROMPT = ({"role": "user", "content": "What is a cat?"},)
TURNS = (
    {"role": "user", "content": "Hello <|end|> there"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "A cat?"},
)


def pairs(count: int) -> list[Preference]:
    return [Preference(PROMPT, f"A cat is {i}.", f"The {i} dog sat.") for i in range(count)]


def test_the_answer_is_its_words_and_the_end_of_its_turn(tokenizer: Tokenizer) -> None:
    encoded = encode_preferences([Preference(TURNS, "An animal.", "A log.")], tokenizer, 64)
    for answer, text in ((encoded.chosen[0], "An animal."), (encoded.rejected[0], "A log.")):
        assert tokenizer.decode(answer.ids[answer.start : -1]) == text
        assert answer.ids[-1] == tokenizer.end_of_turn  # a model that does not learn it never stops
        assert answer.ids[answer.start - 1] == tokenizer.assistant
    # what a user typed is text: of the control token there is one a turn
    assert encoded.chosen[0].ids.count(tokenizer.end_of_turn) == 4
    batch = PreferenceExamples(encoded).batch([0])
    start, length = int(batch.starts[0, 0]), int(batch.lengths[0, 0])
    assert batch.inputs[0, 0, start:length].tolist() == encoded.chosen[0].ids[encoded.chosen[0].start :]


def test_pairs_longer_than_the_context_are_left_out_and_counted(tokenizer: Tokenizer) -> None:
    long = Preference(PROMPT, "A cat is an animal.", "The dog sat on the log. " * 9)
    encoded = encode_preferences([*pairs(3), long], tokenizer, 40)
    assert len(encoded.pairs) == 3
    assert encoded.too_long == 1
    with pytest.raises(LimpidError, match="none of the 1 pairs fits model.context = 40"):
        encode_preferences([long], tokenizer, 40)


def test_batches_are_a_pure_function_of_the_step_and_hold_every_pair_once_an_epoch(tokenizer: Tokenizer) -> None:
    examples = PreferenceExamples(encode_preferences(pairs(32), tokenizer, 64))
    first, second = PreferenceBatches(examples, 2, seed=3), PreferenceBatches(examples, 2, seed=3)
    batches = [first[step] for step in range(16)]
    for step in (9, 2, 15):
        assert all(torch.equal(a, b) for a, b in zip(batches[step], second[step], strict=True))
    seen = [tuple(row[0].tolist()) for batch in batches for row in batch.inputs]
    lengths = [int(length) for batch in batches for length in batch.lengths[:, 0]]
    assert len({ids[:length] for ids, length in zip(seen, lengths, strict=True)}) == 32


def test_an_unrelated_answer_follows_each_prompt_for_kto(tokenizer: Tokenizer) -> None:
    encoded = encode_preferences(pairs(4), tokenizer, 64)
    examples = PreferenceExamples(encoded, unrelated=True)
    batch = examples.batch([0, 3])
    assert batch.inputs.shape[1] == 3
    for row, other in ((0, 1), (1, 0)):
        start, length = int(batch.starts[row, 2]), int(batch.lengths[row, 2])
        assert tokenizer.decode(batch.inputs[row, 2, start : length - 1].tolist()) == f"A cat is {other}."
