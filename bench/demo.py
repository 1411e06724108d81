"""The whole line in a fresh process, under measurement, against its targets.

    python -m bench.demo [--out DIR] [--override section.key=value ...] [--report DIR] [--json]

Runs ``limpid demo`` and samples the resident memory of the process and all its children. ``--report DIR`` judges a
demo made earlier instead of running one.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.report import NOTHING_COMPILED, Row, arguments, child_environment, console, show, single

SECONDS, GIGABYTES = 600, 2.0
SHARE_RIGHT = 0.90
FORGETTING = 1.05
KNOWN = ("description", "module", "signature")
PERIOD_SECONDS = 0.25

Measures = Mapping[str, Mapping[str, float]]


def tree_rss_bytes(root: int) -> int:
    """Resident memory of a process and all its descendants, now. Pages that they share count for each."""
    parents, resident = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            pages = int((folder / "statm").read_text().split()[1])
        except OSError:  # it has ended meanwhile
            continue
        parents[int(folder.name)] = int(fields[1])
        resident[int(folder.name)] = pages * resource.getpagesize()
    family, total = {root}, resident.get(root, 0)
    while found := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= found
        total += sum(resident[pid] for pid in found)
    return total


def run_demo(out: Path, overrides: list[str]) -> tuple[float, int]:
    """Wall seconds and peak resident bytes of a whole ``limpid demo``.

    Raises:
        SystemExit: the demo failed; what it printed is above.
    """
    command = [sys.executable, "-m", "limpid", "demo", *overrides, "--out", str(out), "--no-browser"]
    console.print(" ".join(command), markup=False)
    began = time.perf_counter()
    peak = 0
    process = subprocess.Popen(command, stdout=sys.stderr, env=child_environment(NOTHING_COMPILED))
    try:
        while process.poll() is None:
            if sys.platform == "linux":
                peak = max(peak, tree_rss_bytes(process.pid))
            time.sleep(PERIOD_SECONDS)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    seconds = time.perf_counter() - began
    # The kernel's own record misses no short peak, but holds only the largest single process.
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if process.returncode:
        sys.exit(f"limpid demo ended with {process.returncode}")
    return seconds, max(peak, largest)


def value(measures: Measures, name: str) -> float | None:
    """The value of a measure, None where the stage has none of that name."""
    found = measures.get(name)
    return None if found is None else found["value"]


def rows_of(report: dict[str, Any], seconds: float | None, peak: int | None) -> list[Row]:
    """Every target of the demo that its report can be held to."""
    stages: dict[str, Measures] = {stage["name"]: stage["measures"] for stage in report["stages"]}
    pretrain, sft, rl = (stages.get(name, {}) for name in ("pretrain", "sft", "grpo"))
    total = seconds if seconds is not None else report["total_seconds"]
    peak = peak if peak is not None else report["peak_rss_bytes"]
    bits = "test bits per byte"
    rows = [
        single("demo: all stages to the report", "s", total, at_most=SECONDS),
        single("demo: peak resident memory", "GB", None if peak is None else peak / 1e9, at_most=GIGABYTES),
        single("pretraining: test", "bits/byte", value(pretrain, bits), at_most=1.60),
    ]
    kinds = [name.removesuffix(": right") for name in sft if name.endswith(": right")]
    for kind in kinds:
        grade = "right"  # of a name that does not exist: admitting it
        share = value(sft, f"{kind}: {grade}")
        bound = None if kind == "held_out" else SHARE_RIGHT  # answers that were never seen cannot be known
        rows.append(single(f"SFT: {kind}, {grade}", "", share, at_least=bound))
    rows.append(
        ratio("SFT: test bits per byte over pretraining's", value(sft, bits), value(pretrain, bits), FORGETTING)
    )
    accuracy = value(stages.get("reward", {}), "accuracy")
    rows.append(single("reward model: held-out pairs in the right order", "", accuracy, at_least=0.9))
    wrong = "unknown: wrong"
    rows.append(ratio("RL: wrong about unknown names, over SFT's", value(rl, wrong), value(sft, wrong), 1 / 3))
    if wrong in rl and wrong in sft:
        apart = rl[wrong]["high"] < sft[wrong]["low"]
        rows.append(
            Row("RL: wrong about unknown names", "", rl[wrong]["value"], sft[wrong]["value"], "after SFT",
                target="disjoint 95% intervals", met=apart)
        )  # fmt: skip
    rows.append(ratio("RL: test bits per byte over SFT's", value(rl, bits), value(sft, bits), 1.03))
    for kind in KNOWN:
        after, before = value(rl, f"{kind}: right"), value(sft, f"{kind}: right")
        met = None if after is None or before is None else after >= before
        rows.append(Row(f"RL: {kind}, right", "", after, before, "after SFT", target="not lower", met=met))
    return rows


def ratio(name: str, after: float | None, before: float | None, at_most: float) -> Row:
    """A later stage's figure held to a multiple of an earlier one's."""
    target = f"<= {at_most:.3g} x"
    if after is None or before is None:
        return Row(name, "", after, before, target=target)
    return Row(
        name, "", after, before, "before", after / before if before else None, None, target, after <= at_most * before
    )


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="keep the run here; must not exist (default: a folder deleted after)")
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE", help="laid over the recipe")
    parser.add_argument("--report", type=Path, metavar="DIR", help="judge this finished demo; run nothing")
    args = parser.parse_args()
    seconds: float | None = None
    peak: int | None = None
    if args.report:
        report = json.loads((args.report / "report.json").read_text(encoding="utf-8"))
    else:
        if args.out and args.out.exists():
            parser.error(f"{args.out} exists; the time of a demo that continues another would mean nothing")
        out = args.out or Path(tempfile.mkdtemp(prefix="limpid-bench-")) / "demo"
        try:
            seconds, peak = run_demo(out, args.override)
            report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        finally:
            if not args.out:
                shutil.rmtree(out.parent, ignore_errors=True)
    for question in report.get("prompts", []):
        console.print(json.dumps(question, ensure_ascii=False), markup=False)
    show("limpid demo", rows_of(report, seconds, peak), as_json=args.json)


if __name__ == "__main__":
    main()
