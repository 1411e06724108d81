"""Tokenizers: training against the tokenizers library called directly, encoding against tiktoken and others.

    python -m bench.tokenizer [--only training|python|poems] [--megabytes 30] [--rounds 5] [--json]

Texts are the Python sources of this interpreter's own library, and Chinese poems where LIMPID_DATA_DIR has them. Every
rival in encoding has limpid's vocabulary and pattern and must give limpid's ids; each measurement is a fresh process.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.report import Row, absent, answer, arguments, fresh, in_turn, paired, show
from limpid.core.errors import LimpidError
from limpid.data.corpus import resolve
from limpid.text.bulk import bulk_encoder
from limpid.text.tokenizer import SPECIAL_TOKENS, Tokenizer, TokenizerSection, train
from limpid.text.vocabulary import PIECES

MODULE = "bench.tokenizer"
CORPORA = {"python": ("Python sources", 8192), "poems": ("Chinese poems", 6144)}


def python_sources(megabytes: float) -> list[str]:
    """The sources of the standard library and of what is installed beside it, in the order of their names."""
    found, held = [], 0.0
    for folder in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")):
        for path in sorted(Path(folder).rglob("*.py")):
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            found.append(text)
            held += len(text.encode()) / 1e6
            if held >= megabytes:
                return found
    return found


def texts_of(name: str, megabytes: float) -> list[str]:
    if name == "python":
        return python_sources(megabytes)
    return [document.text for document in resolve("tang-poems")["train"]]


def library_training(vocab_size: int, texts: list[str]) -> Any:
    """What a user of the tokenizers library would write."""
    from tokenizers import Regex, models, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Backend

    backend = Backend(models.BPE())
    split = pre_tokenizers.Split(Regex(PIECES["qwen2"]), behavior="isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    backend.train_from_iterator(texts, trainer)
    return backend


def work(question: dict[str, Any]) -> dict[str, Any]:
    """One measurement: {"rate"} in MB/s, and a digest of the result, which must be the same for every system."""
    texts = texts_of(question["corpus"], question["megabytes"])
    size = sum(len(text.encode()) for text in texts) / 1e6
    system = question["system"]
    if question["what"] == "train":
        section = TokenizerSection(vocab_size=question["vocab_size"])
        began = time.perf_counter()
        backend = library_training(section.vocab_size, texts) if system == "tokenizers" else train(section, texts)
        seconds = time.perf_counter() - began
        made = backend if isinstance(backend, Tokenizer) else None
        vocabulary = json.loads(made.library_json() if made else backend.to_str())["model"]["merges"]
        return {"rate": size / seconds, "seconds": seconds, "digest": hash_of(vocabulary)}
    tokenizer = Tokenizer.load(Path(question["tokenizer"]))
    encode = encoder(system, tokenizer, question["threads"])
    encode(texts[:20])
    began = time.perf_counter()
    ids = encode(texts)
    seconds = time.perf_counter() - began
    return {"rate": size / seconds, "seconds": seconds, "digest": hash_of([list(map(int, each)) for each in ids])}


def encoder(system: str, tokenizer: Tokenizer, threads: int) -> Any:
    """texts -> ids of each, by a system with this vocabulary."""
    if system == "tiktoken":
        import tiktoken

        first = len(SPECIAL_TOKENS)
        ranks = {tokenizer.token_bytes(i): i - first for i in range(first, tokenizer.vocab_size)}
        encoding = tiktoken.Encoding("own", pat_str=PIECES["qwen2"], mergeable_ranks=ranks, special_tokens={})
        return lambda texts: [
            [i + first for i in ids] for ids in encoding.encode_ordinary_batch(texts, num_threads=threads)
        ]
    if system == "tokenizers":
        return tokenizer.encode_batch
    return bulk_encoder(tokenizer)


def hash_of(value: Any) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def measured(name: str, rival: str, rounds: int, question: dict[str, Any], target: float | None) -> Row:
    """limpid and a rival in turn; their results must be equal."""
    environment = {"RAYON_NUM_THREADS": str(question["threads"]), "TOKENIZERS_PARALLELISM": "true"}
    if rival != "tokenizers" and importlib.util.find_spec(rival) is None:
        return absent(name, "MB/s", None, rival, "not installed")

    def of(system: str) -> Any:
        return lambda: fresh(MODULE, question | {"system": system}, environment)

    found = in_turn({"limpid": of("limpid"), rival: of(rival)}, rounds, "rate")
    if len({answered["digest"] for answers in found.values() for answered in answers}) != 1:
        raise LimpidError(f"{name}: limpid and {rival} do not give the same result.")
    rates = {system: [answered["rate"] for answered in answers] for system, answers in found.items()}
    return paired(name, "MB/s", rates["limpid"], rates[rival], rival, at_least=target)


def main() -> None:
    if "--worker" in sys.argv:
        answer(work(json.loads(sys.argv[-1])))
        return
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["training", *CORPORA], help="training, or encoding of one corpus")
    parser.add_argument("--vocab-sizes", type=int, nargs="+", default=[8192, 32768])
    show("Tokenizers", rows_of(parser.parse_args()), as_json="--json" in sys.argv)


def rows_of(args: argparse.Namespace) -> list[Row]:
    """Training to each size, then encoding with one and two threads, of code and of Chinese."""
    rows = []
    for size in args.vocab_sizes if args.only in (None, "training") else ():
        question = {"what": "train", "corpus": "python", "megabytes": args.megabytes, "vocab_size": size, "threads": 2}
        name = f"BPE training, {args.megabytes:g} MB of Python to {size:,}"
        rows.append(measured(name, "tokenizers", args.rounds, question, 1.0))
    for corpus, (title, size) in CORPORA.items():
        if args.only not in (None, corpus):
            continue
        try:
            texts = texts_of(corpus, min(args.megabytes, 10))
        except LimpidError as error:
            rows.append(absent(f"encoding {title}", "MB/s", None, "tiktoken", str(error)))
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokenizer.json"
            path.write_text(train(TokenizerSection(vocab_size=size), texts).to_json(), encoding="utf-8")
            for threads in (1, 2):
                question = {"what": "encode", "corpus": corpus, "megabytes": args.megabytes,
                            "tokenizer": str(path), "threads": threads}  # fmt: skip
                for rival in ("tiktoken", "tokenizers"):
                    name = f"encoding {title}, {threads} thread{'s' if threads > 1 else ''}"
                    rows.append(measured(name, rival, args.rounds, question, 1.0))
    return rows


if __name__ == "__main__":
    main()
