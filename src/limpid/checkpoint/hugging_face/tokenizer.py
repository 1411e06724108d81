"""Tokenizers in Hugging Face's form, with what a chat needs: the template, and the tokens that end an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers.processors import TemplateProcessing

from limpid.checkpoint.hugging_face.folder import read_json
from limpid.core.errors import LimpidError
from limpid.text import chat_template
from limpid.text.chinese import NO_OTHER_CUTS_SO
from limpid.text.conventions import Conventions
from limpid.text.huggingface import load_huggingface
from limpid.text.tokenizer import UNKNOWN, Tokenizer

NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")


def read_tokenizer(folder: Path) -> tuple[Tokenizer, bool]:
    """The tokenizer in ``folder`` with its conventions, and whether it brought a chat template of its own.

    Without one, conversations are written plainly: names before the words (`chat_template.PLAIN`).

    Raises:
        LimpidError: no tokenizer that limpid can read.
    """
    bare = load_huggingface(folder)
    settings = _optional(folder / "tokenizer_config.json")
    template = _template(folder, settings)
    if template == chat_template.LIMPID:
        return Tokenizer.from_json(bare.library_json(), str(folder)), True
    names = {name: spelling for name in NAMES if (spelling := _spelling(settings.get(name)))}
    names.setdefault("eos_token", bare.token_text(bare.end_of_text))
    stops = [bare.token_text(i) for i in _stop_ids(folder) if i < bare.vocab_size]
    draft = Conventions(
        end_of_turn=names["eos_token"],
        stops=tuple(dict.fromkeys(stops)),
        names=names,
        chat_template=template or chat_template.PLAIN,
    )
    specials = {bare.token_text(i) for i in bare.special_ids}
    conventions = draft.model_copy(update={"end_of_turn": _end_of_turn(draft, specials)})
    return bare.with_conventions(conventions), template is not None


def write_tokenizer(folder: Path, tokenizer: Tokenizer, context: int, closing: str | None = None) -> None:
    """tokenizer.json and tokenizer_config.json, which AutoTokenizer reads; the chat template stands in the second.

    closing: the token that AutoTokenizer is to put behind every text (an encoder's input); None: none.

    Raises:
        LimpidError: the tokenizer does what that file cannot say.
    """
    if tokenizer.cuts_chinese:
        raise LimpidError(NO_OTHER_CUTS_SO)
    conventions = tokenizer.conventions
    names = {"eos_token": tokenizer.token_text(tokenizer.end_of_text)} if conventions is None else conventions.names
    if conventions is None:
        names = names | {"pad_token": names["eos_token"]}
        if tokenizer.unknown is not None:
            names |= {"unk_token": UNKNOWN}
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **names,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {
            str(token["id"]): {key: token[key] for key in token if key != "id"}
            for token in json.loads(tokenizer.library_json())["added_tokens"]
        },
    }
    if tokenizer.can_chat:
        settings["chat_template"] = chat_template.LIMPID if conventions is None else conventions.chat_template
    text = tokenizer.library_json()
    if closing is not None:
        backend = Backend.from_str(text)
        ends = [(closing, backend.token_to_id(closing))]
        backend.post_processor = TemplateProcessing(single=f"$A {closing}", pair=None, special_tokens=ends)
        text = backend.to_str()
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    _write(folder / "tokenizer_config.json", settings)


def generation_config(tokenizer: Tokenizer) -> dict[str, Any]:
    """What stands in generation_config.json: where transformers and vLLM stop."""
    stops = sorted(tokenizer.text_stops | (tokenizer.chat_stops if tokenizer.can_chat else frozenset()))
    table: dict[str, Any] = {"eos_token_id": stops, "pad_token_id": tokenizer.end_of_text}
    if tokenizer.begin_of_text is not None:
        table["bos_token_id"] = tokenizer.begin_of_text
    return table


def _template(folder: Path, settings: dict[str, Any]) -> str | None:
    """The chat template: in a file of its own (newer folders), or in tokenizer_config.json, one or several by name."""
    if (folder / "chat_template.jinja").is_file():
        try:
            return (folder / "chat_template.jinja").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LimpidError(f"{folder / 'chat_template.jinja'} cannot be read: {error}") from None
    found = settings.get("chat_template") or _optional(folder / "chat_template.json").get("chat_template")
    if isinstance(found, list):
        named = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def _stop_ids(folder: Path) -> list[int]:
    for name in ("generation_config.json", "config.json"):
        ids = _optional(folder / name).get("eos_token_id")
        if ids is not None:
            return ids if isinstance(ids, list) else [ids]
    return []


def _end_of_turn(conventions: Conventions, specials: set[str]) -> str:
    """The first special token that the template writes behind an answer; end-of-text where it writes none."""
    talk = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "yzzy"}]
    try:
        behind = chat_template.write(conventions, talk, asking=False).rpartition("yzzy")[2]
    except LimpidError:
        return conventions.end_of_turn
    found = [(behind.find(special), special) for special in specials if special in behind]
    return min(found)[1] if found else conventions.end_of_turn


def _spelling(value: Any) -> str | None:
    token = value.get("content") if isinstance(value, dict) else value
    return token if isinstance(token, str) else None


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _write(path: Path, table: dict[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=2, ensure_ascii=False), encoding="utf-8")
