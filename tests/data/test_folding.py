"""Answers folded into one row mean what they mean row by row: states, gradients, and where each token comes from."""

from __future__ import annotations

import random

import pytest
import torch
from tests.models.variants import VARIANTS, random_decoder
from torch import Tensor

from limpid.data.answer_batch import AnswerBatch, joined, rows_of
from limpid.data.folding import fold
from limpid.nn import shared_prefixes

PROMPTS = {"short": 2, "long": 21, "alone": 9, "of one token": 1}


def some_answers(longest: int = 30) -> AnswerBatch:
    """Five answers to one prompt, three to another, prompts with a single answer, given text, and an empty row."""
    draw = random.Random(4)

    def ids(count: int) -> list[int]:
        return [draw.randrange(97) for _ in range(count)]

    asked = {name: ids(count) for name, count in PROMPTS.items()}
    order = ["short"] * 3 + ["long"] * 5 + ["alone", "of one token"]
    answers = [ids(draw.randint(1, longest)) for _ in order]
    drawn = rows_of([asked[name] for name in order], answers, drawn=True)
    given = rows_of([asked["long"]], [ids(4)], drawn=False)
    text = rows_of([ids(1)], [ids(40)], drawn=False)  # every place but the first counts
    batch = joined([drawn, given, text])
    return AnswerBatch(*(torch.cat((part, torch.zeros_like(part[:1]))) for part in batch))


def row_by_row(model: torch.nn.Module, batch: AnswerBatch) -> Tensor:
    """(B, T, D)."""
    return torch.stack([model(row[None])[0] for row in batch.inputs])


@pytest.mark.parametrize("variant", ["llama", "mistral", "qwen3", "mixtral", "gpt2", "gpt1", "speedrun"])
@pytest.mark.parametrize("fewest", [1, 99])
def test_states_and_gradients_are_those_of_the_rows(variant: str, fewest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert variant in VARIANTS
    monkeypatch.setattr(shared_prefixes, "FEWEST", fewest)  # rests in many blocks, or in one
    model, batch = random_decoder(variant), some_answers()
    folded = fold(batch)
    found = model(folded.ids, shared=folded.shared)[0, folded.trained]
    wanted = row_by_row(model, batch).flatten(0, 1)[folded.source]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    lean = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0))
    expected = torch.autograd.grad((wanted * lean).sum(), [*model.parameters()], allow_unused=True)
    gradients = torch.autograd.grad((found * lean).sum(), [*model.parameters()], allow_unused=True)
    for gradient, other in zip(gradients, expected, strict=True):
        assert (gradient is None) == (other is None)
        if gradient is not None and other is not None:
            torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-4)


def test_a_prompt_stands_there_once_and_every_trained_token_comes_from_its_place() -> None:
    batch = some_answers()
    folded = fold(batch)
    trained = int((batch.weights > 0).sum())
    assert len(folded.source.unique()) == len(folded.source) == len(folded.trained) == trained
    assert (batch.weights.flatten()[folded.source] > 0).all()
    assert folded.drawn == int((batch.weights[batch.drawn] > 0).sum())
    assert torch.equal(folded.of(batch.drawn[:, None].expand_as(batch.inputs)), torch.arange(trained) < folded.drawn)
    assert torch.equal(folded.ids[0, folded.trained], folded.of(batch.inputs))
    shared = PROMPTS["short"] - 1 + PROMPTS["long"] - 1
    alone = PROMPTS["alone"] - 1
    assert folded.shared.tokens == trained + shared + alone
    assert folded.ids.shape[1] % 64 == 0
    assert batch.positions == folded.shared.tokens


def test_a_batch_without_a_trained_token_still_computes_something() -> None:
    """Of several processes, each must: they wait for each other's gradients."""
    batch = some_answers()
    empty = batch._replace(weights=torch.zeros_like(batch.weights)).rows(0, 2)
    folded = fold(empty)
    assert len(folded.trained) == len(folded.source) == folded.drawn == 0
    model = random_decoder("llama")
    model(folded.ids, shared=folded.shared).sum().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if name != "head.weight")


def test_rows_of_one_prompt_are_one_group() -> None:
    batch = some_answers().rows(0, 10)
    assert batch.pick(torch.tensor([0, 3, 1, 4, 8, 2])).groups() == [[0, 2, 5], [1, 3], [4]]
