"""``limpid tokenize``: train a vocabulary, encode and decode with any, and compare the kinds on one sentence."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limpid.cli.answering import harmless, run_path, visible, write
from limpid.core.errors import LimpidError

if TYPE_CHECKING:
    from rich.text import Text

    from limpid.text.tokenizer import Tokenizer

tokenize = typer.Typer(add_completion=False, no_args_is_help=True, help="Train a tokenizer, use it, or compare kinds.")

KINDS = ("char", "word", "wordpiece", "bpe", "unigram")
COMPARED_CHARACTERS, COMPARED_BYTES = 1_000_000, 300_000
"""Each kind learns from so many bytes of lines, drawn from the beginning of the corpus. More would take minutes where
few pieces occur twice: unigram among the clauses of Chinese."""
SENTENCES = ("I love machine learning", "machine learning", "我喜欢机器学习。")

Source = Annotated[
    str,
    typer.Argument(
        metavar="TOKENIZER",
        help="A run, a Hugging Face folder, a tokenizer.json, .tiktoken or SentencePiece .model file.",
    ),
]
Pattern = Annotated[str | None, typer.Option(help="For .tiktoken files: gpt2, cl100k or o200k.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@tokenize.command("train")
def train_tokenizer(
    sources: Annotated[
        list[str], typer.Argument(metavar="RECIPE|FILE... [KEY=VALUE...]", help="A recipe, or texts; then overrides.")
    ],
    out: Annotated[Path | None, typer.Option(help="The folder; runs/RECIPE/tokenizer unless given.")] = None,
    text: Annotated[str | None, typer.Option(help="Show the tokens of this text as well.")] = None,
) -> None:
    """Learn a vocabulary from a recipe's corpus or from files, and see what it does to a text.

    Of a recipe, [data] and [tokenizer] are read: tokenizer.kind (bpe, unigram, wordpiece, word, char),
    tokenizer.vocab_size, tokenizer.lowercase.
    """
    from rich.console import Console

    from limpid.cli.show import show
    from limpid.core.paths import run_folder
    from limpid.core.recipe import load, override, parse, shipped
    from limpid.stages.recipe import Recipe
    from limpid.stages.tokenize import pieces
    from limpid.stages.tokenize import tokenize as stage
    from limpid.text.tokenizer import Tokenizer

    overrides = [word for word in sources if "=" in word and not Path(word).exists()]
    named = [word for word in sources if word not in overrides]
    if not named:
        raise LimpidError("name a recipe or a text to learn from, for example: limpid tokenize train my_book.txt")
    if len(named) == 1 and (named[0].endswith(".toml") or (named[0] in shipped() and not Path(named[0]).exists())):
        recipe, files = load(Recipe, named[0], overrides), []
    else:
        recipe, files = parse(Recipe, override({"data": {"path": named[0]}}, overrides), named[0]), named
    folder = out or run_folder(named[0], "tokenizer")
    if (folder / "tokenizer.json").exists():
        raise LimpidError(f"{folder} already holds a tokenizer: give another --out, or delete that folder.")
    console = Console(highlight=False)
    (finished,) = show(stage(recipe, folder, files), console)
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    unknown = finished.summary["out_of_vocabulary"]
    if tokenizer.unknown is not None:
        console.print(
            f"Out of vocabulary: {unknown['train']:.2%} of the tokens learnt from, "
            f"{unknown['validation']:.2%} of the tokens held out"
        )
    examples = [pieces(tokenizer, text)] if text else []
    for tokens in [*(e["tokens"] for e in finished.summary["example"]), *examples]:
        console.print(f"{len(tokens):3d} tokens  ", _tiles(tokens), soft_wrap=True, sep="")
    console.print(f"The tokenizer is in {folder}", soft_wrap=True)


@tokenize.command("encode")
def encode(
    source: Source,
    text: Annotated[str, typer.Argument(help="The text; - reads it from standard input.")] = "-",
    pattern: Pattern = None,
    as_json: AsJson = False,
) -> None:
    """Text to ids. A pipe receives the ids alone; a terminal the pieces as well."""
    tokenizer = _open(source, pattern)
    given = _read(text)
    ids = tokenizer.encode(given)
    if as_json:
        print(json.dumps(_described(tokenizer, given, ids), ensure_ascii=False))
        return
    write(" ".join(map(str, ids)) + "\n")
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console(highlight=False)
        console.print(_tiles([tokenizer.token_text(i) for i in ids]), soft_wrap=True)
        console.print(_counts(tokenizer, given, ids), style="dim")


@tokenize.command("decode")
def decode(
    source: Source,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids; none: they are read from standard input.")] = None,
    pattern: Pattern = None,
    as_json: AsJson = False,
) -> None:
    """Ids to text. Control tokens are left out."""
    words = (" ".join(ids) if ids else sys.stdin.read()).replace(",", " ").split()
    wrong = next((word for word in words if not word.lstrip("-").isdigit()), None)
    if wrong is not None:
        raise LimpidError(f"'{wrong}' is no token id; ids are whole numbers with spaces between them.")
    numbers = [int(word) for word in words]
    text = _open(source, pattern).decode(numbers)
    write((json.dumps({"ids": numbers, "text": text}, ensure_ascii=False) if as_json else text) + "\n")


@tokenize.command("compare")
def compare(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="The story's sentences if none.")
    ] = None,
    on: Annotated[str, typer.Option(help="The corpus that each kind learns from: a name, file, folder or glob.")] = (
        "python-docs"
    ),
    vocab_size: Annotated[int, typer.Option(help="Tokens of each vocabulary (char: what the corpus has).")] = 4096,
    tokenizers: Annotated[
        list[str] | None, typer.Option("--with", help="Compare these tokenizers (see encode) instead of the kinds.")
    ] = None,
    pattern: Pattern = None,
    as_json: AsJson = False,
) -> None:
    """One sentence under each kind of vocabulary, side by side: pieces, their number, and bytes a token."""
    compared = {name: _open(name, pattern) for name in tokenizers} if tokenizers else _learnt(on, vocab_size)
    rows = [
        {"tokenizer": name, "kind": tokenizer.kind, **_described(tokenizer, text, tokenizer.encode(text))}
        for text in texts or SENTENCES
        for name, tokenizer in compared.items()
    ]
    if as_json:
        print(json.dumps({"rows": rows}, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not tokenizers:
        console.print(f"Each learnt from at most {COMPARED_BYTES // 1000} kB of {on}", style="dim")
    for text in texts or SENTENCES:
        table = Table(title=f"{harmless(text)}  ({len(text)} characters, {len(text.encode())} bytes)",
                      title_justify="left", header_style="bold", title_style="bold")  # fmt: skip
        for name in ("tokenizer", "vocabulary", "tokens", "bytes/token", "unknown", "pieces"):
            table.add_column(name, overflow="fold", justify="left" if name in ("tokenizer", "pieces") else "right")
        for row in rows:
            if row["text"] == text:
                unknown = f"{row['out_of_vocabulary']:.0%}" if row["out_of_vocabulary"] else ""
                table.add_row(row["tokenizer"], f"{row['vocab_size']:,}", str(row["count"]),
                              f"{row['bytes_per_token']:.2f}", unknown, _tiles(row["pieces"]))  # fmt: skip
        console.print(table)


def _learnt(on: str, vocab_size: int) -> dict[str, Tokenizer]:
    """A vocabulary of each kind, as large as asked for or as the text supports."""
    from rich.console import Console

    from limpid.data.corpus import resolve
    from limpid.stages.tokenize import beginning
    from limpid.text.tokenizer import TokenizerSection, train

    lines = beginning(resolve(on)["train"], COMPARED_CHARACTERS).splitlines(keepends=True)
    random.Random(0).shuffle(lines)
    texts = "".join(lines).encode()[:COMPARED_BYTES].decode("utf-8", "ignore").splitlines(keepends=True)
    found = {}
    with Console(stderr=True).status("") as status:
        for kind in KINDS:
            status.update(f"learning a {kind} vocabulary")
            section = TokenizerSection.model_validate({"kind": kind, "vocab_size": vocab_size})
            found[kind] = train(section, texts, exact=False)
    return found


def _open(source: str, pattern: str | None) -> Tokenizer:
    from limpid.text.files import open_tokenizer

    return open_tokenizer(run_path(source), pattern)


def _read(text: str) -> str:
    raw = sys.stdin.buffer.read() if text == "-" else text.encode("utf-8", "surrogateescape")
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LimpidError(f"the text is not UTF-8 (at byte {error.start}); convert it first.") from None
    return decoded.removesuffix("\n").removesuffix("\r") if text == "-" else decoded


def _described(tokenizer: Tokenizer, text: str, ids: list[int]) -> dict[str, Any]:
    return {
        "text": text,
        "ids": ids,
        "pieces": [tokenizer.token_text(i) for i in ids],
        "count": len(ids),
        "vocab_size": tokenizer.vocab_size,
        "bytes_per_token": len(text.encode()) / max(1, len(ids)),
        "out_of_vocabulary": tokenizer.out_of_vocabulary(ids),
    }


def _counts(tokenizer: Tokenizer, text: str, ids: list[int]) -> str:
    about = _described(tokenizer, text, ids)
    unknown = f", {about['out_of_vocabulary']:.0%} unknown" if about["out_of_vocabulary"] else ""
    return f"{len(ids)} tokens, {about['bytes_per_token']:.2f} bytes each{unknown}"


def _tiles(tokens: list[str]) -> Text:
    """Pieces in two alternating colours; without colours a bar stands between them."""
    from rich.text import Text

    coloured = sys.stdout.isatty()
    shown = Text()
    for number, token in enumerate(tokens):
        if number and not coloured:
            shown.append("|")
        shown.append(visible(token), "black on cyan" if number % 2 else "black on white")
    return shown
