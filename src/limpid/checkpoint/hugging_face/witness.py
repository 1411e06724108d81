"""transformers (and peft), where installed, as the witness of an export: they run in a process of their own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError

_PROGRAM = """
import json, sys
import numpy, torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
folder, asked, answer, adapter = sys.argv[1:]
asked = json.load(open(asked, encoding="utf-8"))
tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
two_stacks = getattr(AutoConfig.from_pretrained(folder, local_files_only=True), "is_encoder_decoder", False)
kind = AutoModelForSeq2SeqLM if two_stacks else AutoModelForCausalLM
model = kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
if adapter:
    from peft import PeftModel
    model = PeftModel.from_pretrained(model, adapter).eval()
ids = torch.tensor([asked["ids"]])
with torch.no_grad():
    found = model(input_ids=ids, decoder_input_ids=ids.flip(1)) if two_stacks else model(ids)
logits = found.logits[0].numpy()
numpy.save(answer + ".npy", logits)
plain = {"add_special_tokens": False, "split_special_tokens": True}
said = {"ids": [tokenizer(text, **plain)["input_ids"] for text in asked["texts"]]}
if tokenizer.chat_template and asked["messages"]:
    chat = tokenizer.apply_chat_template(asked["messages"], add_generation_prompt=True, return_dict=True)
    said["chat"] = chat["input_ids"]
json.dump(said, open(answer, "w", encoding="utf-8"))
"""


class Testimony(NamedTuple):
    """logits (T, V); ids of each text; ids of the conversation, None where there is no chat template."""

    logits: npt.NDArray[np.float32]
    ids: list[list[int]]
    chat: list[int] | None


def is_here(*others: str) -> bool:
    """Whether transformers is installed, and the other packages named."""
    return all(importlib.util.find_spec(name) is not None for name in ("transformers", *others))


def ask(
    folder: Path,
    ids: Sequence[int],
    texts: Sequence[str],
    messages: Sequence[dict[str, str]],
    adapter: Path | None = None,
) -> Testimony:
    """What transformers makes of the model in ``folder``, with the adapter that peft finds in another, if any.

    Raises:
        LimpidError: it does not load it; its last line says why.
    """
    with tempfile.TemporaryDirectory() as place:
        asked, answer = Path(place, "asked.json"), Path(place, "answer.json")
        question: dict[str, Any] = {"ids": list(ids), "texts": list(texts), "messages": list(messages)}
        asked.write_text(json.dumps(question), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(folder), str(asked), str(answer), str(adapter or "")],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise LimpidError(f"transformers cannot load {folder}: {last}")
        said = json.loads(answer.read_text(encoding="utf-8"))
        return Testimony(np.load(f"{answer}.npy"), said["ids"], said.get("chat"))
