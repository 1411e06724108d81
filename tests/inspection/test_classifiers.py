"""Models that answer with a class or a score: a trace says what their head says, and how it came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cli.test_inspect import run as inspect
from tests.server.test_readers import by_hand, random_classifier, random_encoder

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.inspection.trace import Trace, trace
from limpid.models.task import TaskModel
from limpid.parallel.environment import World
from limpid.text.task_inputs import task_tokens, with_task_tokens
from limpid.text.tokenizer import Tokenizer

TEXT = "the cat sat on the mat"
LABELS = ("good", "bad", "so so")


@pytest.fixture(scope="module")
def marked(tokenizer: Tokenizer) -> Tokenizer:
    return with_task_tokens(tokenizer)


@pytest.fixture(scope="module")
def sorter(marked: Tokenizer) -> TaskModel:
    return random_classifier(marked.vocab_size, "single", outputs=3, labels=LABELS)


@pytest.fixture(scope="module")
def traced(sorter: TaskModel, marked: Tokenizer) -> Trace:
    return trace(sorter, TEXT, marked)


@pytest.fixture
def expected(sorter: TaskModel, traced: Trace) -> torch.Tensor:
    return by_hand(sorter, traced.ids)


def test_it_reads_and_answers_as_the_model_does(
    sorter: TaskModel, marked: Tokenizer, traced: Trace, expected: torch.Tensor
) -> None:
    start, _, extract = task_tokens(marked)
    assert traced.ids == [start, *marked.encode(TEXT), extract]
    np.testing.assert_allclose(traced.logits(), expected, atol=1e-5)
    with torch.no_grad():
        whole = sorter(torch.tensor([[traced.ids]]), torch.tensor([[len(traced)]])).answers[0]
    np.testing.assert_allclose(traced["logits"][-1], whole, atol=1e-5)
    best = traced.next_tokens(5).candidates
    order = expected.argsort(descending=True).tolist()
    assert [c.label for c in best] == [LABELS[i] for i in order]
    np.testing.assert_allclose([c.probability for c in best], expected.softmax(-1)[order], atol=1e-5)
    assert {one.probability for one in traced.read()} == {None}  # it foretells no token
    assert traced.lens().labels(traced.n_layer, -1) == [c.label for c in best]


def test_how_its_answer_came_about(traced: Trace, expected: torch.Tensor) -> None:
    assert [step.key for step in traced.walk()[-1].layers[0]] == ["lens", "final_norm", "logits", "classes"]
    at = len(traced) - 1
    for output, label in enumerate(LABELS):
        score, share = traced.worked("logits", at, output), traced.worked("probabilities", at, output)
        assert score.recipe.sources["b"] == f"task_head.weight[{output}]"
        assert score.result == pytest.approx(float(expected[output]), abs=1e-5)
        assert share.result == pytest.approx(float(expected.softmax(-1)[output]), abs=1e-5)
        shares = traced.attribution(label)
        assert (shares.token_id, shares.title) == (output, f"logit of '{label}'")
        assert shares.logit == pytest.approx(float(expected[output]), abs=1e-4)
        assert shares.total == pytest.approx(shares.logit, abs=1e-3)
    name = "task_head.weight"
    np.testing.assert_array_equal(traced.subject.parameters()[name].detach(), traced.subject.task.head.weight.detach())  # type: ignore[union-attr]


def test_without_a_part_it_answers_otherwise(sorter: TaskModel, traced: Trace, expected: torch.Tensor) -> None:
    effect = traced.ablate("attn:0", "attn:1", "mlp:0", "mlp:1")
    assert effect.divergence > 0
    with torch.no_grad():  # nothing is left but the embedding of the last token
        state = sorter.backbone.norm(sorter.backbone.embedding(torch.tensor(traced.ids[-1:])))[0]  # type: ignore[operator]
        alone = sorter.head.weight @ state + sorter.head.bias  # type: ignore[operator]
    np.testing.assert_allclose(effect.logits_after, alone, atol=1e-5)
    assert [c.label for c in effect.changes(3)]
    assert traced.head_scores().previous.shape == (traced.n_layer, traced.n_head)


def test_a_pair_and_a_choice_are_two_texts(marked: Tokenizer) -> None:
    start, delimiter, extract = task_tokens(marked)
    both = [start, *marked.encode("a cat"), delimiter, *marked.encode("the cat"), extract]
    for task, outputs in (("pair", 2), ("choice", 1)):
        model = random_classifier(marked.vocab_size, task, outputs=outputs)  # type: ignore[arg-type]
        found = trace(model, "a cat", marked, target="the cat")
        assert found.ids == both
        np.testing.assert_allclose(found.logits(), by_hand(model, both), atol=1e-5)
        with pytest.raises(LimpidError, match=r"this classifier reads (two texts|a context)"):
            trace(model, "a cat", marked)
    assert [step.key for step in found.walk()[-1].layers[0]][-1] == "logits"  # one score is no choice among classes
    assert found.next_tokens(3).candidates[0].label == "score"


def test_a_mean_over_the_text(marked: Tokenizer) -> None:
    """As the shipped recipes make classifiers: the head reads the mean of all final states."""
    model = random_classifier(marked.vocab_size, "single", outputs=3, labels=LABELS, pooling="mean")
    found = trace(model, TEXT, marked)
    n = len(found)

    def answer(ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return model(torch.tensor([[ids]]), torch.tensor([[len(ids)]])).answers[0]

    for at in (0, 3, n - 1):  # what it would answer, had the text ended there
        np.testing.assert_allclose(found.logits(at), answer(found.ids[: at + 1]), atol=1e-5)
    assert [step.key for step in found.walk()[-1].layers[0]] == ["lens", "final_norm", "pool", "logits", "classes"]
    for name, place in (("hook_pooled", (n - 1, 5)), ("hook_pooled", (0, 2)), ("logits", (n - 1, 2))):
        assert found.worked(name, *place).result == pytest.approx(float(found[name][place]), abs=1e-5)
    assert found.names()["hook_pooled"] == (n, 32)
    np.testing.assert_allclose(found.lens(3).chances[-1, -1], found.next_tokens(1).candidates[0].probability, atol=1e-6)
    for nothing in found.ablate("attn:0").logits_after - found.ablate("attn:0", "attn:0").logits_after:
        assert nothing == 0
    assert found.ablate("mlp:0").divergence > 0
    with pytest.raises(LimpidError, match="mean over places"):
        found.attribution("good")


def test_what_cannot_be_traced_is_told(sorter: TaskModel, traced: Trace, marked: Tokenizer) -> None:
    def of(task: Any, **config: Any) -> TaskModel:
        return random_classifier(marked.vocab_size, task, **config)

    for model, text, words in (
        (of("similarity"), TEXT, "both orders"), (of("reward"), TEXT, "grades conversations"),
        (of("reward", likelihood=True), TEXT, "how probable an answer is"), (sorter, "", "text is empty"),
        (sorter, "cat " * 100, "tokens too long"),
    ):  # fmt: skip
        with pytest.raises(LimpidError, match=words):
            trace(model, text, marked)
    with pytest.raises(LimpidError, match="reads one text"):
        trace(sorter, TEXT, marked, target="more")
    with pytest.raises(LimpidError, match="has no class 'fine'; it has good, bad, so so"):
        traced.attribution("fine")
    with pytest.raises(LimpidError, match="outside the classes"):
        traced.attribution(3)


@pytest.mark.parametrize("kind", ["classifier", "encoder"])
def test_the_command_opens_what_writes_nothing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, sorter: TaskModel, marked: Tokenizer, tokenizer: Tokenizer,
    traced: Trace, kind: str,
) -> None:  # fmt: skip
    sorts = kind == "classifier"
    model, names = (sorter, marked) if sorts else (random_encoder(tokenizer.vocab_size), tokenizer)
    run = tmp_path / kind
    store.write(
        store.checkpoint_path(run, 1), model, names, {"stage": "x", "step": 1}, World(0, 1, torch.device("cpu"))
    )
    told = json.loads(inspect(capfd, run, "--text", TEXT, "--json", "-")[1])
    assert ("attribution" in told) == sorts  # an encoder's head is not linear
    best = told["next"]["candidates"][0]
    if sorts:
        assert best["label"] == traced.next_tokens(1).candidates[0].label
    else:
        scores = trace(model, TEXT, names).logits()
        assert best["token_id"] == scores.argmax()
    code, shown, _ = inspect(capfd, run, "--text", TEXT, "--lens", "--layer", 0, "--scores")
    assert code == 0
    assert not sorts or "so so" in shown
    assert inspect(capfd, run, "--text", TEXT, "--html", tmp_path / "x.html")[0] == 0
    assert inspect(capfd, run, "--text", TEXT, "--png", tmp_path / "x.png")[0] == 0
