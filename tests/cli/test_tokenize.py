"""The verbs of `limpid tokenize` and `limpid embed`, called as a user would."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from tests.conftest import TEXTS

from limpid.cli import main as cli
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        cli.main(args)
    said = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, said.out, said.err


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text("\n".join(f"The cat number {i} sat on the mat, 床前明月光。" for i in range(200)), encoding="utf-8")
    return path


@pytest.fixture
def saved(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer.to_json(), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["bpe", "word"])
def test_train_on_files(capsys: pytest.CaptureFixture[str], tmp_path: Path, book: Path, kind: str) -> None:
    size = {"bpe": 270, "word": 20}[kind]
    out = tmp_path / "run"
    arguments = ("tokenize", "train", str(book), str(book), f"tokenizer.kind={kind}", f"tokenizer.vocab_size={size}")
    code, said, _ = run(capsys, *arguments, "--out", str(out))
    assert code == 0
    assert Tokenizer.load(out / "tokenizer.json").vocab_size == size
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["out_of_vocabulary"]["train"] > 0) == (kind == "word") == ("Out of vocabulary" in said)
    code, _, err = run(capsys, *arguments, "--out", str(out))
    assert code == 1
    assert "already holds a tokenizer" in err


def test_encode_and_decode(capsys: pytest.CaptureFixture[str], saved: Path, tokenizer: Tokenizer) -> None:
    text = "The cat 鯨 🙂"
    code, out, _ = run(capsys, "tokenize", "encode", str(saved), text)
    assert (code, [int(i) for i in out.split()]) == (0, tokenizer.encode(text))
    assert run(capsys, "tokenize", "decode", str(saved), *out.split())[1] == text + "\n"
    _, out, _ = run(capsys, "tokenize", "encode", str(saved), text, "--json")
    about = json.loads(out)
    assert any(piece.startswith("<0x") for piece in about["pieces"])
    assert about["bytes_per_token"] == len(text.encode()) / len(about["ids"])


def test_encode_with_a_vocabulary_of_tiktoken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bytes.tiktoken"
    path.write_text("".join(f"{base64.b64encode(bytes([b])).decode()} {b}\n" for b in range(256)))
    assert run(capsys, "tokenize", "encode", str(path), "ab", "--pattern", "gpt2")[1] == "97 98\n"
    code, _, err = run(capsys, "tokenize", "encode", str(path), "ab")
    assert code == 1
    assert "--pattern" in err


def test_compare_the_kinds(capsys: pytest.CaptureFixture[str], book: Path) -> None:
    texts = ("I love machine learning", "machine learning", "床前明月光")
    code, out, _ = run(capsys, "tokenize", "compare", *texts, "--on", str(book), "--vocab-size", "300", "--json")
    assert code == 0
    rows = {(row["text"], row["kind"]): row for row in json.loads(out)["rows"]}
    assert len(rows) == 15
    assert rows["machine learning", "char"]["count"] == 16  # the story's figure
    assert rows["I love machine learning", "word"]["count"] == 4
    assert rows["床前明月光", "word"]["out_of_vocabulary"] == 0
    assert rows["machine learning", "bpe"]["out_of_vocabulary"] == 0


def test_compare_learns_from_a_bounded_part(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "poem.txt").write_text("".join(f"{chr(0x4E00 + i)}月明。\n" for i in range(900)), encoding="utf-8")
    sizes = []
    for most in (1000, 100_000):  # the cut falls within a character
        monkeypatch.setattr("limpid.cli.tokenize.COMPARED_BYTES", most)
        code, out, _ = run(capsys, "tokenize", "compare", "月", "--on", str(tmp_path / "poem.txt"), "--json")
        assert code == 0
        sizes += [row["vocab_size"] for row in json.loads(out)["rows"] if row["kind"] == "char"]
    assert sizes[0] < 100 < 700 < sizes[1]


def test_compare_tokenizers(capsys: pytest.CaptureFixture[str], saved: Path) -> None:
    code, out, _ = run(capsys, "tokenize", "compare", "鯨", "--with", str(saved))
    assert code == 0
    assert "<0xE9>" in out
    assert "1 characters, 3 bytes" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["encode", "nowhere", "x"], "there is no tokenizer at nowhere"),
        (["encode", "BOOK", "x"], "book.txt is not a tokenizer"),
        (["decode", "SAVED", "99999"], "token id 99999 is outside 0..319"),
        (["decode", "SAVED", "1x"], "'1x' is no token id"),
        (["train", "tokenizer.kind=bpe"], "name a recipe or a text"),
        (["train", "BOOK", "tokenizer.vocab_size=9999"], "more than this text supports"),
        (["train", "EMPTY"], "empty"),
    ],
)
def test_faults(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, book: Path, saved: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty.txt").write_text("")
    names = {"BOOK": str(book), "SAVED": str(saved), "EMPTY": str(tmp_path / "empty.txt")}
    extra = ["--out", str(tmp_path / "run")] if arguments[0] == "train" else []
    code, _, err = run(capsys, "tokenize", *(names.get(a, a) for a in arguments), *extra)
    assert code == 1
    assert message in " ".join(err.split())


def test_embed_opens_any_model(capsys: pytest.CaptureFixture[str], saved_run: Path, tmp_path: Path) -> None:
    _, out, _ = run(capsys, "embed", str(saved_run), "neighbours", "cat", "--json", "--count", "3")
    assert len(json.loads(out)["answers"]) == 3
    _, out, _ = run(capsys, "embed", str(saved_run), "analogy", "cat", "dog", "mat", "--json")
    assert json.loads(out)["asked"] == "dog - cat + mat"
    _, out, _ = run(capsys, "embed", str(saved_run), "onehot", "cat", "dog", "--json")
    assert json.loads(out)["one_hot_width"] == 320
    (tmp_path / "pairs.tsv").write_text("cat\tdog\t9\ncat\tmat\t2\ncat\tlog\t1\n")
    _, out, _ = run(capsys, "embed", str(saved_run), "evaluate", str(tmp_path / "pairs.tsv"), "--json")
    assert json.loads(out)["rows"][0]["asked"] == 3
    for action in (["neighbours", "cat"], ["onehot", "cat", "dog"], ["evaluate", str(tmp_path / "pairs.tsv")]):
        assert run(capsys, "embed", str(saved_run), *action)[0] == 0


def test_embed_faults(capsys: pytest.CaptureFixture[str], saved_run: Path, tmp_path: Path) -> None:
    for arguments, message in [
        (["neighbors", "cat"], "Did you mean 'neighbours'"),
        (["analogy", "cat"], "takes three words"),
        (["evaluate", str(tmp_path / "none.tsv")], "does not exist"),
    ]:
        code, _, err = run(capsys, "embed", str(saved_run), *arguments)
        assert code == 1
        assert message in " ".join(err.split())


def test_words_of_a_word_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tokenizer = train(TokenizerSection(kind="word", vocab_size=30), TEXTS)
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    _, out, _ = run(capsys, "tokenize", "encode", str(tmp_path), "zebra cat", "--json")
    assert json.loads(out)["out_of_vocabulary"] == 0.5
