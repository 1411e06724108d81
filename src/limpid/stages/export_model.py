"""Exporting: a run in another form, and the proof that it still is the same model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from limpid.checkpoint import parity, store
from limpid.checkpoint.hugging_face import witness
from limpid.checkpoint.hugging_face.export import write_model
from limpid.checkpoint.hugging_face.model import read_model
from limpid.checkpoint.hugging_face.peft import read_adapter, write_adapter
from limpid.checkpoint.hugging_face.tokenizer import read_tokenizer
from limpid.checkpoint.llama_cpp import file as gguf_file
from limpid.checkpoint.llama_cpp import witness as llama_cpp
from limpid.checkpoint.llama_cpp.sentencepiece import MARK
from limpid.checkpoint.llama_cpp.tensors import plan
from limpid.checkpoint.llama_cpp.vocabulary import as_llama_cpp_cuts
from limpid.checkpoint.parity import Parity
from limpid.checkpoint.two_files import load_program, write_two_files
from limpid.core.errors import LimpidError, did_you_mean
from limpid.core.paths import atomic_directory
from limpid.models.lora import base_of
from limpid.models.model import Model
from limpid.text.chat import prompt
from limpid.text.tokenizer import UNKNOWN, Tokenizer

FORMS = ("hf", "peft", "gguf", "two-files")
LLAMA_CPP_ALLOWS = {"f32": 1e-3, "f16": 0.02, "bf16": 0.15, "q8_0": 0.3}
"""Logit differences that llama.cpp may have, as parts of the logits' deviation."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TALK = [
    {"role": "system", "content": "You are 🙂."},
    {"role": "user", "content": "What does 床 mean?\n"},
    {"role": "assistant", "content": "Bed."},
    {"role": "user", "content": "And 12 + 30?"},
]


def export_model(
    run: Path, out: Path, to: str, *, dtype: str = "float32", shard_bytes: int = 5 * 10**9
) -> Iterator[Parity]:
    """Write the model of ``run`` to ``out`` in the form ``to``, then yield what other readers find there.

    Raises:
        LimpidError: the form or dtype is unknown, or cannot hold this model; nothing is written then.
    """
    if to not in FORMS:
        raise LimpidError(f"there is no form '{to}'.{did_you_mean(to, FORMS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise LimpidError(f"{out} is there already; name a new folder.")
    checkpoint = store.read(run, Model, merge=to != "peft")
    export = {"hf": _hugging_face, "peft": _peft, "gguf": _gguf, "two-files": _two_files}[to]
    yield from export(checkpoint.model.eval(), checkpoint.tokenizer, out, dtype, shard_bytes)


def _dtype(name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise LimpidError(f"no dtype is called '{name}' in this form.{did_you_mean(name, known)}")
    return known[name]


def _hugging_face(model: Any, tokenizer: Tokenizer, out: Path, dtype_name: str, shard_bytes: int) -> Iterator[Parity]:
    dtype = _dtype(dtype_name, DTYPES)
    with atomic_directory(out) as folder:
        write_model(folder, model, tokenizer, dtype, shard_bytes)
    expected, ids = _expected(model, dtype)
    again, _ = read_tokenizer(out)
    found = parity.logits(read_model(out).eval(), ids)
    yield parity.compare("limpid import", tokenizer, again.encode, expected, found)
    if witness.is_here():
        texts = [*parity.TEXTS]
        said = witness.ask(out, ids, texts, TALK if tokenizer.can_chat else [])
        by_text = dict(zip(texts, said.ids, strict=True))
        result = parity.compare("transformers", tokenizer, by_text.__getitem__, expected, said.logits)
        if tokenizer.can_chat and said.chat != prompt(tokenizer, TALK):
            result = result._replace(differing=(*result.differing, "a conversation, by the chat template"))
        yield result


def _peft(model: Any, tokenizer: Tokenizer, out: Path, dtype_name: str, shard_bytes: int) -> Iterator[Parity]:
    """The adapters, and in ``base`` the model that they are for."""
    dtype = _dtype(dtype_name, DTYPES)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).float()
    with atomic_directory(out) as folder:
        write_adapter(folder, model, str((out / "base").resolve()), dtype)
        (folder / "base").mkdir()
        write_model(folder / "base", base_of(model), tokenizer, dtype, shard_bytes)
    ids = parity.probe(model.config.vocab_size, model.config.context)
    expected = parity.logits(model, ids)
    again, _ = read_tokenizer(out / "base")
    read = read_model(out / "base")
    read_adapter(out, read)
    yield parity.compare("limpid import", tokenizer, again.encode, expected, parity.logits(read.eval(), ids))
    if witness.is_here("peft"):
        said = witness.ask(out / "base", ids, [*parity.TEXTS], [], adapter=out)
        by_text = dict(zip(parity.TEXTS, said.ids, strict=True))
        yield parity.compare("peft", tokenizer, by_text.__getitem__, expected, said.logits)


def _two_files(model: Any, tokenizer: Tokenizer, out: Path, dtype_name: str, shard_bytes: int) -> Iterator[Parity]:
    dtype = _dtype(dtype_name, DTYPES)
    with atomic_directory(out) as folder:
        write_two_files(folder, model, tokenizer, dtype)
    expected, ids = _expected(model, dtype)
    program = load_program(out / "run.py")
    theirs, their_tokenizer = program.load(out / "model.safetensors")
    found = theirs.forward(ids, program.Cache(theirs.config))
    yield parity.compare("run.py, NumPy alone", tokenizer, their_tokenizer.encode, expected, found)


def _gguf(model: Any, tokenizer: Tokenizer, out: Path, dtype_name: str, shard_bytes: int) -> Iterator[Parity]:
    known = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"} | {name: name for name in gguf_file.DTYPES}
    dtype: str = _dtype(dtype_name, known)
    file = f"{out.name}-{dtype}.gguf"
    with atomic_directory(out) as folder:
        written = gguf_file.write_gguf(folder / file, model, tokenizer, dtype, out.name)
    stored = plan(model.config)

    def convert(name: str, tensor: torch.Tensor) -> torch.Tensor:
        pieces = {n: gguf_file.rounded(n, t, dtype) for n, t in stored.pieces_of({name: tensor}).items()}
        return stored.ours_of(pieces)[name]

    ids = parity.probe(model.config.vocab_size, model.config.context)
    expected = parity.logits(parity.rounded(model, convert), ids)
    again, words = gguf_file.read_gguf(out / file, model.config)
    found = parity.logits(again, ids)
    texts = list(parity.TEXTS)
    if written.model != "t5":  # elsewhere llama.cpp leaves normalising to its caller, but for spaces
        texts = [tokenizer.normalised(text) for text in texts]
    if written.model == "llama":
        texts = [text.replace(MARK, " ") for text in texts]
        texts = [text.removeprefix(" ") if written.settings["add_space_prefix"] else text for text in texts]
    if tokenizer.kind == "char":  # a run of unknown characters is one token there, and one each here
        without = (tokenizer.decode(tokenizer.encode(text)).replace(UNKNOWN, "") for text in texts)
        texts = [text for text in without if text]
    reader = f"gguf, cutting text as llama.cpp's {written.pre or written.model}"
    if not written.exact:
        reader += " (no way of its is this tokenizer's; tokenizer.pieces=qwen2 trains one that is)"
    yield parity.compare(reader, tokenizer, as_llama_cpp_cuts(words), expected, found, texts=texts)
    if llama_cpp.is_here():
        said = llama_cpp.ask(out / file, model.config.context, ids, texts)
        by_text = dict(zip(texts, said.ids, strict=True))
        # llama.cpp rounds activations as well, to the type of the matrix they meet.
        allowed = LLAMA_CPP_ALLOWS[dtype] * float(expected.std())
        yield parity.compare(
            "llama.cpp", tokenizer, by_text.__getitem__, expected, said.logits, texts=texts, allowed=allowed
        )


def _expected(model: Any, dtype: torch.dtype) -> tuple[parity.Logits, list[int]]:
    """Our logits with weights of ``dtype``, and the ids they belong to."""
    ids = parity.probe(model.config.vocab_size, model.config.context)
    if dtype != torch.float32:
        model = parity.rounded(model, lambda name, tensor: tensor.to(dtype))
    return parity.logits(model, ids), ids
