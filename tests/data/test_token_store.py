"""Token stores: whole or not opened."""

import numpy as np
import pytest

from limpid.core.errors import LimpidError
from limpid.data import token_store
from limpid.data.document import Document
from limpid.text.tokenizer import TokenizerSection, train

TEXTS = ["hello world", "雨停了，街道很安静。", "one more 😀"]


@pytest.fixture
def tokenizer():
    return train(TokenizerSection(kind="char"), TEXTS)


def test_every_document_comes_back_closed_by_the_end_of_text(tmp_path, tokenizer):
    store = token_store.write(tmp_path / "a.bin", tokenizer, [Document(t, "") for t in TEXTS])
    pieces = np.split(store.ids, np.flatnonzero(store.ids == tokenizer.end_of_text) + 1)[:-1]
    assert [tokenizer.decode(piece.tolist()) for piece in pieces] == TEXTS
    assert store.bytes == sum(len(t.encode()) for t in TEXTS)
    assert store.documents == 3


def test_a_store_of_another_tokenizer_is_refused(tmp_path, tokenizer):
    token_store.write(tmp_path / "a.bin", tokenizer, [Document(TEXTS[0], "")])
    other = train(TokenizerSection(kind="char"), ["quite other text"])
    with pytest.raises(LimpidError, match="another tokenizer"):
        token_store.open_store(tmp_path / "a.bin", other)
    assert not token_store.exists(tmp_path / "a.bin", other)


def test_a_store_cut_short_is_refused(tmp_path, tokenizer):
    path = tmp_path / "a.bin"
    token_store.write(path, tokenizer, [Document(TEXTS[0], "")])
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(LimpidError, match="damaged"):
        token_store.open_store(path, tokenizer)
