"""GGUF files: read back tensor by tensor by the gguf package, and run by llama.cpp itself where it is installed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.checkpoint.conftest import Saved, randomise
from tests.checkpoint.hugging_face.test_export import random_gpt, save_run
from tests.checkpoint.hugging_face.test_import import MODELS
from tests.conftest import TEXTS, random_llama
from tests.text.test_sentencepiece_model import SETTINGS, made

import limpid
from limpid.checkpoint.hugging_face.families import layout_of
from limpid.checkpoint.hugging_face.rows import to_theirs
from limpid.checkpoint.llama_cpp import witness
from limpid.checkpoint.llama_cpp.file import write_gguf
from limpid.checkpoint.llama_cpp.vocabulary import PRE, vocabulary
from limpid.core.errors import LimpidError
from limpid.stages.export_model import export_model
from limpid.stages.import_model import import_model
from limpid.text.sentencepiece_model import load_sentencepiece
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

gguf = pytest.importorskip("gguf")
needs_llama_cpp = pytest.mark.skipif(not witness.is_here(), reason="llama-cpp-python is not installed")

SHAPES = {
    "qwen3": lambda: random_llama(),
    "llama": lambda: random_llama(qk_norm=False, tie_embeddings=True),
    "gpt2": lambda: random_gpt(),
}
NEWLINES = ["a\n\n\nb\n\n\nc\n\n\n" * 9, *TEXTS]


def their_name(name: str) -> str:
    """Hugging Face's name as the gguf package itself maps it."""
    architecture = {"transformer": gguf.MODEL_ARCH.GPT2}.get(name.partition(".")[0], gguf.MODEL_ARCH.QWEN3)
    found = gguf.get_tensor_name_map(architecture, 2).get_name(name, try_suffixes=(".weight", ".bias"))
    assert found is not None
    return found


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "q8_0"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_tensor_is_read_back_by_gguf(shape: str, dtype: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = SHAPES[shape]()
    write_gguf(tmp_path / "m.gguf", model, tokenizer, dtype, "tiny")
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    theirs = to_theirs(layout_of(model.config).rows, dict(model.named_parameters()))
    found = {t.name: t for t in reader.tensors}
    assert {their_name(name) for name in theirs} == found.keys()
    for name, expected in theirs.items():
        tensor = found[their_name(name)]
        values = np.asarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type)).reshape(tensor.shape[::-1])
        want = expected.detach().numpy()
        if re.search(r"attn\.c_|mlp\.c_", name) and want.ndim == 2:
            want = want.T  # GPT-2's files keep these the other way round
        if shape == "llama" and re.search(r"[qk]_proj", name):  # as llama.cpp's converter permutes them
            heads = 4 if "q_proj" in name else 2
            want = want.reshape(heads, 2, 4, 32).swapaxes(1, 2).reshape(want.shape)
        if dtype == "f32" or want.ndim == 1:
            error = np.zeros_like(want)
        elif dtype == "q8_0" and want.shape[-1] % 32 == 0 and "wpe" not in name:
            blocks = np.abs(want.reshape(-1, 32)).max(axis=1, keepdims=True)
            # Half a step of 1/127 of the largest, and the 16-bit scale's own rounding.
            error = np.broadcast_to(blocks * (0.5 / 127 + 2**-11), (len(blocks), 32)).reshape(want.shape) + 1e-7
            assert tensor.tensor_type.name == "Q8_0"
        else:
            error = np.abs(want) * (2**-8 if dtype == "bf16" else 2**-11) + 1e-7
        assert (np.abs(values - want) <= error).all(), name


def test_settings_and_vocabulary(tokenizer: Tokenizer, tmp_path: Path) -> None:
    words = write_gguf(tmp_path / "m.gguf", random_llama(), tokenizer, "f32", "tiny")
    fields = {name: f.contents() for name, f in gguf.GGUFReader(tmp_path / "m.gguf").fields.items()}
    assert fields["general.architecture"] == "qwen3"
    assert fields["qwen3.attention.head_count_kv"] == 2
    assert fields["qwen3.context_length"] == 64
    assert fields["qwen3.rope.freq_base"] == 10_000.0
    assert fields["tokenizer.ggml.model"] == "gpt2"
    assert len(fields["tokenizer.ggml.tokens"]) == 320
    assert fields["tokenizer.ggml.tokens"][tokenizer.end_of_turn] == "<|end|>"
    assert fields["tokenizer.ggml.token_type"][tokenizer.end_of_turn] == gguf.TokenType.CONTROL
    assert fields["tokenizer.ggml.eos_token_id"] == tokenizer.end_of_text
    assert fields["tokenizer.ggml.eot_token_id"] == tokenizer.end_of_turn
    assert fields["tokenizer.ggml.add_bos_token"] is False
    assert "add_generation_prompt" in fields["tokenizer.chat_template"]
    assert fields["tokenizer.ggml.pre"] == words.pre


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "q8_0"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3", "qwen2", "mixtral"])
def test_an_imported_model_passes_every_check(name: str, dtype: str, save: Saved, tmp_path: Path) -> None:
    folder, _ = save(randomise(MODELS[name]()))
    import_model(str(folder), tmp_path / "run")
    results = list(export_model(tmp_path / "run", tmp_path / "out", "gguf", dtype=dtype))
    assert len(results) == 1 + witness.is_here()
    assert all(result.passed for result in results), [str(result) for result in results]


@needs_llama_cpp
@pytest.mark.parametrize(
    "name", ["gpt2", "llama", "llama-tied-wide-heads", "mistral", "qwen2", "qwen3", "mixtral", "qwen3-moe-normalised"]
)
def test_llama_cpp_says_the_same_greedily(name: str, save: Saved, tmp_path: Path) -> None:
    folder, _ = save(randomise(MODELS[name]()))
    import_model(str(folder), tmp_path / "run")
    results = list(export_model(tmp_path / "run", tmp_path / "out", "gguf"))
    assert all(result.passed for result in results), [str(result) for result in results]
    lm = limpid.load(tmp_path / "run", dtype="float32")
    start = lm.tokenizer.encode("The cat sat")
    said = []
    for _ in range(24):
        said.append(int(lm.logits([*start, *said])[-1].argmax()))
    testimony = witness.ask(tmp_path / "out" / "out-f32.gguf", 64, start, [], start, 24)
    assert testimony.said == said


def test_ways_of_cutting_text_that_llama_cpp_knows(tokenizer: Tokenizer) -> None:
    from tokenizers import Regex, decoders, models, pre_tokenizers
    from tokenizers import Tokenizer as Backend

    for name, patterns in PRE.items():
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokens = {token: i for i, token in enumerate(["<|endoftext|>", *alphabet])}
        backend = Backend(models.BPE(tokens, [], ignore_merges=name == "llama-bpe"))
        steps = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
        backend.pre_tokenizer = pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(False, True, False)])
        backend.decoder = decoders.ByteLevel()
        backend.add_special_tokens(["<|endoftext|>"])
        found = vocabulary(Tokenizer(backend))
        assert (found.pre, found.exact) == (name, True)
    assert (vocabulary(tokenizer).pre, vocabulary(tokenizer).exact) == ("qwen2", True)
    assert "p{N}{1,3}" in PRE["llama-bpe"][0]


@pytest.mark.parametrize("pieces", ["qwen2", "gpt2"])
def test_a_model_trained_for_llama_cpp_passes(pieces: str, tmp_path: Path) -> None:
    words = train(TokenizerSection(kind="bpe", vocab_size=330, pieces=pieces), NEWLINES)
    run = save_run(tmp_path / "run", random_llama(vocab_size=330), words)
    results = list(export_model(run, tmp_path / "out", "gguf"))
    assert all(result.passed for result in results), [str(result) for result in results]


def test_texts_that_llama_cpp_would_cut_otherwise_fail_the_check(tmp_path: Path) -> None:
    """A tokenizer of somebody's own making: two newlines before a word are two tokens here, one there."""
    table = json.loads(train(TokenizerSection(kind="bpe", vocab_size=320), NEWLINES).to_json())
    table["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = (
        r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    )
    run = save_run(tmp_path / "run", random_llama(), Tokenizer.from_json(json.dumps(table), "own"))
    first, *others = export_model(run, tmp_path / "out", "gguf")
    assert not first.passed
    assert "no way of its is this tokenizer's" in first.reader
    assert first.difference is not None
    assert first.difference <= 1e-4
    assert all(other.differing == first.differing for other in others)  # llama.cpp itself agrees with the prediction


def test_characters_leave_too(char_tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = save_run(tmp_path / "chars", random_llama(vocab_size=char_tokenizer.vocab_size), char_tokenizer)
    results = list(export_model(run, tmp_path / "out", "gguf"))
    assert all(result.passed for result in results), [str(result) for result in results]
    assert all(result.texts and result.texts > 5 for result in results)
    fields = {n: f.contents() for n, f in gguf.GGUFReader(tmp_path / "out" / "out-f32.gguf").fields.items()}
    assert fields["tokenizer.ggml.model"] == "t5"
    assert fields["tokenizer.ggml.unknown_token_id"] == char_tokenizer.unknown
    assert fields["tokenizer.ggml.tokens"][char_tokenizer.encode(" ")[0]] == "▁"


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        (SETTINGS["bpe as Llama 2"], "llama"),
        ({"model_type": "bpe", "byte_fallback": True}, "llama"),  # which normalises
        ({"model_type": "unigram", "character_coverage": 1.0}, "t5"),
    ],
    ids=["Llama 2", "normalised", "T5"],
)
def test_sentencepiece_vocabularies_leave_id_for_id(settings: dict[str, object], model: str, tmp_path: Path) -> None:
    """Made by the sentencepiece package, read by limpid, cut by what the file holds, and by llama.cpp where it is."""
    tokenizer = load_sentencepiece(made(tmp_path / "own.model", **settings))
    run = save_run(tmp_path / "run", random_llama(vocab_size=tokenizer.vocab_size), tokenizer)
    first, *others = export_model(run, tmp_path / "out", "gguf")
    fields = {n: f.contents() for n, f in gguf.GGUFReader(tmp_path / "out" / "out-f32.gguf").fields.items()}
    assert fields["tokenizer.ggml.model"] == model
    assert all(result.passed for result in (first, *others)), [str(r) for r in (first, *others)]


def test_what_llama_cpp_has_no_form_for(tokenizer: Tokenizer, tmp_path: Path) -> None:
    sentencepiece = load_sentencepiece(made(tmp_path / "own.model", model_type="unigram", byte_fallback=True))
    run = save_run(tmp_path / "run", random_llama(vocab_size=sentencepiece.vocab_size), sentencepiece)
    with pytest.raises(LimpidError, match="no form for this tokenizer .unigram over bytes"):
        list(export_model(run, tmp_path / "out", "gguf"))
    for kind, size in (("word", 50), ("wordpiece", 118), ("unigram", 268)):
        words = train(TokenizerSection(kind=kind, vocab_size=size), TEXTS)
        run = save_run(tmp_path / kind, random_llama(vocab_size=size), words)
        with pytest.raises(
            LimpidError, match=rf"no form for this tokenizer \({kind}.*tokenizer.kind=bpe or char.*to hf"
        ):
            list(export_model(run, tmp_path / "out", "gguf"))
    run = save_run(tmp_path / "gpt1", random_gpt(norm="post"), tokenizer)
    with pytest.raises(LimpidError, match="llama.cpp has no architecture"):
        list(export_model(run, tmp_path / "out", "gguf"))
    run = save_run(tmp_path / "window", random_llama(window=8), tokenizer)
    with pytest.raises(LimpidError, match="sees the whole context"):
        list(export_model(run, tmp_path / "out", "gguf"))
    run = save_run(tmp_path / "relu", random_gpt(activation="relu"), tokenizer)
    with pytest.raises(LimpidError, match="model.activation = relu"):
        list(export_model(run, tmp_path / "out", "gguf"))
    assert not (tmp_path / "out").exists()
