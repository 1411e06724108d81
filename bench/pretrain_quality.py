"""What pretraining taught, against a compressor and an n-gram model.

    python -m bench.pretrain_quality [RUN_DIR] [--json]

RUN_DIR is a finished demo's folder (runs/demo unless given). Test bits per byte as the run published it and measured
again, `xz -9e` given the training text as prefix, and a 5-gram model with Kneser-Ney smoothing over the same tokens.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench.report import Row, arguments, console, show, single
from limpid.checkpoint import store as checkpoints
from limpid.core.paths import runs_dir
from limpid.core.recipe import load
from limpid.data.corpus import resolve
from limpid.data.token_store import open_store
from limpid.evaluation.baselines import kneser_ney_bits_per_byte, xz_bits_per_byte
from limpid.evaluation.bits_per_byte import score_text
from limpid.parallel.hardware import DTYPES, keep_memory
from limpid.stages.recipe import Recipe

TARGET = 1.60
MEASURE = "test bits per byte"


def below(name: str, value: float, rival: float, rival_name: str) -> Row:
    """A row that is met where limpid's figure is the smaller one."""
    return Row(name, "bits/byte", value, rival, rival_name, value / rival, None, "below the rival", value < rival)


def rows_of(run: Path, *, overlap: float) -> list[Row]:
    """All rows of one run's pretraining."""
    folder = run / "pretrain" if (run / "pretrain").is_dir() else run
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    recipe = load(Recipe, str(folder / "recipe.toml"))
    checkpoint = checkpoints.read(folder)
    train, test = (open_store(folder / "tokens" / f"{name}.bin", checkpoint.tokenizer) for name in ("train", "test"))
    console.print(f"train {train.bytes:,} bytes, {len(train.ids):,} tokens; test {test.bytes:,}, {len(test.ids):,}")

    keep_memory()
    published = summary["measures"][MEASURE]["value"]
    # In the dtype the run used: on a busy machine `auto` may choose another one today.
    again = score_text(checkpoint.model, test, dtype=DTYPES[summary["dtype"]], overlap=overlap)
    value = again.bits_per_byte.value
    low, high = again.bits_per_byte.low, again.bits_per_byte.high
    console.print(f"limpid {value:.4f} bits a byte, 95% interval {low:.4f} to {high:.4f}; published {published:.4f}")

    documents = resolve(recipe.data.path, text_key=recipe.data.text_key or "text")
    prefix, rest = ("".join(d.text for d in documents[name]).encode() for name in ("train", "test"))
    if len(prefix) != train.bytes or len(rest) != test.bytes:
        console.print("[yellow]the corpus of this interpreter is not the one the run was trained on[/]")
    xz = xz_bits_per_byte(prefix, rest)
    five = kneser_ney_bits_per_byte(train.ids, test.ids, checkpoint.tokenizer.vocab_size, 5, test_bytes=test.bytes)
    return [
        single("published by the run", "bits/byte", published, at_most=TARGET),
        single("measured again", "bits/byte", value, at_most=TARGET),
        below("against a compressor", value, xz, "xz -9e, training text as prefix"),
        below("against n-grams", value, five, "5-gram Kneser-Ney, same tokens"),
    ]


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR", nargs="?", default=runs_dir() / "demo")
    parser.add_argument("--overlap", type=float, default=0.5, help="share of each window seen before (default 0.5)")
    args = parser.parse_args()
    if not any((folder / "summary.json").is_file() for folder in (args.run, args.run / "pretrain")):
        parser.error(f"{args.run} holds no finished pretraining; make one with limpid demo --out {args.run}")
    show("Pretraining: test bits per byte", rows_of(args.run, overlap=args.overlap), as_json=args.json)


if __name__ == "__main__":
    main()
