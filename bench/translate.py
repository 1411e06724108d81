"""Translation, English to German, on Multi30k: trained in a fresh process and measured by sacrebleu.

    python -m bench.translate [--recipe NAME] [--override KEY=VALUE] [--out DIR] [--report DIR] [--json]

Multi30k is looked for in $LIMPID_DATA_DIR, then where ``limpid data fetch multi30k-en-de`` puts it. ``--report DIR``
judges a run made earlier instead of making one.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.report import NOTHING_COMPILED, Row, arguments, child_environment, console, show, single

BLEU, MINUTES = 33.0, 60.0


def train(recipe: str, out: Path, overrides: list[str]) -> tuple[float, float]:
    """(wall minutes, processor minutes) of a whole ``limpid seq2seq``, its final test included.

    Raises:
        SystemExit: it failed; what it printed is above.
    """
    command = [sys.executable, "-m", "limpid", "seq2seq", recipe, *overrides, "--out", str(out)]
    console.print(" ".join(command), markup=False)
    began, used = time.perf_counter(), _processor_seconds()
    ended = subprocess.run(command, env=child_environment(NOTHING_COMPILED), stdout=sys.stderr, check=False)
    if ended.returncode:
        raise SystemExit(f"limpid seq2seq ended with code {ended.returncode}")
    return (time.perf_counter() - began) / 60, (_processor_seconds() - used) / 60


def rows_of(summary: dict[str, Any], minutes: float, processor_minutes: float | None) -> list[Row]:
    """The rows of a finished run."""
    measures = summary["measures"]
    rows = [
        single("test_2016_flickr, beam", "BLEU", measures["test BLEU"]["value"], at_least=BLEU),
        single("test_2016_flickr, greedy", "BLEU", measures["test BLEU, greedy"]["value"]),
        single("training and tests, wall clock", "min", minutes, at_most=MINUTES),
    ]
    if processor_minutes is not None:
        rows.append(single("the same, processor time of all threads", "min", processor_minutes))
    return rows


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--recipe", default="translate-en-de-tiny")
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE", help="laid over the recipe")
    parser.add_argument("--out", type=Path, help="the run's folder; a temporary one unless given")
    parser.add_argument("--report", type=Path, metavar="DIR", help="judge this run")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.report or args.out or Path(temporary) / "run"
        spent = None if args.report else train(args.recipe, folder, args.override)
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    minutes, processor_minutes = spent or (summary["seconds"] / 60, None)
    interval = summary["measures"]["test BLEU"]
    console.print(f"95% of bootstrap resamples: {interval['low']:.2f} to {interval['high']:.2f}")
    console.print(f"signature: {summary['signature']}")
    console.print(f"{summary['steps']} steps, {summary['parameters']:,} parameters, {summary['dtype']}")
    show("Multi30k, English to German", rows_of(summary, minutes, processor_minutes), as_json=args.json)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
