"""What is compressed comes back to the byte, in as many bits as the model's loss says; anything else is refused."""

from __future__ import annotations

import math
import random

import pytest
import torch
from tests.conftest import TEXTS, random_llama

from limpid.core.errors import LimpidError
from limpid.inference.compression import Codec, container
from limpid.inference.compression.prediction import TOTAL, shares
from limpid.inference.compression.symbols import Spelling, Writer
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

MARK = bytes(range(16))
RANDOM = random.Random(0).randbytes(700)
FILES = {
    "empty": b"",
    "a byte": b"a",
    "a byte that is no text": b"\xff",
    "English": TEXTS[0].encode() * 3,  # longer than the context
    "Chinese": (TEXTS[1] + "从前有座山，山里有座庙。\r\n").encode(),
    "emoji and control characters": "👨‍👩‍👧\x00\x1b[31m\u200f\u202eאבג\ufffd\ufeff".encode(),
    "binary": RANDOM,
    "text and binary": TEXTS[0].encode() + RANDOM[:40] + TEXTS[1].encode()[:-1],
    "white space": b"  \n\n\t  x \r\n  " * 5,
    "spellings of control tokens": b"<|endoftext|><|user|>",
}


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return train(TokenizerSection(kind="word", vocab_size=60), TEXTS)


def codec(tokenizer: Tokenizer, dtype: torch.dtype = torch.float32, **changes: object) -> Codec:
    return Codec(random_llama(vocab_size=tokenizer.vocab_size, **changes), tokenizer, MARK, dtype)


def brought_back(made: Codec, data: bytes) -> bytes:
    return made.decompress(*container.unpack(made.compress(data).data))


@pytest.mark.parametrize("name", FILES)
def test_any_bytes_come_back(tokenizer: Tokenizer, name: str) -> None:
    assert brought_back(codec(tokenizer), FILES[name]) == FILES[name]


@pytest.mark.parametrize("name", ["English", "Chinese", "text and binary", "white space"])
def test_through_vocabularies_that_cannot_spell_everything(
    char_tokenizer: Tokenizer, words: Tokenizer, name: str
) -> None:
    for tokenizer in (char_tokenizer, words):
        made = codec(tokenizer)
        found = made.compress(FILES[name])
        assert made.decompress(*container.unpack(found.data)) == FILES[name]
    assert codec(char_tokenizer).compress(TEXTS[1].encode()).plain == 0  # its characters are known
    assert codec(char_tokenizer).compress("鑫".encode()).plain == 3


def test_by_torch_and_in_bfloat16(tokenizer: Tokenizer) -> None:
    odd = {"d_model": 36, "n_head": 3, "n_kv_head": 3, "head_dim": 12}  # no multiple of 16: torch computes it
    assert brought_back(codec(tokenizer, **odd), FILES["text and binary"]) == FILES["text and binary"]
    assert brought_back(codec(tokenizer, torch.bfloat16), FILES["Chinese"]) == FILES["Chinese"]


def test_long_files_are_computed_side_by_side(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.inference.compression.codec.LANE", 50)
    made, data = codec(tokenizer), "".join(TEXTS).encode()
    found = made.compress(data)
    header, payload = container.unpack(found.data)
    assert header.lanes == found.symbols // 50 > 4
    assert made.decompress(header, payload) == data


def test_the_bits_are_the_models_loss(tokenizer: Tokenizer) -> None:
    """Judged by the model itself, in torch: the sum of -log2 p, a text that fits the context."""
    made, data = codec(tokenizer), TEXTS[0].encode()
    ids = [tokenizer.end_of_text, *tokenizer.encode(TEXTS[0])]
    assert len(ids) <= 64
    with torch.no_grad():
        hidden = made.model(torch.tensor([ids[:-1]]))
        scores = made.model.head(hidden)[0].float().log_softmax(-1)
    bits = -scores[range(len(ids) - 1), ids[1:]].sum().item() / math.log(2)
    payload = container.unpack(made.compress(data).data)[1]
    assert 8 * len(payload) == pytest.approx(bits, abs=12)


def test_shares_leave_nobody_out() -> None:
    logits = torch.full((50_000,), -80.0)
    logits[7] = 80.0
    ends = shares(logits.numpy())
    assert (ends[1:] > ends[:-1]).all()
    assert ends[0] == 1
    assert 0 < TOTAL - ends[-1] < 1000


def test_symbols_are_the_vocabularys_where_they_can_be(tokenizer: Tokenizer) -> None:
    spelling = Spelling(tokenizer)
    assert spelling.symbols(TEXTS[1].encode()) == tokenizer.encode(TEXTS[1])
    assert min(spelling.symbols(RANDOM)) >= 0  # a byte-level vocabulary has a token for every byte
    assert Writer(tokenizer).write(spelling.symbols(RANDOM)) == RANDOM


def test_another_models_file_is_refused(tokenizer: Tokenizer) -> None:
    data = codec(tokenizer).compress(b"The cat").data
    other = Codec(random_llama(1), tokenizer, bytes(16), torch.float32)
    with pytest.raises(LimpidError, match=r"another model \(000102030405; this one is 000000000000\)"):
        other.decompress(*container.unpack(data))


def test_what_does_not_come_out_the_same_is_noticed(tokenizer: Tokenizer) -> None:
    made = codec(tokenizer)
    header, payload = container.unpack(made.compress(FILES["English"]).data)
    damaged = bytes([payload[0] ^ 64]) + payload[1:]
    with pytest.raises(LimpidError, match="not what went in: it is damaged"):
        made.decompress(header, damaged)
    with pytest.raises(LimpidError, match="computed by torch and this machine computes by C kernels|damaged"):
        made.decompress(header._replace(kernels="torch"), damaged)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1], "cut short"),
        (lambda data: data[:30], "not whole"),
        (lambda data: data + b"x", "behind its end"),
        (lambda data: b"PK\x03\x04" + data, "no file of limpid compress"),
        (lambda data: b"", "no file of limpid compress"),
        (lambda data: data[:6] + b"\x09" + data[7:], "another version"),
    ],
    ids=["one byte short", "half a head", "too long", "something else", "empty", "newer"],
)
def test_files_that_are_not_whole_are_refused(tokenizer: Tokenizer, change, words: str) -> None:
    data = codec(tokenizer).compress(b"The cat sat on the mat.").data
    with pytest.raises(LimpidError, match=words):
        container.unpack(change(data))
