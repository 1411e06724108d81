"""From labelled texts to a classifier: learnt, resumed to the bit, the best checkpoint measured beside the baseline."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from tests.stages.test_training_run import ALONE, cut_back

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import load, parse
from limpid.models.task import TaskModel
from limpid.stages.classify import classify, load_classifier
from limpid.stages.events import Finished
from limpid.stages.load import load_language_model
from limpid.stages.recipe import Recipe

GOOD, BAD = ["good", "fine", "bright", "lovely"], ["bad", "dull", "poor", "awful"]


def reviews(count: int, seed: int) -> list[str]:
    """Lines ``text<TAB>label``: the label is that of the one word that is not neutral."""
    draw = random.Random(seed)
    lines = ["text\tlabel"]
    for _ in range(count):
        label = draw.randrange(2)
        words = draw.choices(["the", "cat", "sat", "on", "a", "mat"], k=draw.randrange(2, 6))
        words.insert(draw.randrange(len(words)), draw.choice(GOOD if label else BAD))
        lines.append(f"{' '.join(words)}\t{'pos' if label else 'neg'}")
    return lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    for name, count, seed in (("train", 160, 0), ("dev", 40, 1), ("test", 60, 2)):
        (path / f"{name}.tsv").write_text("\n".join(reviews(count, seed)) + "\n")
    return path


def recipe_for(path: Path, **section: Any) -> Recipe:
    table = {
        "train": {"dtype": "float32", "micro_tokens": 256},
        "eval": {"every": 10},
        "checkpoint": {"keep": 10},
        "classify": {"path": str(path), "epochs": 3, "examples_per_step": 16, "lr_factor": 0.5} | section,
    }
    return parse(Recipe, table, "tiny")


def weights(run: Path) -> list[torch.Tensor]:
    return list(store.read(run, TaskModel).model.parameters())


def test_a_classifier_is_trained_measured_and_asked(tmp_path: Path, folder: Path, saved_run: Path) -> None:
    run = tmp_path / "run"
    events = list(classify(recipe_for(folder), saved_run, run, ALONE))
    assert isinstance(events[-1], Finished)
    summary = events[-1].summary
    measures = summary["measures"]
    assert measures["test accuracy"]["value"] > 0.8
    assert measures["test accuracy"]["low"] <= measures["test accuracy"]["value"] <= measures["test accuracy"]["high"]
    assert summary["baseline"]["measures"]["test accuracy"]["value"] > 0.9  # eight words tell all
    gap = measures["test accuracy"]["value"] - summary["baseline"]["measures"]["test accuracy"]["value"]
    assert measures["test accuracy above the baseline"]["value"] == pytest.approx(gap)
    assert sum(map(sum, summary["confusion"])) == 60

    report = json.loads((run / "report.json").read_text())
    assert report["measures"] == measures
    page = (run / "report.md").read_text()
    assert "| test accuracy |" in page
    assert "1-2-grams" in page
    texts = [t.text for t in ElementTree.parse(run / "confusion.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert {str(count) for line in summary["confusion"] for count in line} | {"pos", "neg"} <= set(texts)

    classifier = load_classifier(run, device="cpu", dtype="float32")
    lines = [line.split("\t") for line in (folder / "test.tsv").read_text().splitlines()[1:]]
    predictions = classifier.predict([(text,) for text, _ in lines])
    right = [p.label == label for p, (_, label) in zip(predictions, lines, strict=True)]
    assert sum(right) / 60 == pytest.approx(measures["test accuracy"]["value"])  # of the best checkpoint, as reported
    assert all(abs(sum(p.probabilities.values()) - 1) < 1e-6 for p in predictions)
    assert all(max(p.probabilities.values()) == p.probabilities[p.label] for p in predictions)
    with pytest.raises(LimpidError, match="reads one text at a time, not 2"):
        classifier.predict([("a", "b")])
    with pytest.raises(LimpidError, match="a decoder is needed here"):
        load_language_model(run)


@pytest.mark.parametrize("step", [10, 20])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, folder: Path, saved_run: Path, step: int
) -> None:
    recipe = recipe_for(folder, baseline=False)
    whole, part = tmp_path / "whole", tmp_path / "part"
    first = list(classify(recipe, saved_run, whole, ALONE))[-1]
    cut_back(whole, part, step)
    second = list(classify(recipe, saved_run, part, ALONE, resume=True))[-1]
    assert all(torch.equal(p, q) for p, q in zip(weights(whole), weights(part), strict=True))
    assert isinstance(first, Finished)
    assert isinstance(second, Finished)
    assert first.summary["measures"] == second.summary["measures"]
    assert first.summary["best"] == second.summary["best"]


def test_the_best_checkpoint_in_validation_is_the_one_that_is_measured(
    tmp_path: Path, folder: Path, saved_run: Path
) -> None:
    run = tmp_path / "run"
    done = list(classify(recipe_for(folder, lr_factor=3.0, baseline=False), saved_run, run, ALONE))[-1]
    assert isinstance(done, Finished)
    looks = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    errors = {look["step"]: look["validation_error"] for look in looks if "validation_error" in look}
    best = min(errors, key=lambda step: errors[step])
    assert done.summary["best"]["step"] == best
    assert json.loads((run / "report.json").read_text())["step"] == best
    measured = load_classifier(store.checkpoint_path(run, best), device="cpu", dtype="float32")
    asked = load_classifier(run, device="cpu", dtype="float32")
    assert measured.predict([("a good mat",)]) == asked.predict([("a good mat",)])


@pytest.mark.parametrize("form", ["pair", "similarity", "choice"])
def test_the_other_forms_run_to_their_report(tmp_path: Path, saved_run: Path, form: str) -> None:
    draw = random.Random(0)
    rows = []
    for _ in range(60):
        a, b = draw.sample(GOOD + BAD, 2)
        common = draw.randrange(2)
        rows.append(
            {"a": f"the {a} cat", "b": f"a {a if common else b} mat", "score": 5.0 * common + draw.random()}
            if form != "choice"
            else {"a": f"the {a} cat", "options": [f"a {b} mat", f"a {a} mat"][:: 1 if common else -1], "score": common}
        )
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"second": "b", "target": "score"} if form != "choice" else {"choices": "options"}
    section = {"form": form, "text": "a", "label": "score", "epochs": 1} | columns
    done = list(classify(recipe_for(path, **section), saved_run, tmp_path / "run", ALONE))[-1]
    assert isinstance(done, Finished)
    expected = {"test accuracy", "test macro F1"} if form == "choice" else {"test Pearson", "test Spearman"}
    assert expected <= done.summary["measures"].keys()
    assert expected <= done.summary["baseline"]["measures"].keys()
    classifier = load_classifier(tmp_path / "run", device="cpu", dtype="float32")
    texts = ("the cat", "a mat", "a dog")[: 3 if form == "choice" else 2]
    (prediction,) = classifier.predict([texts])
    if form == "choice":
        assert set(prediction.probabilities) == {"0", "1"}
    else:
        assert prediction.score is not None
        (swapped,) = classifier.predict([texts[::-1]])
        assert (abs(prediction.score - swapped.score) < 1e-4) == (form == "similarity")


@pytest.mark.parametrize(
    ("change", "section", "words"),
    [
        ({}, {"text": "sentence"}, ["train.tsv:2", "no column 'sentence'", "it has: text, label"]),
        ({"dev": "text\tlabel\nx\tsoso\n"}, {}, ["dev.tsv:2", "the label 'soso'", "neg, pos"]),
        ({"test": "text\tlabel\n"}, {}, ["test.tsv holds no examples"]),
        ({"train": "text\tlabel\n" + "x\tpos\n" * 9}, {}, ["all 9 training examples have the label 'pos'"]),
        ({}, {"target": "score"}, ["column 'label'", "a number is wanted"]),
        (dict.fromkeys(("train", "dev", "test"), "text\tlabel\n" + "x\t1\n" * 9), {"target": "score"}, ["the score 1"]),
    ],
)
def test_bad_input_is_one_clear_line(
    tmp_path: Path, folder: Path, saved_run: Path, change: dict[str, str], section: dict[str, str], words: list[str]
) -> None:
    for name, text in change.items():
        (folder / f"{name}.tsv").write_text(text)
    with pytest.raises(LimpidError) as caught:
        list(classify(recipe_for(folder, **section), saved_run, tmp_path / "run", ALONE))
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


REAL = {
    "sst2": {"measure": "test accuracy", "examples": 1821, "labels": ["0", "1"]},
    "trec": {"measure": "test accuracy", "examples": 500, "labels": ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]},
    "rte": {"measure": "test accuracy", "examples": 277, "labels": ["entailment", "not_entailment"]},
    "stsb": {"measure": "test Spearman", "examples": 1379, "labels": []},
}


@pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="needs the files of LIMPID_DATA_DIR")
@pytest.mark.parametrize("name", REAL)
def test_the_shipped_tasks_run_on_the_real_files(name: str, tmp_path: Path, saved_run: Path) -> None:
    """A few steps of a model of random weights: what is read, asked and reported, not how well it answers."""
    section = load(Recipe, name).classify.model_dump(exclude_none=True)
    path = section.pop("path")
    few = recipe_for(path, **section | {"epochs": 0.02, "examples_per_step": 16, "baseline": False})
    done = list(classify(few, saved_run, tmp_path / "run", ALONE))[-1]
    assert isinstance(done, Finished)
    assert done.summary["test_examples"] == REAL[name]["examples"]
    assert done.summary["labels"] == REAL[name]["labels"]
    assert REAL[name]["measure"] in done.summary["measures"]


@pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="needs the files of LIMPID_DATA_DIR")
def test_multiple_choice_runs_on_real_questions(tmp_path: Path, saved_run: Path) -> None:
    path = Path(os.environ["LIMPID_DATA_DIR"]) / "mc_eval" / "openbookqa.jsonl"
    columns = {"form": "choice", "text": "query", "choices": "choices", "label": "answer"}
    few = recipe_for(path, **columns, epochs=0.1, baseline=False)
    done = list(classify(few, saved_run, tmp_path / "run", ALONE))[-1]
    assert isinstance(done, Finished)
    assert done.summary["test_examples"] == 30
    assert 0 <= done.summary["measures"]["test accuracy"]["value"] <= 1
