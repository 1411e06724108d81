from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from tests.conftest import random_llama

from limpid.core.errors import LimpidError
from limpid.inference.language_model import LanguageModel
from limpid.text.chat import prompt as chat_prompt
from limpid.text.tokenizer import Tokenizer


class Script(torch.nn.Module):
    """A llama-shaped model that writes what it is told: after position p comes script[p], with certainty."""

    def __init__(self, script: Sequence[int], vocab_size: int, context: int = 64) -> None:
        super().__init__()
        self.config = random_llama(vocab_size=vocab_size, context=context).config
        self.embedding = torch.nn.Embedding(vocab_size, 1)
        self.script = torch.tensor(script)

    def forward(self, ids: torch.Tensor, *, positions: torch.Tensor, **_: object) -> torch.Tensor:
        return positions[..., None].float()  # (B, T, 1): the hidden state is the place

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        tokens = self.script[hidden[..., 0].long()]
        return 50.0 * torch.nn.functional.one_hot(tokens, self.config.vocab_size).float()


def writes(tokenizer: Tokenizer, prompt_tokens: int, ids: Sequence[int]) -> LanguageModel:
    """A model that, after a prompt of that many tokens, writes ``ids``."""
    script = [0] * (prompt_tokens - 1) + list(ids) + [0] * 64
    return LanguageModel(Script(script, tokenizer.vocab_size), tokenizer)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["床前明月光", "鯨 and 👩🏽‍🚀!", "plain"])
def test_streams_whole_characters(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    lm = writes(tokenizer, 1, [*ids, tokenizer.end_of_text])
    events = list(lm.stream("a", temperature=0, max_tokens=60))
    assert [event.token_id for event in events] == [*ids, tokenizer.end_of_text]
    assert "".join(event.text for event in events) == text
    assert not any("\ufffd" in event.text for event in events)
    assert [event.finish for event in events] == [None] * len(ids) + ["stop"]
    if text == "plain":
        assert all(event.text for event in events[:-1])


def test_a_text_cut_inside_a_character_ends_in_a_replacement(tokenizer: Tokenizer) -> None:
    lm = writes(tokenizer, 1, tokenizer.encode("鯨"))
    assert lm.generate("a", temperature=0, max_tokens=2) == "\ufffd"
    assert list(lm.stream("a", temperature=0, max_tokens=2))[-1].finish == "length"


def test_stop_strings_end_the_text_and_are_not_shown(tokenizer: Tokenizer) -> None:
    lm = writes(tokenizer, 1, tokenizer.encode("one 2, three"))
    events = list(lm.stream("a", temperature=0, max_tokens=30, stop=("2, t",)))
    assert "".join(event.text for event in events) == "one "
    assert events[-1].finish == "stop"
    assert lm.generate("a", temperature=0, max_tokens=12, stop=("absent",)).startswith("one 2, three")


def test_text_held_back_for_a_stop_string_comes_at_the_end(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("cat 12")
    lm = writes(tokenizer, 1, ids)
    assert lm.generate("a", temperature=0, max_tokens=len(ids), stop=("12345",)) == "cat 12"


def test_chat_ends_with_the_turn_and_shows_no_control_token(tokenizer: Tokenizer) -> None:
    talk = [{"role": "user", "content": "Hi"}]
    at = len(chat_prompt(tokenizer, talk))
    lm = writes(tokenizer, at, [tokenizer.user, *tokenizer.encode("Hello"), tokenizer.end_of_turn, 9, 9])
    events = list(lm.stream_chat(talk, temperature=0))
    assert "".join(event.text for event in events) == "Hello" == lm.chat(talk, temperature=0)
    assert events[-1].token_id == tokenizer.end_of_turn
    assert events[-1].finish == "stop"


def test_chat_prompt_is_the_template(lm: LanguageModel) -> None:
    talk = [{"role": "system", "content": "Be a cat"}, {"role": "user", "content": "Hi"}]
    ids = chat_prompt(lm.tokenizer, talk)
    first = next(iter(lm.stream_chat(talk, temperature=0)))
    assert first.token_id == int(lm.logits(ids)[-1].argmax())


def test_an_empty_prompt_begins_a_document(lm: LanguageModel) -> None:
    first = next(iter(lm.stream("", temperature=0)))
    assert first.token_id == int(lm.logits([lm.tokenizer.end_of_text])[-1].argmax())


def test_a_long_prompt_keeps_its_end_and_leaves_room(lm: LanguageModel) -> None:
    text = "The cat sat on the mat. " * 20
    events = list(lm.stream(text, temperature=0, max_tokens=100))
    assert len(events) == 16  # a quarter of the context of 64
    ids = lm.tokenizer.encode(text)[-48:]
    assert events[0].token_id == int(lm.logits(ids)[-1].argmax())
    assert len(list(lm.stream(text, max_tokens=3, seed=0))) == 3


def test_alternatives_are_readable(lm: LanguageModel) -> None:
    event = next(iter(lm.stream("The cat", temperature=0, alternatives=3)))
    scores = lm.logits(lm.tokenizer.encode("The cat"))[-1]
    probabilities = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    best = np.argsort(-probabilities)[:3]
    assert [a.token_id for a in event.alternatives] == best.tolist()
    assert [a.text for a in event.alternatives] == [lm.tokenizer.token_text(i) for i in best.tolist()]
    np.testing.assert_allclose([a.probability for a in event.alternatives], probabilities[best], rtol=1e-4)


def test_settings_are_checked(lm: LanguageModel) -> None:
    with pytest.raises(LimpidError, match="Did you mean 'temperature'"):
        lm.generate("a", temperatur=1)
    with pytest.raises(LimpidError, match="top_p"):
        lm.generate("a", top_p=2)


def test_a_trace_costs_nothing_and_agrees(lm: LanguageModel) -> None:
    ids = lm.tokenizer.encode("The cat sat on the")
    before, said = lm.logits(ids), lm.generate("The cat", temperature=0, max_tokens=12)
    mine = lm.trace("The cat sat on the")
    assert mine.ids == ids
    with torch.no_grad():
        own = lm.model.head(lm.model(torch.tensor([ids])))[0].numpy()
    assert np.array_equal(mine["logits"], own)
    assert np.array_equal(lm.trace(ids)["logits"], own)
    assert np.abs(mine["logits"] - before).max() <= 1e-5  # the engine's kernels sum in an order of their own
    assert np.array_equal(lm.logits(ids), before)
    assert lm.generate("The cat", temperature=0, max_tokens=12) == said
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in lm.model.modules())
