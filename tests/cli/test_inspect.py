"""limpid inspect: on the terminal, as JSON, PNG and HTML, and what it refuses."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.inspection.test_shown import harmless
from tests.models.encoder_decoders import random_transformer
from tests.models.test_encoder import random_encoder
from tests.models.variants import random_decoder

import limpid
from limpid.checkpoint import store
from limpid.cli.main import main
from limpid.models.model import Model
from limpid.parallel.environment import World
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

TEXT = "The cat 霜 🙂"


def run(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["inspect", *map(str, args), "--device", "cpu"])
    out, err = capfd.readouterr()
    return int(caught.value.code or 0), out, err


def written(path: Path, model: Model, tokenizer: Tokenizer) -> Path:
    store.write(path, model, tokenizer, {"stage": "seq2seq", "step": 1}, World(0, 1, torch.device("cpu")))
    return path


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    run = tmp_path_factory.mktemp("runs") / "translator"
    written(run / "best", random_transformer(vocab_size=tokenizer.vocab_size), tokenizer)
    return run


def test_the_terminal_shows_what_is_asked(saved_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asked = ["--lens", "--attribution", "--scores", "--layer", 1, "--head", 2, "--ablate", "head:1.2", "--count", 3]
    code, out, _ = run(capfd, saved_run, "--text", TEXT, *asked, "--compare", saved_run)
    assert code == 0
    lm = limpid.load(saved_run, device="cpu", dtype="float32")
    mine = lm.trace(TEXT)
    for candidate in mine.next_tokens(3).candidates:
        assert candidate.label in out
        assert f"{candidate.probability:.2%}" in out
    assert f"{mine.attribution().logit:.4f}" in out
    for words in ("layer 1, head 2: where each token looks", "logit lens", "induction", "without head:1.2", "霜"):
        assert words in out
    assert "0.000 bits apart on average, the same first candidate at 100% of places" in out


def test_json(saved_run: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capfd, saved_run, "--text", TEXT, "--json", "-", "--layer", 1)
    assert code == 0
    told = json.loads(out)
    mine = limpid.load(saved_run, device="cpu", dtype="float32").trace(TEXT)
    assert [token["id"] for token in told["tokens"]] == mine.ids
    assert np.allclose([head["weights"] for head in told["attention"]], mine.pattern(1))
    assert "lens" not in told
    code, out, err = run(capfd, saved_run, "--text", TEXT, "--json", tmp_path / "all.json", "--token", "#5")
    assert (code, out) == (0, "")
    assert f"wrote {tmp_path / 'all.json'}" in err
    told = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert {"lens", "attribution", "head_scores"} <= told.keys()
    assert told["attribution"]["token_id"] == 5
    assert told["attribution"]["total"] == pytest.approx(mine.attribution(5).logit, abs=1e-5)


def test_html_and_png(saved_run: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "head.png"
    code, _, _ = run(capfd, saved_run, "--text", TEXT, "--html", page, "--ablate", "mlp:0", "--layer", 0, "--head", 1)
    assert code == 0
    parsed = harmless(page.read_text(encoding="utf-8"))
    assert parsed.tags[:3] == ["html", "head", "meta"]
    assert "Attention, layer 0, head 1" in page.read_text(encoding="utf-8")
    code, _, _ = run(capfd, saved_run, "--text", TEXT, "--html", page)
    headings = ["Tokens", "What comes next", "every head", "Logit lens", "What adds to the logit", "Heads by what"]
    assert all(heading in page.read_text(encoding="utf-8") for heading in headings)
    for asked in (["--layer", 0, "--head", 1], ["--layer", 1], ["--lens"], ["--attribution"], ["--scores"], []):
        assert run(capfd, saved_run, "--text", TEXT, "--png", picture, *asked)[0] == 0
        with Image.open(picture) as image:
            assert min(image.size) > 100
        picture.unlink()


def test_a_translator(translator: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asked = ["--text", "The cat", "--target", "A dog", "--cross", "--layer", 1, "--head", 0, "--json", "-"]
    code, out, _ = run(capfd, translator, *asked)
    assert code == 0
    told = json.loads(out)
    assert "".join(token["label"] for token in told["tokens"][1:]) == "A␣dog"
    assert [token["label"] for token in told["source"]][:1] == ["T"] or told["source"][0]["label"].startswith("The")
    shape = np.array(told["attention"][0]["weights"]).shape
    assert shape == (len(told["tokens"]), len(told["source"]))
    code, out, _ = run(
        capfd, translator, "--text", "The cat", "--json", "-", "--stack", "encoder", "--ablate", "encoder/mlp:0"
    )
    assert code == 0
    assert len(json.loads(out)["tokens"]) > 1  # its own translation
    assert run(capfd, translator, "--text", "The cat", "--scores", "--lens", "--attribution")[0] == 0


def test_an_encoder(tmp_path: Path, tokenizer: Tokenizer, capfd: pytest.CaptureFixture[str]) -> None:
    model = random_encoder(vocab_size=tokenizer.vocab_size, mask_token=None)
    path = written(tmp_path / "encoder", model, tokenizer)
    code, out, _ = run(capfd, path, "--text", "The cat", "--lens", "--layer", 0, "--head", 0)
    assert code == 0
    assert "logit lens" in out
    code, _, err = run(capfd, path, "--text", "The cat", "--attribution")
    assert code == 1
    assert "not linear" in err


def test_standard_input(saved_run: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("床前明月光\n".encode())))
    code, out, _ = run(capfd, saved_run, "--text", "-", "--json", "-")
    assert code == 0
    assert b"".join(bytes(token["bytes"]) for token in json.loads(out)["tokens"]).decode() == "床前明月光"


@pytest.mark.parametrize("text", ["🙂👋🏽👨‍👩‍👧", "שלום עולם", "a\u200bb\ufeff", "\x00\x07\x1b[31m", "<b>&amp;", " "])
def test_any_text_is_shown(saved_run: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path, text: str) -> None:
    code, out, err = run(capfd, saved_run, "--text", text, "--lens")
    assert code == 0, err
    assert not any(c in out for c in "\x00\x07\x1b\u200b\ufeff")
    code, out, _ = run(capfd, saved_run, "--text", text, "--html", tmp_path / "x.html")
    assert code == 0
    harmless((tmp_path / "x.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--text", ""], "the text is empty"),
        (["--text", "x" * 10_000], "and this model reads at most 64: it is"),
        (["--text", "The cat", "--head", "1"], "--head is a head of a layer: give --layer too."),
        (["--text", "The cat", "--layer", "9"], "there is no layer 9; this model has layers 0 to 1."),
        (["--text", "The cat", "--layer", "0", "--head", "9"], "there is no head 9; this model has heads 0 to 3."),
        (["--text", "The cat", "--ablate", "everything"], "'everything' is no part of a model"),
        (["--text", "The cat", "--at", "99"], "place 99 is outside the text"),
        (["--text", "The cat", "--cross", "--layer", "0"], "have no 'cross_attn'"),
        (["--text", "The cat", "--target", "A dog"], "a target is for an encoder-decoder"),
        (["--text", "The cat", "--attribution", "--token", "several words"], "is not one token but"),
        (["--text", "The cat", "--lens", "--scores", "--png", "x.png"], "--png holds one picture"),
        (["--text", "The cat", "--compare", "nowhere"], "there is no run at nowhere"),
        (["--text", "The cat", "--json", "/dev/null/x.json"], "/dev/null"),
    ],
)  # fmt: skip
def test_what_it_refuses(
    saved_run: Path, capfd: pytest.CaptureFixture[str], args: list[str], message: str, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capfd, saved_run, *args)
    assert code == 1
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


GUIDE = (Path(__file__).parents[2] / "docs" / "inspecting.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def guide_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run that the guide speaks of: three layers, and the words it names as tokens."""
    folder = tmp_path_factory.mktemp("guide")
    texts = ["The cat sat on the mat. A dog sat on the mat. The mat, the dog."] * 50
    tokenizer = train(TokenizerSection(kind="bpe", vocab_size=300), texts, exact=False)
    model = random_decoder("qwen3", vocab_size=tokenizer.vocab_size)
    for stage in ("pretrain", "sft"):
        run = folder / "runs" / "demo" / stage
        written(store.checkpoint_path(run, 1), model, tokenizer)
        (run / "summary.json").write_text("{}", encoding="utf-8")
    return folder


def test_the_commands_of_the_guide(
    guide_runs: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(guide_runs)
    lines = re.findall(r"^limpid inspect (runs/demo.*?)(?: *[|#].*)?$", GUIDE, flags=re.MULTILINE)
    assert len(lines) == 6
    for line in lines:
        code, _, err = run(capfd, *shlex.split(line))
        assert code == 0, (line, err)
    assert {path.name for path in guide_runs.iterdir()} == {"runs", "head.png", "cat.html"}


def test_the_program_of_the_guide(guide_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(guide_runs)
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    assert names["t"].tokens[-1].label == "␣the"


def test_a_run_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capfd, "nowhere", "--text", "x")
    assert code == 1
    assert "there is no run at nowhere" in err
