"""Tokenizers of other people's folders, against the library that they were made with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conftest import TEXTS
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Backend

from limpid.core.errors import LimpidError
from limpid.text.files import open_tokenizer
from limpid.text.huggingface import load_huggingface
from limpid.text.tokenizer import Tokenizer


def llama3(folder: Path) -> Backend:
    """Byte-level BPE that puts a control token before every text."""
    backend = Backend(models.BPE(ignore_merges=True))
    split = pre_tokenizers.Split(Regex(r"\p{N}{1,3}| ?\p{L}+|\s+|[^\s\p{L}\p{N}]+"), behavior="isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    )
    backend.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    first = ("<|begin_of_text|>", backend.token_to_id("<|begin_of_text|>"))
    backend.post_processor = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[first])
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end_of_text|>"}))
    return backend


def llama2(folder: Path) -> Backend:
    """▁ for spaces, one before every text, bytes for what is unknown."""
    pieces = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "c",
        "a",
        "t",
        "at",
        "cat",
        "▁cat",
    ]
    backend = Backend(
        models.BPE(
            {piece: i for i, piece in enumerate(pieces)}, [("a", "t"), ("c", "at"), ("▁", "cat")],
            unk_token="<unk>", fuse_unk=True, byte_fallback=True,
        )
    )  # fmt: skip
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    backend.save(str(folder / "tokenizer.json"))
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": {"content": "</s>"}}))
    return backend


@pytest.mark.parametrize("make", [llama3, llama2])
def test_ids_and_text_are_the_librarys(tmp_path: Path, make: object) -> None:
    reference: Backend = make(tmp_path)  # type: ignore[operator]
    ours = load_huggingface(tmp_path)
    for text in [*TEXTS, "cat  cat鯨 ", "", "12345"]:
        ids = ours.encode(text)
        assert ids == reference.encode(text, add_special_tokens=False).ids
        assert ours.decode(ids) == reference.decode(ids)
    assert ours.token_text(ours.end_of_text) == {llama3: "<|end_of_text|>", llama2: "</s>"}[make]  # type: ignore[index]
    assert (ours.begin_of_text is not None) == (make is llama3)
    again = Tokenizer.from_json(ours.to_json())
    assert (again.end_of_text, again.begin_of_text) == (ours.end_of_text, ours.begin_of_text)
    assert again.fingerprint == ours.fingerprint
    assert Backend.from_str(ours.library_json()).get_vocab_size() == ours.vocab_size
    assert not ours.can_chat
    with pytest.raises(LimpidError, match=r"lacks the control token <\|user\|>"):
        _ = ours.user
    for place in (tmp_path, tmp_path / "tokenizer.json"):
        if make is llama3 or place.is_dir():
            assert open_tokenizer(place).end_of_text == ours.end_of_text


def test_vocab_and_merges_as_gpt2_was_published(tmp_path: Path, tokenizer: Tokenizer) -> None:
    table = json.loads(tokenizer.library_json())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(table["vocab"]), encoding="utf-8")
    merges = "\n".join(" ".join(pair) if isinstance(pair, list) else pair for pair in table["merges"])
    (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": tokenizer.end_of_text}))
    ours = load_huggingface(tmp_path)
    assert ours.end_of_text == tokenizer.end_of_text
    assert ours.decode(ours.encode("The cat 鯨 🙂 ")) == "The cat 鯨 🙂 "


def test_faulty_folders(tmp_path: Path) -> None:
    with pytest.raises(LimpidError, match="holds no tokenizer"):
        load_huggingface(tmp_path)
    llama3(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(LimpidError, match="does not say which token ends a text"):
        load_huggingface(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(LimpidError, match="is not a tokenizer"):
        open_tokenizer(tmp_path)
