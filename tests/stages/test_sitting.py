"""What a run's folder says of its newest sitting, and of what the model wrote on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limpid.core import command
from limpid.core.errors import Interrupted, LimpidError
from limpid.core.logging import TextsLog
from limpid.stages.runs import describe
from limpid.stages.sitting import Sitting, read_sitting


def test_how_it_was_begun_and_why_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_given", [])
    command.remember(["pretrain", "tiny.toml"])
    (tmp_path / "recipe.toml").write_text("# limpid pretrain\n")
    with pytest.raises(LimpidError), Sitting(tmp_path, processes=2) as sitting:
        sitting.note(steps=70)
        raise LimpidError("step 3: the loss is nan;\n lower optim.lr.")
    found = read_sitting(tmp_path)
    assert (found["command"], found["processes"], found["steps"]) == (["pretrain", "tiny.toml"], 2, 70)
    run = describe(tmp_path, tmp_path.parent)
    assert (run["state"], run["reason"], run["steps"]) == ("failed", "step 3: the loss is nan; lower optim.lr.", 70)
    with pytest.raises(Interrupted), Sitting(tmp_path):
        raise Interrupted("stopped at step 5")
    assert describe(tmp_path, tmp_path.parent)["state"] == "interrupted"  # the new sitting failed in nothing
    (tmp_path / "sitting.json").write_text("[1")
    assert read_sitting(tmp_path) == {}


def test_texts_past_the_step_that_is_gone_on_from_are_dropped(tmp_path: Path) -> None:
    log = TextsLog(tmp_path)
    for step in (10, 20, 30):
        log.write(step, "床前", "明月光")
    TextsLog(tmp_path, step=20).write(30, "床前", "again")
    lines = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(one["step"], one["text"]) for one in lines] == [(10, "明月光"), (20, "明月光"), (30, "again")]
