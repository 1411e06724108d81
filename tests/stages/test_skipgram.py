"""Word vectors learnt from a text whose words keep company by design, and learnt in two sittings."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from limpid.checkpoint import store
from limpid.core.errors import Interrupted, LimpidError
from limpid.core.logging import read_metrics
from limpid.core.recipe import parse
from limpid.stages.events import Finished, Saved, Started
from limpid.stages.load import load_word_vectors
from limpid.stages.skipgram import SkipgramSection, WordsRecipe, descend, skipgram
from limpid.training.fit import StepReport

GROUPS = [["cat", "dog", "mouse", "bird"], ["red", "green", "blue", "black"], ["one", "two", "three", "four"]]


@pytest.fixture
def recipe(tmp_path: Path) -> WordsRecipe:
    draw = np.random.default_rng(0)
    lines = [" ".join(draw.choice(GROUPS[draw.integers(3)], 6)) for _ in range(1500)]
    path = tmp_path / "company.txt"
    path.write_text("\n".join(lines))
    table = {
        "data": {"path": str(path)},
        "tokenizer": {"kind": "word", "vocab_size": 18},
        "skipgram": {"dim": 8, "window": 2, "epochs": 3, "subsample": 0, "words_a_step": 64, "shared": 32},
        "checkpoint": {"every": 100, "keep": 1},
    }
    return parse(WordsRecipe, table, "test")


def vectors_of(run: Path) -> bytes:
    return (run / "vectors.safetensors").read_bytes()


def test_words_that_keep_company_become_neighbours(recipe: WordsRecipe, tmp_path: Path) -> None:
    events = list(skipgram(recipe, tmp_path / "run"))
    losses = [e.loss for e in events if isinstance(e, StepReport)]
    assert np.mean(losses[-10:]) < 0.8 * losses[0]
    assert isinstance(events[-1], Finished)
    vectors = load_word_vectors(tmp_path / "run")
    for group in GROUPS:
        assert {n.word for n in vectors.neighbours(group[0], 3)} == set(group[1:])
    with pytest.raises(LimpidError, match="already holds a run: add --resume"):
        next(skipgram(recipe, tmp_path / "run"))
    logged = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert logged[0]["step"] == 100
    assert logged[0]["loss"] == pytest.approx(np.mean(losses[:100]), rel=0.02)
    measures = json.loads((tmp_path / "run" / "summary.json").read_text())["measures"]
    assert measures == {"training nats a pair": {"value": logged[-1]["loss"]}}


def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(recipe: WordsRecipe, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    steps = [e for e in skipgram(recipe, whole) if isinstance(e, StepReport)]
    with pytest.raises(Interrupted, match="stopped at step 150 of .* --resume"):
        for event in skipgram(recipe, halves):
            if isinstance(event, StepReport) and event.step == 150:
                signal.raise_signal(signal.SIGTERM)
    assert not (halves / "vectors.safetensors").exists()
    assert store.steps_of(halves) == [150]  # that of step 100 was pruned
    again = list(skipgram(recipe, halves, resume=True))
    assert next(e for e in again if isinstance(e, Started)).start == 150
    resumed = [e for e in again if isinstance(e, StepReport)]
    assert [e.loss for e in resumed] == [e.loss for e in steps[150:]]
    assert vectors_of(halves) == vectors_of(whole)
    assert [e.step for e in again if isinstance(e, Saved)][-1] == len(steps)


def test_a_run_is_resumed_by_its_own_recipe_only(recipe: WordsRecipe, tmp_path: Path) -> None:
    list(skipgram(recipe, tmp_path / "run"))
    other = recipe.model_copy(update={"skipgram": recipe.skipgram.model_copy(update={"lr": 0.05})})
    with pytest.raises(LimpidError, match=r"begun with another recipe \(lr = 0.05\)"):
        next(skipgram(other, tmp_path / "run", resume=True))


def test_another_seed_gives_other_vectors(recipe: WordsRecipe, tmp_path: Path) -> None:
    list(skipgram(recipe, tmp_path / "a"))
    other = recipe.model_copy(update={"skipgram": recipe.skipgram.model_copy(update={"seed": 1})})
    list(skipgram(other, tmp_path / "b"))
    assert vectors_of(tmp_path / "a") != vectors_of(tmp_path / "b")


def test_a_step_is_gradient_descent_on_every_pair() -> None:
    """Against the gradients written out pair by pair, with every noise word (Mikolov et al. 2013, equation 4)."""
    draw = torch.Generator().manual_seed(0)
    tables = {name: torch.randn(6, 4, generator=draw) for name in ("words", "around")}
    words, around = (tables[name].double().numpy().copy() for name in ("words", "around"))
    centres, contexts, pairs, noise = [2, 3], [3, 1, 2], [0, 0, 1], [5, 5, 0]
    expected = {"words": words.copy(), "around": around.copy()}

    def sigmoid(x: float) -> float:
        return 1 / (1 + np.exp(-x))

    for context, pair in zip(contexts, pairs, strict=True):
        centre = centres[pair]
        for word, label, weight in [(context, 1, 1.0), *((n, 0, 6 / 3) for n in noise)]:
            slope = 0.1 * weight * (label - sigmoid(words[centre] @ around[word]))
            expected["words"][centre] += slope * around[word]
            expected["around"][word] += slope * words[centre]
    batch = [torch.tensor(part) for part in (centres, contexts, pairs, noise)]
    descend(tables, *batch, SkipgramSection(negatives=6), 0.1)
    for name, table in tables.items():
        np.testing.assert_allclose(table.numpy(), expected[name], atol=1e-5)


def test_other_verbs_say_that_these_are_word_vectors(recipe: WordsRecipe, tmp_path: Path) -> None:
    list(skipgram(recipe, tmp_path / "run"))
    with pytest.raises(LimpidError, match="word vectors and no model; limpid embed opens them"):
        store.read(tmp_path / "run")
