"""Logs that a resume cuts back: what a model wrote stays one line, whatever it wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from limpid.core.errors import LimpidError
from limpid.core.logging import MetricsLog, TextsLog, read_metrics
from limpid.rollout.samples_log import SamplesLog

STRANGE = "a\x85b\u2028c\u2029d\x1ce\rf\ng"
"""All that `str.splitlines` takes for the end of a line."""


def test_texts_with_strange_line_ends_survive_a_resume(tmp_path: Path) -> None:
    log = TextsLog(tmp_path)
    for step in (1, 2, 3):
        log.write(step, "p", STRANGE)
    TextsLog(tmp_path, step=2)
    assert read_metrics(tmp_path / "texts.jsonl") == [{"step": i, "prompt": "p", "text": STRANGE} for i in (1, 2)]


def test_samples_with_strange_line_ends_survive_a_resume(tmp_path: Path) -> None:
    first = SamplesLog(tmp_path)
    first.write(1, [{"answer": STRANGE}])
    first.write(2, [{"answer": "lost"}])
    SamplesLog(tmp_path).write(2, [{"answer": "anew"}])
    assert [one["answer"] for one in read_metrics(tmp_path / "samples.jsonl")] == [STRANGE, "anew"]


def test_a_line_cut_short_is_left_out_and_a_damaged_one_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"st')
    assert read_metrics(path) == [{"step": 1}]
    path.write_text('{"st\n{"step": 2}\n')
    with pytest.raises(LimpidError, match="line 1 is not JSON"):
        read_metrics(path)


def test_what_is_cut_back_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n')

    def killed(*_: object) -> None:
        raise OSError("killed here")

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(LimpidError):
        MetricsLog(tmp_path, step=1, tensorboard=False)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
