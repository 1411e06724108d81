"""Task models against transformers' own, under padding, in both orders, with choices in any order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.conftest import random_llama
from tests.models.references import reference
from tests.models.variants import random_decoder
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.data.task_batches import TaskExamples
from limpid.models.adapt import adapted, with_head
from limpid.models.decoder import Decoder
from limpid.models.registry import build, config_from_table, require_kind
from limpid.models.task import TaskConfig, TaskModel
from limpid.nn.task_heads import pool

ROWS = [[5, 6, 7, 8, 9], [3, 4], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]


def task_model(backbone: Decoder, task: str, outputs: int = 1, **more: object) -> TaskModel:
    """A head whose every weight is random on a backbone."""
    config = TaskConfig.model_validate(
        {"backbone": backbone.config.model_dump(), "task": task, "outputs": outputs} | more
    )
    model = with_head(backbone, config, seed=0)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        model.head.weight.copy_(torch.randn(model.head.weight.shape, generator=draw) * 0.2)
    return model.eval()


def ask(model: TaskModel, examples: list[list[list[int]]]) -> Tensor:
    batch = TaskExamples(examples, [0.0] * len(examples)).batch(range(len(examples)))
    with torch.no_grad():
        return model(batch.inputs, batch.lengths).answers


def test_llama_classification_is_that_of_transformers_under_padding() -> None:
    from transformers import LlamaForSequenceClassification

    backbone = random_llama(0, qk_norm=False)
    model = task_model(backbone, "single", 3)
    causal = reference(backbone)
    causal.config.num_labels, causal.config.pad_token_id = 3, 0
    theirs = LlamaForSequenceClassification(causal.config).eval()
    theirs.model.load_state_dict(causal.model.state_dict())
    theirs.score.weight.data.copy_(model.head.weight)
    padded = TaskExamples([[row] for row in ROWS], [0, 0, 0]).batch([0, 1, 2]).inputs.squeeze(1)
    with torch.no_grad():
        expected = theirs(padded, attention_mask=(padded != 0).long()).logits
    torch.testing.assert_close(ask(model, [[row] for row in ROWS]), expected, atol=1e-5, rtol=1e-5)


def test_gpt2_classification_is_that_of_transformers_under_padding() -> None:
    from transformers import GPT2ForSequenceClassification

    backbone = random_decoder("gpt2", 0)
    model = task_model(backbone, "pair", 2)
    causal = reference(backbone)
    causal.config.num_labels, causal.config.pad_token_id = 2, 0
    theirs = GPT2ForSequenceClassification(causal.config).eval()
    theirs.transformer.load_state_dict(causal.transformer.state_dict())
    theirs.score.weight.data.copy_(model.head.weight)
    padded = TaskExamples([[row] for row in ROWS], [0, 0, 0]).batch([0, 1, 2]).inputs.squeeze(1)
    with torch.no_grad():
        expected = theirs(padded, attention_mask=(padded != 0).long()).logits
    torch.testing.assert_close(ask(model, [[row] for row in ROWS]), expected, atol=1e-5, rtol=1e-5)


def test_gpt1_choices_are_those_of_transformers_double_heads() -> None:
    from transformers import OpenAIGPTDoubleHeadsModel

    backbone = random_decoder("gpt1", 1)
    model = task_model(backbone, "choice")
    with torch.no_grad():
        model.head.bias.fill_(0.3)
    causal = reference(backbone)
    causal.config.num_labels = 1
    theirs = OpenAIGPTDoubleHeadsModel(causal.config).eval()
    theirs.transformer.load_state_dict(causal.transformer.state_dict())
    theirs.multiple_choice_head.summary.load_state_dict(model.head.state_dict())
    examples = [ROWS, ROWS[::-1]]
    batch = TaskExamples(examples, [0, 0]).batch([0, 1])
    with torch.no_grad():
        expected = theirs(batch.inputs, mc_token_ids=batch.lengths - 1).mc_logits
    torch.testing.assert_close(ask(model, examples), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean", "first"])
def test_padding_changes_nothing(pooling: str) -> None:
    model = task_model(random_llama(2), "single", 3, pooling=pooling)
    together = ask(model, [[row] for row in ROWS])
    for row, answer in zip(ROWS, together, strict=True):
        torch.testing.assert_close(ask(model, [[row]])[0], answer, atol=1e-5, rtol=1e-5)


def test_the_state_that_is_read_is_that_of_the_right_token() -> None:
    hidden = torch.arange(24.0).view(2, 4, 3)
    lengths = torch.tensor([2, 4])
    assert pool(hidden, lengths, "last").tolist() == [hidden[0, 1].tolist(), hidden[1, 3].tolist()]
    assert pool(hidden, lengths, "first").tolist() == hidden[:, 0].tolist()
    assert pool(hidden, lengths, "mean").tolist() == [hidden[0, :2].mean(0).tolist(), hidden[1].mean(0).tolist()]


def test_a_similarity_does_not_depend_on_the_order() -> None:
    model = task_model(random_llama(3), "similarity", 2)
    one, other = [90, 5, 6, 91, 7, 92], [90, 7, 91, 5, 6, 92]
    there, back = ask(model, [[one, other]]), ask(model, [[other, one]])
    torch.testing.assert_close(there, back, atol=1e-6, rtol=1e-6)
    assert float((ask(model, [[one, one]]) - there).abs().max()) > 1e-3  # both orders were read


def test_choices_are_scored_alike_in_any_order_and_number() -> None:
    model = task_model(random_llama(4), "choice")
    order = [2, 0, 1]
    scores = ask(model, [ROWS, [ROWS[i] for i in order], ROWS[:2]])
    torch.testing.assert_close(scores[1], scores[0][order], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(scores[2, :2], scores[0, :2], atol=1e-5, rtol=1e-5)
    assert scores[2, 2] == -torch.inf  # a choice that is not there


def test_a_reward_is_the_value_of_the_last_token() -> None:
    backbone = random_llama(5)
    values, reward = task_model(backbone, "value"), task_model(backbone, "reward")
    every, last = ask(values, [[row] for row in ROWS]), ask(reward, [[row] for row in ROWS])
    assert every.shape == (3, 1, 16)
    assert last.shape == (3, 1)
    for row, found, expected in zip(ROWS, every, last, strict=True):
        torch.testing.assert_close(found[:, len(row) - 1], expected)


@pytest.mark.parametrize("tied", [True, False])
def test_new_tokens_leave_the_others_and_their_scores_alone(tied: bool) -> None:
    before = random_llama(6, tie_embeddings=tied)
    after = adapted(before, 323, 0.2, seed=0).eval()
    ids = torch.tensor([ROWS[2]])
    with torch.no_grad():
        old, new = before.head(before(ids)), after.head(after(ids))
    assert new.shape[-1] == 323
    torch.testing.assert_close(new[..., :320], old, atol=1e-6, rtol=1e-6)
    assert torch.equal(after.embedding.weight[:320], before.embedding.weight)
    with torch.no_grad():
        assert 0.5 < float(after.embedding.weight[320:].std() / before.embedding.weight.std()) < 2
    assert after.config.dropout == 0.2
    assert (after.head.weight is after.embedding.weight) == tied


def test_a_task_model_is_rebuilt_from_its_config_and_is_no_decoder() -> None:
    model = task_model(random_llama(), "single", 2, labels=["no", "yes"])
    config = config_from_table(model.config.model_dump(mode="json"), "here")
    assert config == model.config
    assert isinstance(build(config), TaskModel)
    with pytest.raises(LimpidError, match=r"a task model is a task model .* and a decoder is needed here"):
        require_kind("task", Decoder, "runs/x")


def test_a_reward_may_weigh_how_probable_the_answer_is() -> None:
    """The head's number plus a tenth of the answer's log-probability, token by token as numpy has it."""
    backbone = random_llama()
    model = with_head(backbone, TaskConfig(backbone=backbone.config, task="reward", likelihood=True), 0)
    ids = torch.randint(0, 320, (2, 2, 12), generator=torch.Generator().manual_seed(3))
    lengths, starts = torch.tensor([[12, 7], [9, 10]]), torch.tensor([[4, 4], [6, 6]])
    with torch.no_grad():
        found = model(ids, lengths, starts=starts).answers
        for row in range(2):
            for place in range(2):
                text = ids[row, place, : lengths[row, place]]
                hidden = backbone(text[None])[0]
                scores = backbone.head(hidden).double().numpy()
                logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
                spoken = range(int(starts[row, place]), len(text))
                expected = float(model.head(hidden[-1])) + 0.1 * sum(logs[t - 1, int(text[t])] for t in spoken)
                assert float(found[row, place]) == pytest.approx(expected, abs=1e-4)
    plain = with_head(backbone, TaskConfig(backbone=backbone.config, task="reward"), 0)
    assert set(dict(model.named_parameters())) - set(dict(plain.named_parameters())) == {"likelihood.weight"}
    model(ids, lengths, starts=starts).answers.sum().backward()
    assert model.likelihood.weight.grad is not None
