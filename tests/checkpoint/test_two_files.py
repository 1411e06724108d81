"""run.py: one file, NumPy alone, the same numbers and the same text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checkpoint.hugging_face.test_export import random_gpt, save_run
from tests.conftest import TEXTS, random_llama

from limpid.checkpoint.parity import TEXTS as PARITY_TEXTS
from limpid.checkpoint.two_files import PROGRAM, config_notes, load_program, tokenizer_notes
from limpid.core.errors import LimpidError
from limpid.inference.language_model import LanguageModel
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.stages.export_model import export_model
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

TWIN = load_program()
BPE = train(TokenizerSection(kind="bpe", vocab_size=320), TEXTS)
MODELS = {
    "llama": lambda: random_llama(),
    "llama-tied": lambda: random_llama(qk_norm=False, tie_embeddings=True, n_kv_head=4, rope_base=300.0),
    "qwen2-window": lambda: random_llama(qk_norm=False, qkv_bias=True, window=9),
    "mixtral": lambda: random_llama(qk_norm=False, n_expert=5),
    "qwen3-moe": lambda: random_llama(n_expert=5, experts_per_token=3, normalise_experts=False),
    "gpt2": lambda: random_gpt(),
    "gpt1": lambda: random_gpt(norm="post", activation="gelu", tie_embeddings=False),
    "gpt-classical": lambda: random_gpt(activation="relu", positions="sinusoidal"),
}
# Only what is on this list may be imported: Python's own modules, and NumPy.
ALONE = """
import importlib.abc, runpy, sys
class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"numpy"}:
            raise ImportError(f"{name} is not NumPy")
sys.meta_path.insert(0, Guard())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def twin(model: Decoder) -> object:
    """run.py's model with the weights of ours."""
    weights = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    return TWIN.Model(weights, config_notes(model.config))


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_torch(name: str) -> None:
    model = MODELS[name]()
    ids = np.random.default_rng(0).integers(320, size=50).tolist()
    with torch.no_grad():
        expected = model.head(model(torch.tensor([ids])))[0].numpy()
    theirs = twin(model)
    whole = theirs.forward(ids, TWIN.Cache(theirs.config))
    assert np.abs(whole - expected).max() <= 1e-4
    cache = TWIN.Cache(theirs.config)
    pieces = [theirs.forward(part, cache) for part in (ids[:7], ids[7:8], ids[8:30], ids[30:])]
    assert np.abs(np.concatenate(pieces) - expected).max() <= 1e-4


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cn"])))
def test_tokens_are_those_of_the_library(text: str) -> None:
    theirs = TWIN.Tokenizer(tokenizer_notes(BPE))
    assert theirs.encode(text) == BPE.encode(text)
    assert b"".join(map(theirs.spell, theirs.encode(text))).decode() == text


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_texts_of_every_kind(kind: str) -> None:
    ours = BPE if kind == "bpe" else train(TokenizerSection(kind="char"), TEXTS)
    theirs = TWIN.Tokenizer(tokenizer_notes(ours))
    for text in [*TEXTS, *PARITY_TEXTS]:
        assert theirs.encode(text) == ours.encode(text)
    assert theirs.stops == {ours.end_of_text, ours.end_of_turn}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_two_files_speak(dtype: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", random_llama(), tokenizer)
    (result,) = export_model(run, tmp_path / "out", "two-files", dtype=dtype)
    assert result.passed, str(result)
    assert result.difference is not None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model.safetensors", "run.py"]

    def say(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-I", "-c", ALONE, str(tmp_path / "out" / "run.py"), *arguments],
            capture_output=True, timeout=120, env={"PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    model = random_llama()
    if dtype == "bfloat16":
        model = model.to(torch.bfloat16).to(torch.float32)
    lm = LanguageModel(inference_copy(model, torch.float32), tokenizer)
    greedy = ("--max-tokens", "40", "--temperature", "0")
    assert say("The cat 床", *greedy) == lm.generate("The cat 床", max_tokens=40, temperature=0) + "\n"
    asked = [{"role": "user", "content": "Hi <|end|>"}]
    assert say("Hi <|end|>", "--chat", *greedy) == lm.chat(asked, max_tokens=40, temperature=0) + "\n"
    drawn = [say("The", "--seed", seed, "--max-tokens", "30", "--top-k", "40") for seed in "112"]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_prompt_longer_than_the_context(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", random_llama(), tokenizer)
    list(export_model(run, tmp_path / "out", "two-files"))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "out" / "run.py"), "the cat " * 60], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "reads fewer than 64" in done.stderr


def test_it_is_one_short_file() -> None:
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 350
    assert max(map(len, lines)) <= 120


def test_choosing() -> None:
    logits, dice = np.log(np.array([0.1, 0.6, 0.3])), np.random.default_rng(0)
    assert TWIN.choose(logits, 0, 0, dice) == 1
    drawn = np.bincount([TWIN.choose(logits, 1.0, 0, dice) for _ in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(drawn, [0.1, 0.6, 0.3], atol=0.03)
    assert {TWIN.choose(logits, 2.0, 2, dice) for _ in range(200)} == {1, 2}


def test_tokenizers_it_does_not_know() -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    backend = Backend(models.WordPiece({"<|endoftext|>": 0, "[UNK]": 1, "a": 2}, unk_token="[UNK]"))
    backend.add_special_tokens(["<|endoftext|>"])
    with pytest.raises(LimpidError, match="this one is wordpiece"):
        tokenizer_notes(Tokenizer(backend))
    scaled = random_llama(rope_scaling={"kind": "linear", "factor": 2.0})
    with pytest.raises(LimpidError, match="model.rope_scaling"):
        config_notes(scaled.config)
