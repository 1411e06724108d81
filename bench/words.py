"""Word vectors by skip-gram, against gensim on the very same words.

    LIMPID_DATA_DIR=DIR python -m bench.words [--epochs N] [--only english|chinese] [--json]

English is recipe `words` (WikiText-2) on WordSim-353, SimLex-999 and questions-words; Chinese are the conversations of
chat_zh and preference_zh, cut into words by jieba (`tokenizer.chinese=words`), on CA8. gensim (pip install gensim; it
is no dependency) has limpid's words, width, window, noise words, subsampling, rate and epochs, and one thread too.
Both answer the same questions; a row is met unless a paired bootstrap (95%) finds limpid worse.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from bench.report import Row, absent, answer, arguments, console, fresh, paired, show
from limpid.cli.embed import cased
from limpid.core.recipe import load, parse
from limpid.data import token_store
from limpid.data.catalogue import data_folders
from limpid.evaluation.word_tests import read_analogies, read_pairs, right_answers, similarities, spearman
from limpid.inspection.word_vectors import WordVectors
from limpid.stages.events import Finished, Started
from limpid.stages.skipgram import WordsRecipe, skipgram
from limpid.text.tokenizer import Tokenizer

CHINESE = ("chat_zh/train.jsonl.gz", "chat_zh/test.jsonl", "preference_zh/train.jsonl", "preference_zh/test.jsonl")
TESTS = {
    "english": ("word_similarity/wordsim353.tsv", "word_similarity/simlex999.tsv", "word_analogy/questions-words.txt"),
    "chinese": ("word_analogy_zh_ca8/semantic.txt", "word_analogy_zh_ca8/morphological.txt"),
}
NOT_WORSE = "not worse"


def chinese_prose(data: Path) -> Iterator[str]:
    """What was said in each conversation; of two answers the better one."""
    for name in CHINESE:
        opened = gzip.open if name.endswith(".gz") else open
        with opened(data / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                said = row.get("messages") or [*row["prompt"], {"content": row["chosen"]}]
                yield "\n".join(message["content"] for message in said)


def learn(question: dict[str, Any]) -> None:
    """Worker: limpid's vectors of a text."""
    began = 0.0
    for event in skipgram(load(WordsRecipe, "words", question["overrides"]), Path(question["out"])):
        if isinstance(event, Started):
            began = time.perf_counter()
        if isinstance(event, Finished):
            answer({"seconds": time.perf_counter() - began})


def rival(question: dict[str, Any]) -> None:
    """Worker: gensim's vectors of the same words; unknown words and ends of documents are left out, as limpid does."""
    import gensim

    run = Path(question["out"])
    recipe = parse(WordsRecipe, tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8")), str(run))
    tokenizer = Tokenizer.load(run / "tokenizer.json")
    ids = np.asarray(token_store.open_store(run / "tokens" / "train.bin", tokenizer).ids).astype(np.int64)
    known = ids[~np.isin(ids, [*tokenizer.special_ids, tokenizer.unknown])]
    sentences = [list(map(str, known[at : at + 5000].tolist())) for at in range(0, len(known), 5000)]
    section = recipe.skipgram
    began = time.perf_counter()
    model = gensim.models.Word2Vec(
        sentences, sg=1, hs=0, vector_size=section.dim, window=section.window, negative=section.negatives,
        sample=section.subsample, epochs=section.epochs, alpha=section.lr, min_count=1, workers=1, seed=1,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    table = np.zeros((tokenizer.vocab_size, section.dim), np.float32)
    for word in model.wv.index_to_key:
        table[int(word)] = model.wv[word]
    np.save(run / "gensim.npy", table)
    answer({"seconds": seconds, "words": len(known) * section.epochs})


def answers(run: Path, table: Any, tests: list[Path]) -> dict[str, tuple[list[float], list[float]]]:
    """For each test people's scores and cosines, or for analogies whether each was answered rightly, twice."""
    vectors = WordVectors(Tokenizer.load(run / "tokenizer.json"), table)
    found: dict[str, tuple[list[float], list[float]]] = {}
    for test in tests:
        if test.suffix == ".tsv":
            pairs = [p._replace(one=cased(vectors, p.one), other=cased(vectors, p.other)) for p in read_pairs(test)]
            found[test.stem] = similarities(pairs, lambda w: vectors.vector(w) if vectors.knows(w) else None)
            total = len(pairs)
        else:
            questions = [q._replace(**{k: cased(vectors, getattr(q, k)) for k in "abcd"}) for q in read_analogies(test)]
            right = list(map(float, right_answers(questions, vectors.words, vectors.unit)))
            found[test.stem] = right, right
            total = len(questions)
        console.print(f"  {test.stem}: {len(found[test.stem][0]):,} of {total:,} can be asked")
    return found


def compared(name: str, ours: tuple[list[float], list[float]], theirs: tuple[list[float], list[float]]) -> Row:
    """One test: both values, and whether a paired bootstrap of the difference lies below zero."""
    (x, a), (_, b) = ([np.array(side) for side in both] for both in (ours, theirs))
    analogies = bool(np.isin(x, (0, 1)).all())
    value: Callable[[Any, Any], float] = (lambda _, right: float(right.mean())) if analogies else spearman
    if len(x) < 2:
        return Row(name, "", None, target=NOT_WORSE)
    draw = np.random.default_rng(0)
    picks = [draw.integers(len(x), size=len(x)) for _ in range(1000)]
    differences = [value(x[i], a[i]) - value(x[i], b[i]) for i in picks]
    low, high = np.quantile(differences, (0.025, 0.975))
    mine, other = value(x, a), value(x, b)
    console.print(f"  {name}: limpid {mine:.4f}, gensim {other:.4f}, difference [{low:+.4f}, {high:+.4f}]")
    unit = "accuracy" if analogies else "Spearman"
    return Row(name, unit, mine, other, "gensim", mine / other if other else None, None, NOT_WORSE, bool(high >= 0))


def measure(language: str, data: Path, epochs: int | None, folder: Path) -> list[Row]:
    """Learn, let the rival learn, and ask both."""
    out = folder / language
    overrides = [f"skipgram.epochs={epochs}"] if epochs else []
    if language == "chinese":
        text = folder / "chinese.txt"
        text.write_text("\n<|endoftext|>\n".join(chinese_prose(data)), encoding="utf-8")
        overrides += [f"data.path={text}", "tokenizer.chinese=words"]
    console.print(f"{language}: limpid")
    one_thread = {"OMP_NUM_THREADS": "1"}
    mine = fresh("bench.words", {"who": "limpid", "out": str(out), "overrides": overrides}, one_thread)
    tests = [data / name for name in TESTS[language]]
    ours = answers(out, load_file(out / "vectors.safetensors")["embedding"], tests)
    try:
        import gensim  # noqa: F401
    except ImportError:
        return [
            absent(
                f"{language}, {name}",
                "",
                float(np.mean(a)) if x is a else spearman(x, a),
                "gensim",
                "pip install gensim",
            )
            for name, (x, a) in ours.items()
        ]
    console.print(f"{language}: gensim")
    other = fresh("bench.words", {"who": "gensim", "out": str(out)}, one_thread)
    theirs = answers(out, np.load(out / "gensim.npy"), tests)
    rows = [compared(f"{language}, {name}", ours[name], theirs[name]) for name in ours]
    rates = ([other["words"] / timed["seconds"]] for timed in (mine, other))
    speed = paired(f"{language}, training", "words/s", *rates, "gensim", at_least=None)
    return [*rows, speed]


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--only", choices=list(TESTS))
    args = parser.parse_args()
    if args.worker:
        question = json.loads(args.worker)
        (learn if question["who"] == "limpid" else rival)(question)
        return
    data = next((folder for folder in data_folders() if (folder / "word_analogy").is_dir()), None)
    if data is None:
        parser.error("there is no word_analogy: set LIMPID_DATA_DIR to the folder that holds it")
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row for language in ([args.only] if args.only else TESTS)
            for row in measure(language, data, args.epochs, Path(folder))
        ]  # fmt: skip
    show("Word vectors", rows, as_json=args.json)


if __name__ == "__main__":
    main()
