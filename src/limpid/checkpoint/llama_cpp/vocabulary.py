"""The vocabulary of a GGUF file, and which of llama.cpp's ways of cutting text is ours."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tokenizers import Regex, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from limpid.checkpoint.two_files import split_patterns
from limpid.core.errors import LimpidError
from limpid.text import chat_template
from limpid.text.tokenizer import Tokenizer
from limpid.text.vocabulary import PIECES

PRE: dict[str, list[str]] = {
    "gpt-2": [PIECES["gpt2"]],
    "llama-bpe": [PIECES["qwen2"].replace(r"|\p{N}|", r"|\p{N}{1,3}|")],
    "qwen2": [PIECES["qwen2"]],
}
"""tokenizer.ggml.pre -> the regular expressions it stands for (llama.cpp, src/llama-vocab.cpp)."""

NEAREST = "qwen2"
"""For a tokenizer that cuts otherwise than all of these: most alike limpid's own."""


class Vocabulary(NamedTuple):
    """What stands under tokenizer.* of a GGUF file.

    tokens: spelling by id. types: of each, as gguf.TokenType counts. pre: one of `PRE`. exact: whether llama.cpp cuts
    text as this tokenizer does. settings: the other keys and their values.
    """

    tokens: list[str]
    types: list[int]
    merges: list[str]
    pre: str
    exact: bool
    settings: dict[str, Any]


NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5


def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """The vocabulary of a byte-level BPE tokenizer.

    Raises:
        LimpidError: it is of another kind.
    """
    table = json.loads(tokenizer.library_json())
    model = table["model"]
    if model["type"] != "BPE" or not tokenizer.byte_level:
        raise LimpidError(
            f"llama.cpp is given byte-level BPE vocabularies only, and this one is {tokenizer.kind}; "
            "train with tokenizer.kind=bpe, or use --to two-files."
        )
    tokens, types = [f"[unused{i}]" for i in range(tokenizer.vocab_size)], [UNUSED] * tokenizer.vocab_size
    for token, number in model["vocab"].items():
        tokens[number], types[number] = token, NORMAL
    for added in table["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    patterns = split_patterns(table["pre_tokenizer"])
    whole_first = model.get("ignore_merges", False)  # which llama.cpp does for llama-bpe alone
    matching = [name for name, known in PRE.items() if known == patterns and (name == "llama-bpe") == whole_first]
    settings: dict[str, Any] = {
        "bos_token_id": tokenizer.end_of_text if tokenizer.begin_of_text is None else tokenizer.begin_of_text,
        "eos_token_id": tokenizer.end_of_text,
        "padding_token_id": tokenizer.end_of_text,
        "add_bos_token": tokenizer.begin_of_text is not None,
        "add_eos_token": False,
    }
    if tokenizer.can_chat:
        settings["eot_token_id"] = tokenizer.end_of_turn
        own = tokenizer.conventions
        settings["chat_template"] = chat_template.LIMPID if own is None else own.chat_template
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    merges = [" ".join(pair) for pair in pairs]
    return Vocabulary(tokens, types, merges, [*matching, NEAREST][0], bool(matching), settings)


def as_llama_cpp_cuts(found: Vocabulary) -> Backend:
    """A tokenizer made of what a GGUF file holds: its tokens, its merges, and the pieces its ``pre`` stands for."""
    pairs = [(first, second) for first, second in (merge.split(" ") for merge in found.merges)]
    ids = {token: number for number, token in enumerate(found.tokens) if found.types[number] == NORMAL}
    backend = Backend(models.BPE(ids, pairs, ignore_merges=found.pre == "llama-bpe"))
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in PRE[found.pre]]
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return backend
