"""Tiny random models of transformers, saved by it, with a tokenizer beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import TEXTS

END = "<|endoftext|>"
SPECIAL = (END, "<|im_start|>", "<|im_end|>")
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
STRINGS = [
    "The cat sat on the mat.",
    " 床前明月光，\n\n疑是地上霜。",
    "Smile 🙂👨‍👩‍👧 wave",
    "a  b\t\tc\r\n\r\n  d ",
    "",
    "it's 1234 O'Neill's",
    "<|im_end|> typed",
    "\u00e9\u0301 Ünïcode ﬁ",
]


def save_tokenizer(folder: Path, *, template: str | None = CHATML) -> Any:
    """A byte-level BPE in GPT-2's manner, saved by transformers; returns it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(TEXTS, trainer)
    theirs = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", bos_token=END, pad_token=END)
    theirs.chat_template = template
    theirs.save_pretrained(folder)
    return theirs


def randomise(model: Any, seed: int = 0, scale: float = 0.2) -> Any:
    """Every parameter random and none near its fresh value, so that no mistake hides."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(scale * noise if parameter.dim() > 1 else 1 + 0.1 * noise)
    return model.eval()


def edit_json(path: Path, **changes: Any) -> None:
    """Set fields of a JSON file; None removes one."""
    table = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in table.items() if value is not None}))


Saved = Callable[..., tuple[Path, Any]]


@pytest.fixture
def save(tmp_path: Path) -> Saved:
    """save(model) -> (its folder, the model); keywords go to save_pretrained."""

    def saved(model: Any, name: str = "theirs", *, template: str | None = CHATML, **how: Any) -> tuple[Path, Any]:
        folder = tmp_path / name
        model.save_pretrained(folder, **how)
        save_tokenizer(folder, template=template)
        return folder, model

    return saved
