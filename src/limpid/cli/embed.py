"""``limpid embed``: the vectors of words, opened."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limpid.cli.answering import run_path
from limpid.core.errors import LimpidError, did_you_mean

if TYPE_CHECKING:
    from limpid.inspection.word_vectors import Neighbour, WordVectors

ACTIONS = ("neighbours", "analogy", "onehot", "evaluate")
NOTE = "a word of several tokens is the mean of their vectors"


def embed(
    run: Annotated[str, typer.Argument(help="A run of any training stage, a checkpoint, or a run of limpid skipgram.")],
    action: Annotated[
        str, typer.Argument(help="neighbours WORD, analogy A B C, onehot WORD..., or evaluate [FILE]...")
    ],
    words: Annotated[list[str] | None, typer.Argument(help="The words; for evaluate, test files.")] = None,
    count: Annotated[int, typer.Option(help="How many answers to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Open the token embeddings of a model.

    neighbours: the words nearest to one. analogy: A is to B as C is to what? onehot: one-hot and dense vectors side by
    side. evaluate: published analogy and similarity tests, from $LIMPID_DATA_DIR or from files (four words a line, or
    two words and a score with tabs).
    """
    given = words or []
    if action not in ACTIONS:
        raise LimpidError(f"limpid embed has no '{action}'.{did_you_mean(action, ACTIONS)}")
    wanted = {"neighbours": len(given) == 1, "analogy": len(given) == 3, "onehot": len(given) >= 2}
    if not wanted.get(action, True):
        need = {"neighbours": "one word", "analogy": "three words: A B C", "onehot": "two words or more"}[action]
        raise LimpidError(f"limpid embed RUN {action} takes {need}, not {len(given)}.")
    from limpid.stages.load import load_word_vectors

    vectors = load_word_vectors(run_path(run))
    if action == "neighbours":
        _near(vectors, given, vectors.neighbours(given[0], count), f"nearest to {given[0]}", as_json)
    elif action == "analogy":
        a, b, c = given
        _near(vectors, given, vectors.analogy(a, b, c, count), f"{b} - {a} + {c}", as_json)
    elif action == "onehot":
        _one_hot(vectors, given, as_json)
    else:
        _evaluate(vectors, [Path(word) for word in given], as_json)


def _near(vectors: WordVectors, words: list[str], found: list[Neighbour], title: str, as_json: bool) -> None:
    parts = {word: [vectors.tokenizer.token_text(i) for i in vectors.tokens(word)] for word in words}
    if as_json:
        answers = [{"word": n.word, "cosine": n.cosine} for n in found]
        print(json.dumps({"asked": title, "tokens": parts, "answers": answers}, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(header_style="bold")
    table.add_column("word")
    table.add_column("cosine", justify="right")
    for near in found:
        table.add_row(near.word, f"{near.cosine:.3f}")
    console = Console(highlight=False)
    console.print(title, style="italic")
    console.print(table)
    for word, tokens in parts.items():
        if len(tokens) > 1:
            console.print(f"{word} = {' | '.join(tokens)}: {NOTE}", style="dim")


def _one_hot(vectors: WordVectors, words: list[str], as_json: bool) -> None:
    """The two kinds of vector, and the cosines between words that each gives."""
    one_hot, dense = vectors.one_hot_and_dense(words)
    wide, narrow = vectors.table.shape
    if as_json:
        about = {
            "words": words,
            "ids": {word: vectors.tokens(word) for word in words},
            "one_hot_width": wide,
            "dense_width": narrow,
            "one_hot_cosines": one_hot.tolist(),
            "dense_cosines": dense.tolist(),
            "dense": {word: vectors.vector(word).tolist() for word in words},
        }
        print(json.dumps(about, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print("the vectors", style="italic")
    shown = Table(header_style="bold")
    for name in ("word", f"one-hot ({wide:,} numbers)", f"dense ({narrow} numbers)"):
        shown.add_column(name, overflow="fold")
    for word in words:
        ids = vectors.tokens(word)
        hot = f"{1 / len(ids):.2g} at {', '.join(map(str, ids))}; 0 elsewhere"
        shown.add_row(word, hot, " ".join(f"{v:+.2f}" for v in vectors.vector(word)[:6]) + " …")
    console.print(shown)
    for title, cosines in (("one-hot cosines: no word is nearer than another", one_hot), ("dense cosines", dense)):
        console.print(title, style="italic")
        table = Table(header_style="bold")
        table.add_column("")
        for word in words:
            table.add_column(word, justify="right")
        for word, row in zip(words, cosines, strict=True):
            table.add_row(word, *(f"{value:.2f}" for value in row))
        console.print(table)


def _evaluate(vectors: WordVectors, files: list[Path], as_json: bool) -> None:
    from limpid.evaluation.word_tests import WordScore, read_analogies, read_pairs, score_analogies, score_pairs

    rows: list[tuple[str, str, WordScore]] = []
    for file in files or _published():
        if file.suffix == ".tsv":
            pairs = [p._replace(one=cased(vectors, p.one), other=cased(vectors, p.other)) for p in read_pairs(file)]
            rows.append(
                (file.stem, "Spearman", score_pairs(pairs, lambda w: vectors.vector(w) if vectors.knows(w) else None))
            )
            continue
        questions = [q._replace(**{k: cased(vectors, getattr(q, k)) for k in "abcd"}) for q in read_analogies(file)]
        rows.append((file.stem, "accuracy", score_analogies(questions, vectors.words, vectors.unit)))
        for section in dict.fromkeys(q.section for q in questions):
            part = [q for q in questions if q.section == section]
            rows.append((f"  {section}", "accuracy", score_analogies(part, vectors.words, vectors.unit)))
    if as_json:
        print(json.dumps({"rows": [_as_json(*row) for row in rows]}, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(header_style="bold")
    for name in ("test", "measure", "value", "95% interval", "covered"):
        table.add_column(name, justify="left" if name in ("test", "measure") else "right")
    for name, measure, score in rows:
        value = score.value
        shown = ("-", "") if value is None else (f"{value.value:.3f}", f"[{value.low:.3f}, {value.high:.3f}]")
        table.add_row(name, measure, shown[0], shown[1].replace("[", "\\["), f"{score.asked:,} of {score.total:,}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "Analogies are asked where all four words are single tokens; in similarity, " + NOTE + ".", style="dim"
    )


def cased(vectors: WordVectors, word: str) -> str:
    """The word as the vocabulary writes it: as given, or in small letters."""
    return word if word in vectors.ids or word.lower() not in vectors.ids else word.lower()


def _published() -> list[Path]:
    folder = os.environ.get("LIMPID_DATA_DIR")
    names = ("word_similarity/wordsim353.tsv", "word_similarity/simlex999.tsv", "word_analogy/questions-words.txt",
             "word_analogy_zh_ca8/semantic.txt", "word_analogy_zh_ca8/morphological.txt")  # fmt: skip
    found = [Path(folder) / name for name in names if (Path(folder) / name).is_file()] if folder else []
    if not found:
        raise LimpidError(
            "name the test files, or set LIMPID_DATA_DIR to the folder that holds word_analogy and its like."
        )
    return found


def _as_json(name: str, measure: str, score: Any) -> dict[str, Any]:
    value = None if score.value is None else score.value._asdict()
    return {"test": name.strip(), "measure": measure, "value": value, "asked": score.asked, "total": score.total}
