"""Loss on the whole validation split of tinyshakespeare, against the clock.

    python -m bench.shakespeare [--seconds 200 600] [--override [SECONDS:]section.key=value ...] [--nanogpt DIR]

For each time limit one run of limpid's `shakespeare` recipe in a fresh process. The clock starts with the first step
and holds compiling; looks at the validation text, samples and checkpoints stop it (their time is printed). Unless an
override sets train.steps, the number of steps that fit is derived from the speed of a short run just before. An
override that begins with a limit ("200:optim.lr=0.03") belongs to that run alone.

nanoGPT, if its checkout is given: its small CPU setting (4 layers, 128 wide, 4 heads, context 64, 12 rows, no dropout,
AdamW at 1e-3), its own model class in a plain loop, cosine to the end of the same time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.report import (
    NOTHING_COMPILED,
    Row,
    WorkerFailed,
    absent,
    answer,
    arguments,
    child_environment,
    console,
    fresh,
    show,
    single,
)
from bench.train_speed import characters, nanogpt_folder, nanogpt_model
from limpid.core.logging import read_metrics
from limpid.parallel.hardware import can_compile

TARGETS = {200: 1.47, 600: 1.44}
BEST = 1.42
PROBE_STEPS = 30
MARGIN = 0.97
"""Share of the time that the derived number of steps is to fill: the machine's speed wavers."""
SMALL = {"n_layer": 4, "n_head": 4, "n_embd": 128, "dropout": 0.0, "bias": False}
SMALL_CONTEXT, SMALL_ROWS = 64, 12


class Curve(NamedTuple):
    """points: (seconds on the clock, validation nats). clock, other: seconds of training, and of all else."""

    points: list[tuple[float, float]]
    steps: int
    clock: float
    other: float

    def at(self, seconds: float) -> float | None:
        """The last loss seen within the time."""
        return next((nats for clock, nats in reversed(self.points) if clock <= seconds), None)


def read_curve(folder: Path, wall_seconds: float = 0.0) -> Curve:
    """A run's validation losses against the sum of its steps' seconds."""
    clock, steps = 0.0, 0
    points = []
    for record in read_metrics(folder / "metrics.jsonl"):
        if "seconds" in record:
            clock += record["seconds"]
            steps = record["step"]
        if "validation_nats" in record:
            points.append((clock, record["validation_nats"]))
    return Curve(points, steps, clock, max(0.0, wall_seconds - clock))


def overrides_for(limit: float, given: list[str]) -> list[str]:
    """The overrides of one run: common ones, and those that begin with its limit."""
    mine = []
    for override in given:
        head, colon, rest = override.partition(":")
        if colon and head.isdigit():
            if int(head) == limit:
                mine.append(rest)
        else:
            mine.append(override)
    return mine


def train(recipe: str, overrides: list[str], out: Path) -> Curve:
    """One run of the recipe in a fresh process.

    Raises:
        SystemExit: it failed; what it printed is above.
    """
    began = time.perf_counter()
    command = [sys.executable, "-m", "limpid", "pretrain", recipe, *overrides, "--out", str(out)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False, env=child_environment(NOTHING_COMPILED)
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-2000:]}")
    return read_curve(out, time.perf_counter() - began)


def fitting_steps(recipe: str, overrides: list[str], limit: float, out: Path) -> int:
    """How many steps a run of ``limit`` seconds has time for, by a short run that compiles as the long one will."""
    # The probe is too short for train.compile=auto to compile it; what the overrides say comes last and wins.
    compiled = f"train.compile={str(can_compile()).lower()}"
    train(recipe, [compiled, *overrides, f"train.steps={PROBE_STEPS}", "eval.every=0", "eval.tokens=4096"], out)
    seconds = [record["seconds"] for record in read_metrics(out / "metrics.jsonl") if "seconds" in record]
    usual = statistics.median(seconds[2:])
    start = sum(s - usual for s in seconds[:2])
    steps = max(1, int((MARGIN * limit - start) / usual))
    console.print(f"  probe: {usual * 1e3:.0f} ms a step, {start:.1f} s to start: {steps} steps for {limit:g} s")
    return steps


def limpid_curve(recipe: str, limit: float, given: list[str], folder: Path, looks: int) -> Curve:
    """The run of one time limit."""
    overrides = ["eval.tokens=0", "checkpoint.every=0", *overrides_for(limit, given)]
    steps = next((int(o.partition("=")[2]) for o in reversed(overrides) if o.startswith("train.steps=")), None)
    if steps is None:
        steps = fitting_steps(recipe, overrides, limit, folder / f"probe-{limit:g}")
        overrides.append(f"train.steps={steps}")
    if not any(o.startswith("eval.every=") for o in overrides):
        overrides.append(f"eval.every={max(1, steps // looks)}")
    console.print(f"limpid, {limit:g} s: {' '.join(overrides)}", markup=False)
    curve = train(recipe, overrides, folder / f"run-{limit:g}")
    console.print(f"  {curve.steps} steps, clock {curve.clock:.1f} s, and {curve.other:.1f} s beside it")
    console.print("  " + "  ".join(f"{clock:.0f}s {nats:.4f}" for clock, nats in curve.points))
    return curve


def measure_nanogpt(question: dict[str, Any]) -> dict[str, Any]:
    """nanoGPT's small setting annealed to the given time; its loss on the whole validation split at the end."""
    import torch

    ids, vocab_size = characters()
    tokens = torch.from_numpy(ids.astype(np.int64))
    cut = int(0.9 * len(tokens))
    context, limit = SMALL_CONTEXT, question["seconds"]
    torch.manual_seed(1337)
    model = nanogpt_model(Path(question["nanogpt"]), vocab_size=vocab_size, block_size=context, **SMALL)
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    run = torch.compile(model) if question["compile"] else model
    places = torch.arange(context + 1)
    began, steps = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < limit:
        rate = 1e-4 + 0.5 * (1e-3 - 1e-4) * (1 + math.cos(math.pi * passed / limit))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (steps + 1) / 100)
        windows = tokens[torch.randint(cut - context - 1, (SMALL_ROWS,))[:, None] + places]
        _, loss = run(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps += 1
    model.eval()
    held_out = tokens[cut:]
    count = (len(held_out) - 1) // context
    total = 0.0
    with torch.no_grad():
        for starts in torch.split(torch.arange(count) * context, 64):
            windows = held_out[starts[:, None] + places]
            total += float(model(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())[1]) * len(starts)
    return {"nats": total / count, "steps": steps, "seconds": limit}


def rows_of(args: argparse.Namespace, folder: Path) -> list[Row]:
    """All rows, one time limit after the other."""
    rows: list[Row] = []
    best: float | None = None
    checkout = nanogpt_folder(args.nanogpt)
    for limit in args.seconds:
        curve = limpid_curve(args.recipe, limit, args.override, folder, args.looks)
        within = curve.at(limit)
        name = f"validation loss within {limit:g} s"
        best = min([nats for _, nats in curve.points] + ([best] if best is not None else []), default=None)
        row = single(name, "nats", within, at_most=TARGETS.get(int(limit)))
        if args.no_rival or checkout is None:
            reason = "left out" if args.no_rival else "no checkout; give --nanogpt DIR or NANOGPT_DIR"
            lone = absent(name, "nats", within, "nanoGPT", reason)
            rows.append(row._replace(rival_name=lone.rival_name))
            continue
        question = {"nanogpt": str(checkout), "seconds": limit, "compile": True}
        try:
            found = fresh("bench.shakespeare", question, NOTHING_COMPILED)
        except WorkerFailed as failure:
            console.print(f"  nanoGPT compiled: {failure}; eager instead", markup=False)
            found = fresh("bench.shakespeare", question | {"compile": False})
        console.print(f"nanoGPT, {limit:g} s: {found['nats']:.4f} after {found['steps']} steps")
        rows.append(row._replace(rival=found["nats"], rival_name="nanoGPT, small setting, annealed to the same time"))
    rows.append(single("best ever reached", "nats", best, at_most=BEST))
    return rows


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[200, 600], help="time limits (default 200 600)")
    parser.add_argument("--recipe", default="shakespeare")
    parser.add_argument("--override", action="append", default=[], metavar="[SECONDS:]KEY=VALUE")
    parser.add_argument("--looks", type=int, default=8, help="looks at the validation split a run (default 8)")
    parser.add_argument("--out", type=Path, help="keep the runs here (default: a folder deleted after)")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT (or $NANOGPT_DIR)")
    parser.add_argument("--no-rival", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        answer(measure_nanogpt(json.loads(args.worker)))
        return
    if not os.environ.get("LIMPID_DATA_DIR"):
        console.print("LIMPID_DATA_DIR is not set: the text must have been fetched (limpid data fetch tinyshakespeare)")
        args.no_rival = True  # it would read other text
    folder = args.out or Path(tempfile.mkdtemp(prefix="limpid-bench-"))
    try:
        rows = rows_of(args, folder)
    finally:
        if not args.out:
            shutil.rmtree(folder, ignore_errors=True)
    show("Tinyshakespeare, characters: nats on the whole validation split", rows, as_json=args.json)


if __name__ == "__main__":
    main()
