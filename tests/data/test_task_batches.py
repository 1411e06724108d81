"""Task batches: a pure function of the step, every example once an epoch, little padding, right lengths."""

import torch

from limpid.data.task_batches import POOL, TaskBatches, TaskExamples, encode
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
