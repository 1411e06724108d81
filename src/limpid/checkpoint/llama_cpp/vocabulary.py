"""The vocabulary of a GGUF file, and which of llama.cpp's ways of cutting text is ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tokenizers import Regex, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from limpid.checkpoint.llama_cpp.sentencepiece import CONTROL, NORMAL, UNUSED, USER_DEFINED, Scored, cut, scored
from limpid.checkpoint.two_files import split_patterns
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
    text as this tokenizer does. settings: the other keys and their values. model: llama.cpp's name of the algorithm;
    scores and charsmap are those of `Scored`, for all but "gpt2", which has merges and pre instead.
    """

    tokens: list[str]
    types: list[int]
    merges: list[str]
    pre: str
    exact: bool
    settings: dict[str, Any]
    model: str = "gpt2"
    scores: list[float] | None = None
    charsmap: bytes = b""


def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """The vocabulary of a tokenizer: byte-level BPE, or one of those that `scored` knows.

    Raises:
        LimpidError: it is of another kind.
    """
    table = json.loads(tokenizer.library_json())
    model = table["model"]
    if model["type"] != "BPE" or model.get("byte_fallback") or not tokenizer.byte_level:
        found = scored(tokenizer, table)
        settings = found.settings | _marks(tokenizer)
        return Vocabulary(found.tokens, found.types, [], "", True, settings, found.model, found.scores, found.charsmap)
    tokens, types = [f"[unused{i}]" for i in range(tokenizer.vocab_size)], [UNUSED] * tokenizer.vocab_size
    for token, number in model["vocab"].items():
        tokens[number], types[number] = token, NORMAL
    for added in table["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    patterns = split_patterns(table["pre_tokenizer"])
    whole_first = model.get("ignore_merges", False)  # which llama.cpp does for llama-bpe alone
    matching = [name for name, known in PRE.items() if known == patterns and (name == "llama-bpe") == whole_first]
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    merges = [" ".join(pair) for pair in pairs]
    return Vocabulary(tokens, types, merges, [*matching, NEAREST][0], bool(matching), _marks(tokenizer))


def _marks(tokenizer: Tokenizer) -> dict[str, Any]:
    """Which tokens begin and end a text and a turn, and how a conversation is written."""
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
    return settings


def as_llama_cpp_cuts(found: Vocabulary) -> Callable[[str], list[int]]:
    """From texts to ids by what a GGUF file holds: its tokens with their merges, and the pieces its ``pre`` stands for,
    or with their scores."""
    if found.scores is not None:
        own = Scored(found.model, found.tokens, found.types, found.scores, found.settings, found.charsmap)
        return lambda text: cut(own, text)
    pairs = [(first, second) for first, second in (merge.split(" ") for merge in found.merges)]
    ids = {token: number for number, token in enumerate(found.tokens) if found.types[number] == NORMAL}
    backend = Backend(models.BPE(ids, pairs, ignore_merges=found.pre == "llama-bpe"))
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in PRE[found.pre]]
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return lambda text: backend.encode(text).ids
