"""A student learns from a teacher: from its probabilities, or from its answers; and resumes to the bit."""

import json
import math
from pathlib import Path

import pytest
import torch
from tests.stages.conftest import WORDS
from tests.stages.test_sft import pretrained, recipe_for, summary_of, talk, write  # noqa: F401
from tests.stages.test_training_run import ALONE, cut_back, weights

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.inference.language_model import LanguageModel
from limpid.inference.weights import inference_copy
from limpid.stages.distill import ANSWERS, distill
from limpid.stages.events import Started
from limpid.stages.pretrain import pretrain
from limpid.stages.recipe import Recipe
from limpid.stages.sft import sft

FACTS = {"the cat": "sat on a mat", "it was": "good", "mat": "猫 坐 在"}


def distilling(table: dict, teacher: Path, **more: object) -> Recipe:
    section = {"teacher": str(teacher), "steps": 8, "tokens_per_step": 256, "warmup_steps": 0, **more}
    return parse(Recipe, table | {"distill": section}, "tiny")


def test_probabilities_of_text_teach_a_fresh_student_and_a_resume_is_exact(tmp_path, tiny_table):
    longer = tiny_table | {"train": tiny_table["train"] | {"steps": 120}, "eval": tiny_table["eval"] | {"every": 0}}
    list(pretrain(parse(Recipe, longer, "tiny"), tmp_path / "teacher", ALONE))
    recipe = distilling(tiny_table, tmp_path / "teacher", text_share=1.0, dropout=0.1, steps=16)
    list(distill(recipe, None, tmp_path / "whole", ALONE))
    divergences = [
        line["teacher_kl"]
        for line in map(json.loads, (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines())
        if "teacher_kl" in line
    ]
    assert len(divergences) == 16
    assert divergences[-1] < divergences[0]
    cut_back(tmp_path / "whole", tmp_path / "part", 6)
    list(distill(recipe, None, tmp_path / "part", ALONE, resume=True))
    for p, q in zip(weights(tmp_path / "whole"), weights(tmp_path / "part"), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("method", ["logits", "answers"])
def test_a_student_says_what_its_teacher_says(tmp_path, tiny_table, pretrained, method):  # noqa: F811
    table = tiny_table | {"eval": tiny_table["eval"] | {"every": 0}}
    right = write(tmp_path / "a.jsonl", [talk(question, answer) for question, answer in FACTS.items()])
    list(sft(recipe_for(table, right, steps=300, text_share=0.0, lr_factor=1.0), pretrained, tmp_path / "sft", ALONE))
    asked = right  # for the probabilities, the tokens after which they are asked for
    if method == "answers":
        asked = write(tmp_path / "b.jsonl", [talk(question, "on") for question in FACTS])
    recipe = distilling(
        table, tmp_path / "sft", path=asked, method=method, steps=300, text_share=0.0, lr_factor=1.0, share=1.0
    )
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / ANSWERS).write_text('["of a run cut short before its first save"]')
    events = list(distill(recipe, pretrained, tmp_path / "student", ALONE))
    if method == "answers":
        assert json.loads((tmp_path / "student" / ANSWERS).read_text()) == list(FACTS.values())
    checkpoint = store.read(tmp_path / "student")
    lm = LanguageModel(inference_copy(checkpoint.model, torch.float32), checkpoint.tokenizer)
    for question, answer in FACTS.items():
        assert lm.chat([{"role": "user", "content": question}], temperature=0, max_tokens=25) == answer
    assert math.isfinite(summary_of(events)["measures"]["test bits per byte"]["value"])


def test_prompts_without_a_whole_answer_are_left_out_and_counted(tmp_path, tiny_table, pretrained):  # noqa: F811
    rows = [talk(f"{a} {b}", "good") for a in WORDS[:8] for b in WORDS[:8]]
    recipe = distilling(tiny_table, pretrained, path=write(tmp_path / "a.jsonl", rows), method="answers", max_tokens=1)
    with pytest.raises(LimpidError, match=r"leaves nothing to learn from"):  # a teacher that was only pretrained
        list(distill(recipe, pretrained, tmp_path / "student", ALONE))


def test_teachers_that_do_not_fit(tmp_path, tiny_table, pretrained, corpus):  # noqa: F811
    with pytest.raises(LimpidError, match=r"distill.teacher is not set"):
        list(distill(parse(Recipe, tiny_table, "tiny"), None, tmp_path / "a", ALONE))
    other = tiny_table | {"tokenizer": {"kind": "bpe", "vocab_size": 300}}
    list(pretrain(parse(Recipe, other, "other"), tmp_path / "other", ALONE))
    with pytest.raises(LimpidError, match=r"another tokenizer than the student.*distill.method=answers"):
        list(distill(distilling(tiny_table, pretrained, text_share=1.0), tmp_path / "other", tmp_path / "b", ALONE))
    longer = tiny_table | {"model": tiny_table["model"] | {"context": 64}}
    with pytest.raises(LimpidError, match=r"the teacher reads 32 tokens and the student 64"):
        list(distill(distilling(longer, pretrained, text_share=1.0), None, tmp_path / "c", ALONE))
    with pytest.raises(LimpidError, match="there is no run at"):
        list(distill(distilling(tiny_table, tmp_path / "nowhere"), None, tmp_path / "d", ALONE))


def test_lora_adapts_a_student_that_has_learnt_something(tmp_path, tiny_table, pretrained):  # noqa: F811
    table = tiny_table | {"lora": {"rank": 2}}
    events = list(distill(distilling(table, pretrained, text_share=1.0), pretrained, tmp_path / "a", ALONE))
    (started,) = [event for event in events if isinstance(event, Started)]
    assert "parameters are trained" in started.note
    assert (store.find(tmp_path / "a") / "lora.json").is_file()
    events = list(distill(distilling(table, pretrained, text_share=1.0), None, tmp_path / "b", ALONE))
    assert not (store.find(tmp_path / "b") / "lora.json").is_file()
