"""Marian's and BART's encoder-decoders, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.checkpoint.conftest import Saved, edit_json, randomise
from tests.checkpoint.hugging_face.test_export import save_run

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.registry import build
from limpid.models.transformer import TransformerConfig
from limpid.stages.export_model import export_model
from limpid.stages.import_model import import_model
from limpid.text.tokenizer import Tokenizer

SHAPE = {
    "vocab_size": 320, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 56, "decoder_ffn_dim": 56, "max_position_embeddings": 64,
    "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 0, "decoder_start_token_id": 0, "forced_eos_token_id": None,
    "attn_implementation": "eager",
}  # fmt: skip
THEIRS = {
    "marian": lambda: transformers.MarianMTModel(
        transformers.MarianConfig(**SHAPE, scale_embedding=True, activation_function="swish")
    ),
    "bart": lambda: transformers.BartForConditionalGeneration(transformers.BartConfig(**SHAPE)),
}
OURS = {
    "as in 2017": {},
    "as Marian": {"positions": "sinusoidal_halves", "logits_bias": True, "activation": "silu"},
    "as BART": {
        "positions": "learned", "position_offset": 2, "embedding_norm": True, "logits_bias": True, "activation": "gelu",
        "scale_embeddings": False,
    },
}  # fmt: skip


def ids_of(length: int, seed: int) -> torch.Tensor:
    return torch.randint(3, 320, (1, length), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def logits(ours: EncoderDecoder, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return ours.head(ours(source, torch.tensor([source.shape[1]]), target))


@pytest.mark.parametrize("name", THEIRS)
def test_logits_and_greedy_tokens_are_those_of_transformers(name: str, save: Saved, tmp_path: Path) -> None:
    theirs = THEIRS[name]()
    tables = {n: t.clone() for n, t in theirs.state_dict().items() if "embed_positions" in n and name == "marian"}
    randomise(theirs).load_state_dict(tables, strict=False)  # sines and cosines, which nobody learns
    with torch.no_grad():
        generator = torch.Generator().manual_seed(5)
        theirs.final_logits_bias.copy_(torch.randn(theirs.final_logits_bias.shape, generator=generator))
    folder, _ = save(theirs)
    import_model(str(folder), tmp_path / "run")
    ours = store.read(tmp_path / "run", EncoderDecoder).model.eval()
    source, target = ids_of(21, 1), ids_of(17, 2)
    with torch.no_grad():
        expected = theirs(input_ids=source, decoder_input_ids=target).logits
    assert float(expected.std()) > 0.3
    assert float((logits(ours, source, target) - expected).abs().max()) <= 1e-4

    made = theirs.generate(source, max_new_tokens=12, do_sample=False, num_beams=1)[0].tolist()
    said = [0]
    while len(said) <= 12 and said[-1] != 2:
        said.append(int(logits(ours, source, torch.tensor([said]))[0, -1].argmax()))
    assert said == made


@pytest.mark.parametrize("name", OURS)
def test_transformers_computes_the_same(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    config = TransformerConfig.model_validate(
        {"vocab_size": 320, "context": 64, "d_model": 32, "n_layer": 2, "n_encoder_layer": 3, "n_head": 4}
        | {"head_dim": 8, "d_ff": 48}
        | OURS[name]
    )
    ours: EncoderDecoder = randomise(build(config))
    run = save_run(tmp_path / "run", ours, tokenizer)
    results = list(export_model(run, tmp_path / "out", "hf"))
    assert [(r.reader, r.passed) for r in results] == [("limpid import", True), ("transformers", True)]
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    source, target = ids_of(21, 1), ids_of(17, 2)
    with torch.no_grad():
        expected = theirs(input_ids=source, decoder_input_ids=target).logits
    assert float((logits(ours, source, target) - expected).abs().max()) <= 1e-4
    assert theirs.generation_config.decoder_start_token_id == tokenizer.end_of_text
    spoken = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert spoken("The cat")["input_ids"] == [*tokenizer.encode("The cat"), tokenizer.end_of_text]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "pre"}, "model.norm = pre"),
        ({"activation": "relu2"}, "model.activation = relu2"),
        ({"tie_embeddings": False}, "model.tie_embeddings = False"),
        ({"positions": "learned", "position_offset": 2}, "model.embedding_norm = False: Hugging Face's BART has True"),
    ],
)
def test_parts_that_they_do_not_have(
    changes: dict[str, Any], message: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    shape = {"vocab_size": 320, "context": 64, "d_model": 32, "n_layer": 1, "n_encoder_layer": 1, "n_head": 4}
    config = TransformerConfig.model_validate(shape | {"head_dim": 8, "d_ff": 48} | changes)
    run = save_run(tmp_path / "run", randomise(build(config)), tokenizer)
    with pytest.raises(LimpidError, match=message):
        list(export_model(run, tmp_path / "out", "hf"))
    for to, why in (("gguf", "llama.cpp has no architecture"), ("two-files", "run.py runs models of the families")):
        with pytest.raises(LimpidError, match=f"{why}|{message}"):
            list(export_model(run, tmp_path / "out", to))


def test_pre_norm_is_refused_by_its_field(save: Saved, tmp_path: Path) -> None:
    folder, _ = save(THEIRS["marian"]())
    edit_json(folder / "config.json", normalize_before=True)
    with pytest.raises(LimpidError, match="'normalize_before' is True"):
        import_model(str(folder), tmp_path / "run")
