"""The fast encoder of corpora against the tokenizers library, id for id."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.text.bulk import bulk_encoder
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

TEXTS = [
    "It's a test, isn't IT'S? 12,345 + 6 = 12,351\n\n\n  def f(x):\r\n\treturn x",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "Grüße, naïve café, São Paulo",
    "<|user|> is only text",
] * 3


@pytest.fixture(scope="module")
def vocabulary() -> Tokenizer:
    return train(TokenizerSection(vocab_size=380), TEXTS)


def same(tokenizer: Tokenizer, texts: list[str]) -> None:
    encode = bulk_encoder(tokenizer)
    assert getattr(encode, "__self__", None) is not tokenizer, "gigatoken did not take this vocabulary"
    assert [np.asarray(ids).tolist() for ids in encode(texts)] == tokenizer.encode_batch(texts)


def test_texts_english_chinese_and_typed_control_tokens(vocabulary: Tokenizer) -> None:
    same(vocabulary, [*TEXTS, "", " ", "\n", "<|end_of_text|><|assistant|>", "x" * 5000, "\ufeff\u2028\u0085"])


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.text(max_size=60), max_size=5))
def test_any_text(vocabulary: Tokenizer, texts: list[str]) -> None:
    same(vocabulary, texts)


def test_what_it_does_not_read_is_encoded_as_ever(vocabulary: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    for section in (TokenizerSection(kind="word", vocab_size=40), TokenizerSection(vocab_size=380, pieces="gpt2")):
        other = train(section, TEXTS)
        assert bulk_encoder(other) == other.encode_batch
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    assert bulk_encoder(vocabulary) == vocabulary.encode_batch
