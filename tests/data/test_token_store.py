"""Token stores: whole or not opened."""

import subprocess
import sys

import numpy as np
import pytest

from limpid.core.errors import LimpidError
from limpid.data import token_store
from limpid.data.document import Document
from limpid.text.chunks import chunks
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

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


def test_long_documents_are_written_in_parts_with_the_ids_of_the_whole(tmp_path, monkeypatch):
    documents = ["".join(f"line {i}, 第{i}行。\n" for i in range(200)), "", "short", "a\n\nb\n c"] * 3
    tokenizer = train(TokenizerSection(kind="bpe", vocab_size=270), documents)
    expected = [i for text in documents for i in [*tokenizer.encode(text), tokenizer.end_of_text]]
    monkeypatch.setattr(token_store, "GROUP_CHARACTERS", 100)
    monkeypatch.setattr(Tokenizer, "parts", lambda self, text: chunks(text, 40))
    store = token_store.write(tmp_path / "a.bin", tokenizer, [Document(t, "") for t in documents])
    assert store.ids.tolist() == expected
    assert (store.documents, store.bytes) == (12, sum(len(t.encode()) for t in documents))


def test_more_text_than_memory(tmp_path):
    """43 MB of text, of which neither it nor its ids may be held: the process's peak grows by far less."""
    program = """
import resource, sys
from pathlib import Path
from limpid.data import token_store
from limpid.data.document import Document
from limpid.text.chunks import chunks
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

line = "0123456789 abc\\n" * 4096
def texts():
    for _ in range(700):
        yield line
tokenizer = train(TokenizerSection(kind="char"), [line])
token_store.write(Path(sys.argv[1]) / "warm.bin", tokenizer, [Document(line, "")] * 64)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tokens = len(token_store.write(Path(sys.argv[1]) / "a.bin", tokenizer, (Document(t, "") for t in texts())).ids)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(tokens, grown * (1 if sys.platform == "darwin" else 1024))
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    tokens, grown = map(int, done.stdout.split())
    assert tokens == 700 * (15 * 4096 + 1)
    assert grown < 40e6  # the ids alone are 86 MB, and 1.4 GB as Python's integers
