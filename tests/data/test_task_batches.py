"""Task batches: a pure function of the step, every example once an epoch, little padding, right lengths."""

import pytest
import torch

from limpid.data.task_batches import POOL, TaskBatches, TaskExamples, WordDropout, encode
from limpid.text.task_inputs import task_tokens, with_task_tokens


def examples(count):
    return TaskExamples([[[1 + i] * (1 + i % 13)] for i in range(count)], list(range(count)))


def test_every_example_is_seen_once_an_epoch():
    batches = TaskBatches(examples(4 * POOL * 4), 4, seed=0)
    per_epoch = 4 * POOL
    for epoch in range(2):
        seen = [int(label) for s in range(per_epoch) for label in batches[epoch * per_epoch + s].labels]
        assert sorted(seen) == list(range(4 * POOL * 4))
        assert seen != sorted(seen)


def test_any_step_can_be_asked_for_at_any_time():
    first, second = TaskBatches(examples(50), 4, seed=1), TaskBatches(examples(50), 4, seed=1)
    for step in (70, 3, 40, 3):
        second[step + 1]
        for a, b in zip(first[step], second[step], strict=True):
            assert (a is None and b is None) or torch.equal(a, b)
    assert not torch.equal(TaskBatches(examples(50), 4, seed=2)[0].labels, first[0].labels)


def test_sequences_of_like_length_stand_together():
    batches = TaskBatches(TaskExamples([[[1] * (1 + i % 64)] for i in range(640)], [0.0] * 640), 8, seed=0)
    places = sum(batches[s].inputs.numel() for s in range(POOL))
    tokens = sum(int(batches[s].lengths.sum()) for s in range(POOL))
    assert tokens / places > 0.8  # a random order fills about half


def test_lengths_are_those_of_the_sequences_and_zero_where_there_is_none():
    batch = TaskExamples([[[1, 2, 3], [4]], [[5]]], [1, 0]).batch([0, 1])
    assert batch.lengths.tolist() == [[3, 1], [1, 0]]
    assert batch.inputs[0, 0].tolist() == [1, 2, 3, 0, 0, 0, 0, 0]
    assert batch.total_weight == 2
    assert batch.rows(1, 2).labels.tolist() == [0]


def test_the_extract_token_is_the_last_of_each_length(tokenizer):
    after = with_task_tokens(tokenizer)
    tokens = task_tokens(after)
    texts = [("The cat", "sat on the mat"), ("A dog " * 40, "床前明月光")]
    encoded = encode(texts, "similarity", after, 32)
    assert encoded.cut == 1
    batch = TaskExamples(encoded.sequences, [0, 0]).batch([0, 1])
    assert batch.inputs.shape == (2, 2, 32)
    last = batch.inputs.gather(2, batch.lengths[:, :, None] - 1)
    assert set(last.flatten().tolist()) == {tokens.extract}
    assert set(batch.inputs[:, :, 0].flatten().tolist()) == {tokens.start}


def test_word_dropout_leaves_out_tokens_at_its_rate_and_never_control_tokens():
    start, end = 998, 999
    texts = [[start, *range(1, 40 + i % 9), end] for i in range(64)]
    plain = TaskBatches(
        TaskExamples([[text, text[:5]] if i % 2 else [text] for i, text in enumerate(texts)], [0.0] * 64), 8, 0
    )
    thinned = WordDropout(plain, 0.3, [start, end], seed=0)
    left = words = 0
    for step in range(8):
        batch, whole = thinned[step], plain[step]
        assert torch.equal(batch.labels, whole.labels)
        for row, full, length, full_length in zip(
            batch.inputs.flatten(0, 1), whole.inputs.flatten(0, 1), batch.lengths.flatten(), whole.lengths.flatten(),
            strict=True,
        ):  # fmt: skip
            kept, given = row[:length].tolist(), full[:full_length].tolist()
            assert not row[length:].any()
            assert [t for t in kept if t > 900] == [t for t in given if t > 900]
            said = [t for t in kept if t < 900]
            assert said == sorted(set(said) & set(given))  # in their order: the words are 1, 2, 3, ...
            left += len(said)
            words += sum(t < 900 for t in given)
    assert left / words == pytest.approx(0.7, abs=0.03)
    assert torch.equal(thinned[3].inputs, WordDropout(plain, 0.3, [start, end], seed=0)[3].inputs)
    assert not torch.equal(thinned[3].lengths, WordDropout(plain, 0.3, [start, end], seed=1)[3].lengths)
