"""What a model that was made elsewhere means by its special tokens, and how it writes conversations."""

from __future__ import annotations

from pydantic import Field

from limpid.core.recipe import Section


class Conventions(Section):
    """Saved with the tokenizer. Tokens are given by their spelling.

    end_of_turn: ends the assistant's turn. stops: whatever else ends an answer.
    names: what the chat template knows by a name: bos_token, eos_token, unk_token, pad_token.
    chat_template: Jinja source, as Hugging Face's tokenizers keep it.
    """

    end_of_turn: str
    stops: tuple[str, ...] = ()
    names: dict[str, str] = Field(default_factory=dict)
    chat_template: str
