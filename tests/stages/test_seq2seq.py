"""Translation from a recipe to BLEU: learning, resuming to the bit, processes, bad input, and `limpid translate`."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w
import torch
from tests.stages.test_training_run import ALONE, ENVIRONMENT, cut_back, weights

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.evaluation.translation import bleu, mean_nats
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.registry import build
from limpid.models.transformer import TransformerConfig
from limpid.stages.events import Evaluated, Finished, Sampled, Saved, StepReport
from limpid.stages.recipe import Recipe
from limpid.stages.seq2seq import load_translator, seq2seq
from limpid.training.objectives.translation import Translation

WORDS = {"the": "der", "cat": "Katze", "sat": "saß", "on": "auf", "mat": "Matte", "good": "gut", "and": "und"}


def write_pairs(path: Path, count: int, seed: int) -> None:
    draw = random.Random(seed)
    rows = [draw.choices(sorted(WORDS), k=draw.randint(2, 7)) for _ in range(count)]
    path.write_text("".join(f"{' '.join(r)}.\t{' '.join(WORDS[w] for w in r)}.\n" for r in rows), encoding="utf-8")


@pytest.fixture
def table(tmp_path: Path) -> dict:
    write_pairs(tmp_path / "pairs.tsv", 200, seed=0)
    return {
        "tokenizer": {"kind": "char"},
        "model": {"family": "transformer", "depth": 1, "d_model": 32, "head_dim": 16, "context": 64, "norm": "pre"},
        "train": {"steps": 8, "tokens_per_step": 256, "micro_tokens": 128, "dtype": "float32", "compile": False},
        "schedule": {"kind": "inverse_sqrt", "warmup_steps": 4},
        "eval": {"every": 4},
        "checkpoint": {"every": 2, "keep": 10},
        "seq2seq": {"path": str(tmp_path / "pairs.tsv"), "average": 3, "beam": 2},
    }


def run(table: dict, out: Path, *, resume: bool = False) -> list:
    return list(seq2seq(parse(Recipe, table, "tiny"), out, ALONE, resume=resume))


def test_a_run_from_pairs_to_bleu(tmp_path, table):
    out = tmp_path / "run"
    events = run(table, out)
    assert sum(isinstance(e, StepReport) for e in events) == 8
    assert [e.step for e in events if isinstance(e, Saved)] == [2, 4, 6, 8]
    assert [set(e.values) for e in events if isinstance(e, Evaluated)] == [{"validation_nats"}] * 2
    assert any(isinstance(e, Sampled) for e in events)
    assert isinstance(events[-1], Finished)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["measures"]) == {"test BLEU", "test BLEU, greedy"}
    assert summary["signature"].startswith("nrefs:1|bs:1000|seed:12345|case:mixed|eff:no|tok:13a|smooth:exp")
    assert set(summary["validation_bleu"]) >= {"last", "mean of the last 3"}
    best = store.read(out / "best", EncoderDecoder)
    assert best.state["validation_bleu"] == summary["validation_bleu"]
    assert load_translator(out, device="cpu", dtype="float32").translate(["the cat"])[0].tokens


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, table):
    whole, part = tmp_path / "whole", tmp_path / "part"
    run(table, whole)
    cut_back(whole, part, 4)
    shutil.rmtree(part / "best")
    run(table, part, resume=True)
    for p, q in zip(weights(whole), weights(part), strict=True):
        assert torch.equal(p, q)
    summaries = [json.loads((r / "summary.json").read_text(encoding="utf-8")) for r in (whole, part)]
    assert summaries[0]["measures"] == summaries[1]["measures"]


def test_the_mean_of_checkpoints_is_their_mean(tmp_path, table):
    from limpid.stages.seq2seq import _candidates

    run(table, tmp_path / "run")
    found = dict(_candidates(tmp_path / "run", 3))
    parts = [store.read(store.checkpoint_path(tmp_path / "run", s), EncoderDecoder).model for s in (4, 6, 8)]
    for name, tensor in found["mean of the last 3"].items():
        wanted = sum(dict(m.named_parameters())[name].detach() for m in parts) / 3
        torch.testing.assert_close(tensor, wanted)
    assert torch.equal(found["last"]["embedding.weight"], parts[-1].embedding.weight)


def test_two_processes_follow_one(tmp_path, table):
    table["model"]["dropout"] = 0.0
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tomli_w.dumps(table), encoding="utf-8")
    run(table, tmp_path / "one")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "limpid",
         "seq2seq", str(recipe), "--out", str(tmp_path / "two")],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (
        [r["loss"] for r in map(json.loads, (tmp_path / n / "metrics.jsonl").read_text().splitlines()) if "loss" in r]
        for n in ("one", "two")
    )
    assert two == pytest.approx(one, abs=1e-5)


def test_one_batch_can_be_overfitted_and_then_translated(tmp_path, table):
    table["train"] |= {"steps": 150, "tokens_per_step": 4096, "micro_tokens": 4096}
    table["model"] |= {"dropout": 0.0, "d_model": 64}
    table["schedule"] = {"warmup_steps": 10}
    table["eval"] = {"every": 0}
    table["checkpoint"] = {"every": 0}
    write_pairs(tmp_path / "few.tsv", 12, seed=1)
    table["seq2seq"] |= {n: str(tmp_path / "few.tsv") for n in ("path", "validation", "test")}
    summary = run(table, tmp_path / "run")[-1].summary
    assert summary["measures"]["test BLEU"]["value"] > 99
    assert summary["measures"]["test BLEU, greedy"]["value"] > 99


def test_losses_are_torchs_with_padding_and_smoothing(table):
    from tests.data.test_pair_batches import END, random_pairs

    from limpid.data.pair_batches import make_batch

    model = build(
        TransformerConfig(vocab_size=1300, context=64, d_model=32, n_layer=1, n_encoder_layer=1, n_head=2, head_dim=16,
                          d_ff=48, dropout=0.0), seed=0,
    )  # fmt: skip
    pairs = random_pairs(6)
    batch = make_batch(pairs, range(6), END, END)
    ours = Translation(torch.float32, label_smoothing=0.1)(model, batch)
    total = torch.zeros(())
    for i in range(6):  # one by one, without padding
        one = make_batch(pairs, [i], END, END)
        logits = model.head(model(one.source, one.source_lengths, one.inputs))[0]
        total = total + torch.nn.functional.cross_entropy(logits, one.targets[0], reduction="sum", label_smoothing=0.1)
    torch.testing.assert_close(ours, total, rtol=1e-5, atol=1e-3)
    with torch.no_grad():
        logits = model.head(model(batch.source, batch.source_lengths, batch.inputs)).transpose(1, 2)
        losses = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none") * batch.weights
    plain = float(losses.sum() / batch.weights.sum())
    assert mean_nats(model, [batch], torch.float32) == pytest.approx(plain, rel=1e-5)


def test_bleu_is_sacrebleus():
    import sacrebleu

    ours = bleu(["The cat sat on the mat.", "It was good."], ["The cat sat on a mat.", "It was very good."])
    theirs = sacrebleu.corpus_bleu(
        ["The cat sat on the mat.", "It was good."], [["The cat sat on a mat.", "It was very good."]]
    )
    assert ours.score.value == pytest.approx(theirs.score)
    assert ours.score.low <= ours.score.high


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": {"family": "llama", "depth": 1}}, "a llama model is a decoder, and an encoder-decoder is needed"),
        ({"seq2seq": {"path": "absent.tsv"}}, "No such file"),
    ],
)
def test_what_cannot_be_trained_is_one_clear_line(tmp_path, table, change, words):
    with pytest.raises(LimpidError) as caught:
        run(table | change, tmp_path / "run")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pairs_that_are_all_too_long_are_one_clear_line(tmp_path, table):
    table["model"] |= {"context": 4}
    with pytest.raises(LimpidError, match=r"model\.context"):
        run(table, tmp_path / "run")


def test_unequal_files_are_refused_with_the_line(tmp_path, table):
    (tmp_path / "a.en").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "a.de").write_text("eins\n", encoding="utf-8")
    table["seq2seq"]["path"] = [str(tmp_path / "a.en"), str(tmp_path / "a.de")]
    with pytest.raises(LimpidError, match=r"a\.de ends after line 1, but .*a\.en goes on at line 2"):
        run(table, tmp_path / "run")


def limpid(*args: str, typed: str | bytes = "") -> subprocess.CompletedProcess[bytes]:
    data = typed if isinstance(typed, bytes) else typed.encode()
    return subprocess.run(
        [sys.executable, "-m", "limpid", *args], input=data, capture_output=True, env=ENVIRONMENT, timeout=120
    )


def test_translate_reads_lines_files_and_standard_input(tmp_path, table):
    out = tmp_path / "run"
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tomli_w.dumps(table), encoding="utf-8")
    trained = limpid("seq2seq", str(recipe), "--out", str(out))
    assert trained.returncode == 0, trained.stderr
    assert b"test BLEU" in trained.stdout
    assert b"sacrebleu signature: nrefs:1" in trained.stdout
    lines = ["the cat sat.", "", "good and good."]
    given = limpid("translate", str(out), *lines, "--beam", "2")
    assert given.returncode == 0, given.stderr
    expected = [t.text for t in load_translator(out).translate(lines, beam=2)]
    assert given.stdout.decode().split("\n") == [*expected, ""]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert limpid("translate", str(out), "--beam", "2", "--file", str(tmp_path / "lines.txt")).stdout == given.stdout
    assert limpid("translate", str(out), "--beam", "2", typed="\n".join(lines) + "\n").stdout == given.stdout
    shown = limpid("translate", str(out), lines[0], "--show-probabilities", "--beam", "1").stdout.decode()
    assert "%" in shown
    answer = json.loads(limpid("translate", str(out), lines[0], "--json", "--beam", "1").stdout)
    assert answer["source"] == lines[0]
    assert {"text", "token_id", "logprob"} == set(answer["tokens"][0])

    bad = limpid("translate", str(out), typed=b"good\n\xff\xfe\n")
    assert bad.returncode == 1
    assert b"line 2 of standard input is not UTF-8" in bad.stderr
    assert b"Traceback" not in bad.stderr
    chat = limpid("generate", str(out / "best"), "--prompt", "x")
    assert chat.returncode == 1
    assert b"a transformer model is an encoder-decoder, and a decoder is needed here" in chat.stderr


@pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="LIMPID_DATA_DIR names no data sets")
def test_multi30k_is_what_the_recipe_reads(tmp_path):
    from limpid.core.recipe import load
    from limpid.data.pairs import pair_splits

    recipe = load(Recipe, "translate-en-de-tiny")
    first = next(pair_splits(recipe.seq2seq.path)["test"]())
    assert first.source == "A man in an orange hat starring at something."
    assert first.target == "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt."
