"""Training speed of one shape beside nanoGPT and the transformers Trainer.

    python -m bench.train_speed [--rounds 5] [--steps 6] [--nanogpt DIR] [--dropout 0.2 0] [--json]

6 layers, 384 wide, 6 heads, context 256, 16,384 tokens a step, characters (tinyshakespeare in $LIMPID_DATA_DIR, else
random ids of a vocabulary of 65). Every measurement is a fresh process: a few warm-up steps (the first holds any
compiling, and is printed) and then the median of the timed ones. First each system tries its own flags once and keeps
the fastest; then the systems run in turn, and ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.report import (
    NOTHING_COMPILED,
    ROUNDS,
    Row,
    WorkerFailed,
    absent,
    answer,
    arguments,
    console,
    fresh,
    in_turn,
    paired,
    show,
    single,
)

LAYERS, WIDTH, HEADS, CONTEXT, TOKENS_PER_STEP = 6, 384, 6, 256, 16_384
WARMUP_STEPS = 2
SYSTEMS = ("limpid", "nanoGPT", "transformers")
FLAGS: dict[str, list[dict[str, Any]]] = {
    "limpid": [
        {"dtype": "bfloat16", "compile": True, "micro_tokens": 4096},
        {"dtype": "bfloat16", "compile": True, "micro_tokens": 8192},
        {"dtype": "bfloat16", "compile": False, "micro_tokens": 4096},
        {"dtype": "float32", "compile": True, "micro_tokens": 4096},
    ],
    "nanoGPT": [
        {"dtype": "bfloat16", "compile": False, "micro_steps": 1},
        {"dtype": "bfloat16", "compile": False, "micro_steps": 4},
        {"dtype": "bfloat16", "compile": True, "micro_steps": 1},
        {"dtype": "float32", "compile": False, "micro_steps": 1},
    ],
    "transformers": [
        {"bf16": True, "compile": False, "micro_steps": 1},
        {"bf16": True, "compile": False, "micro_steps": 4},
        {"bf16": True, "compile": True, "micro_steps": 1},
        {"bf16": False, "compile": False, "micro_steps": 1},
    ],
}
TARGETS = {0.2: {"nanoGPT": 3.0, "transformers": 3.0}, 0.0: {"nanoGPT": 1.5, "transformers": 5.0}}
SHARE_TARGET = 0.35


def characters() -> tuple[npt.NDArray[np.uint16], int]:
    """Ids of tinyshakespeare's characters and how many different ones there are; random ones where it is not here."""
    folder = os.environ.get("LIMPID_DATA_DIR")
    path = Path(folder or ".", "tinyshakespeare", "input.txt")
    if not folder or not path.exists():
        return np.random.default_rng(0).integers(65, size=1_115_394).astype(np.uint16), 65
    codes = np.frombuffer(path.read_text(encoding="utf-8").encode("utf-32-le"), dtype=np.uint32)
    alphabet, ids = np.unique(codes, return_inverse=True)
    return ids.astype(np.uint16), len(alphabet)


def nanogpt_folder(given: Path | None) -> Path | None:
    """The checkout that the user names, if its model.py is there."""
    folder = given or (Path(os.environ["NANOGPT_DIR"]) if os.environ.get("NANOGPT_DIR") else None)
    return folder.resolve() if folder is not None and (folder / "model.py").is_file() else None


def nanogpt_model(folder: Path, **shape: Any) -> Any:
    """A GPT of the checkout's own class."""
    found = importlib.util.spec_from_file_location("nanogpt_model", folder / "model.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["nanogpt_model"] = module  # its dataclass looks itself up there
    found.loader.exec_module(module)
    return module.GPT(module.GPTConfig(**shape))


# Workers: one measurement each, in a process of its own -------------------------------------------------------------


def measure_limpid(question: dict[str, Any]) -> dict[str, Any]:
    """limpid's own loop, model and optimizers."""
    from limpid.core.recipe import parse
    from limpid.data.batches import TextBatches
    from limpid.data.token_store import TokenStore
    from limpid.models.count import flops_per_token
    from limpid.models.registry import build
    from limpid.parallel.environment import enter
    from limpid.parallel.hardware import compute_dtype, matmul_rate
    from limpid.stages.recipe import Recipe
    from limpid.stages.training_run import prepare_model
    from limpid.training.fit import fit
    from limpid.training.objectives.next_token import NextToken
    from limpid.training.optim import build_optimizers

    ids, vocab_size = characters()
    shape = {
        "depth": LAYERS, "d_model": WIDTH, "n_head": HEADS, "n_kv_head": HEADS, "d_ff": 1024, "context": CONTEXT,
        "dropout": question["dropout"],
    }  # fmt: skip
    flags = question["flags"]
    train = {"tokens_per_step": TOKENS_PER_STEP, "device": "cpu", **flags}
    recipe = parse(Recipe, {"model": shape, "train": train}, "bench")
    world = enter("cpu")
    steps = WARMUP_STEPS + question["steps"]
    config = recipe.model.config(vocab_size)
    model, _ = prepare_model(build(config, seed=0), recipe, world, steps)
    dtype = compute_dtype(recipe.train.dtype, world.device)
    reports = fit(
        model,
        NextToken(dtype),
        TextBatches(TokenStore(ids, len(ids), 1, ""), CONTEXT, TOKENS_PER_STEP // CONTEXT, 0),
        build_optimizers(model, recipe.optim, config.d_model, dtype),
        start=0,
        steps=steps,
        schedule=lambda step: 0.1,
        clip=recipe.optim.clip,
        micro_rows=recipe.train.micro_tokens // CONTEXT,
        seed=0,
        world=world,
    )
    found = summary([report.seconds for report in reports])
    flops = flops_per_token(model, CONTEXT) * found["tokens_per_second"]
    share = flops / matmul_rate(dtype, "cpu")
    parameters = sum(p.numel() for p in model.parameters())
    return found | {"parameters": parameters, "matmul_share": share, "flags": str(flags)}


def measure_nanogpt(question: dict[str, Any]) -> dict[str, Any]:
    """nanoGPT's model and optimizer in the plain loop that its train.py describes."""
    import torch

    ids, vocab_size = characters()
    flags = question["flags"]
    rows = TOKENS_PER_STEP // CONTEXT // flags["micro_steps"]
    torch.manual_seed(0)
    model = nanogpt_model(
        Path(question["nanogpt"]), n_layer=LAYERS, n_head=HEADS, n_embd=WIDTH, block_size=CONTEXT, bias=False,
        vocab_size=vocab_size, dropout=question["dropout"],
    )  # fmt: skip
    parameters = sum(p.numel() for p in model.parameters())
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    run = torch.compile(model) if flags["compile"] else model
    low = flags["dtype"] == "bfloat16"
    tokens = torch.from_numpy(ids.astype(np.int64))
    places = torch.arange(CONTEXT + 1)
    seconds = []
    for _ in range(WARMUP_STEPS + question["steps"]):
        began = time.perf_counter()
        for _ in range(flags["micro_steps"]):
            starts = torch.randint(len(tokens) - CONTEXT - 1, (rows,))
            windows = tokens[starts[:, None] + places]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
                _, loss = run(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())
            (loss / flags["micro_steps"]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - began)
    return summary(seconds) | {"parameters": parameters, "flags": str(flags)}


def measure_transformers(question: dict[str, Any]) -> dict[str, Any]:
    """The Trainer of transformers over a GPT-2 of the same shape."""
    import tempfile

    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

    ids, vocab_size = characters()
    flags, dropout = question["flags"], question["dropout"]
    steps = WARMUP_STEPS + question["steps"]
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, use_cache=False,
            resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout, bos_token_id=0, eos_token_id=0,
        )
    )  # fmt: skip
    starts = np.random.default_rng(0).integers(len(ids) - CONTEXT, size=steps * TOKENS_PER_STEP // CONTEXT)

    class Windows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
        def __len__(self) -> int:
            return len(starts)

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            window = torch.from_numpy(ids[starts[index] : starts[index] + CONTEXT].astype(np.int64))
            return {"input_ids": window, "labels": window}

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            folder, use_cpu=True, bf16=flags["bf16"], torch_compile=flags["compile"], max_steps=steps,
            per_device_train_batch_size=TOKENS_PER_STEP // CONTEXT // flags["micro_steps"],
            gradient_accumulation_steps=flags["micro_steps"], learning_rate=1e-3, weight_decay=0.1,
            save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
            dataloader_pin_memory=False,
        )  # fmt: skip
        Trainer(model, settings, train_dataset=Windows(), callbacks=[Clock()]).train()
    parameters = sum(p.numel() for p in model.parameters())
    return summary(np.diff(ends).tolist()) | {"parameters": parameters, "flags": str(flags)}


def summary(seconds: list[float]) -> dict[str, Any]:
    """Speed by the median step after the warm-up; the first step, with all compiling, by itself."""
    timed = statistics.median(seconds[WARMUP_STEPS:])
    return {"tokens_per_second": TOKENS_PER_STEP / timed, "step_seconds": timed, "first_step_seconds": seconds[0]}


WORKERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "limpid": measure_limpid,
    "nanoGPT": measure_nanogpt,
    "transformers": measure_transformers,
}


# The comparison -----------------------------------------------------------------------------------------------------


def best_flags(system: str, question: dict[str, Any]) -> tuple[dict[str, Any], list[Row]]:
    """The flags a system is fastest with, tried once each with nothing compiled beforehand, and what was found."""
    best: tuple[float, dict[str, Any]] | None = None
    rows = []
    for flags in FLAGS[system]:
        asked = question | {"system": system, "flags": flags}
        label = f"{system} {' '.join(f'{key}={value}' for key, value in flags.items())}"
        try:
            found = fresh("bench.train_speed", asked, NOTHING_COMPILED)
        except WorkerFailed as failure:
            console.print(f"  {label}: failed, left out. {failure}", markup=False)
            continue
        speed = found["tokens_per_second"]
        said = f"{speed:,.0f} tok/s, first step {found['first_step_seconds']:.1f} s"
        console.print(f"  {label}: {said}, {found['parameters'] / 1e6:.2f}M parameters")
        if flags.get("compile") and system == "limpid":
            extra = found["first_step_seconds"] - found["step_seconds"]
            rows.append(Row(f"dropout {question['dropout']:g}: first step beyond a usual one, {label}", "s", extra))
        if best is None or speed > best[0]:
            best = speed, flags
    if best is None:
        raise WorkerFailed(f"{system} ran with none of its flags")
    return best[1], rows


def compare(dropout: float, present: list[str], reasons: dict[str, str], args: argparse.Namespace) -> list[Row]:
    """All rows of one dropout rate."""
    question = {"dropout": dropout, "steps": args.steps, "nanogpt": str(nanogpt_folder(args.nanogpt) or "")}
    console.print(f"dropout {dropout:g}: each system's flags")
    rows: list[Row] = []
    chosen: dict[str, dict[str, Any]] = {}
    for system in present:
        try:
            chosen[system], found_rows = best_flags(system, question)
            rows += found_rows
        except WorkerFailed as failure:
            if system == "limpid":
                raise
            reasons = reasons | {system: str(failure)}
    console.print(f"dropout {dropout:g}: in turn")

    def runner(system: str) -> Callable[[], dict[str, Any]]:
        asked = question | {"system": system, "flags": chosen[system]}
        return lambda: fresh("bench.train_speed", asked)

    answers = in_turn({system: runner(system) for system in chosen}, args.rounds, "tokens_per_second")
    speeds = {name: [found["tokens_per_second"] for found in some] for name, some in answers.items()}
    for system in SYSTEMS[1:]:
        goal = TARGETS.get(dropout, {}).get(system)
        name = f"dropout {dropout:g}: training speed"
        if system not in chosen:
            target = f">= {goal:g} x" if goal else None
            speed = statistics.median(speeds["limpid"])
            rows.append(absent(name, "tok/s", speed, system, reasons[system], target))
            continue
        flags = " ".join(f"{key}={value}" for key, value in chosen[system].items())
        rows.append(paired(name, "tok/s", speeds["limpid"], speeds[system], f"{system} {flags}", at_least=goal))
    if "nanoGPT" in chosen:
        counts = [answers[name][0]["parameters"] for name in ("limpid", "nanoGPT")]
        off = abs(counts[0] / counts[1] - 1)
        console.print(f"  parameters: limpid {counts[0]:,}, nanoGPT {counts[1]:,}, {off:.1%} apart")
        if off > 0.02:
            console.print("  [red]the models differ by more than 2%: the comparison is not fair[/]")
    share = statistics.median(found["matmul_share"] for found in answers["limpid"])
    bound = SHARE_TARGET if dropout == 0 else None
    rows.append(single(f"dropout {dropout:g}: share of the matmul rate of the same run", "", share, at_least=bound))
    return rows


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"paired rounds (default {ROUNDS})")
    parser.add_argument("--steps", type=int, default=6, help="timed steps a measurement")
    parser.add_argument("--dropout", type=float, nargs="+", default=[0.2, 0.0])
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT (or $NANOGPT_DIR)")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="leave rivals out")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        question = json.loads(args.worker)
        answer(WORKERS[question["system"]](question))
        return
    reasons = {system: "left out by --systems" for system in SYSTEMS if system not in args.systems}
    if nanogpt_folder(args.nanogpt) is None:
        reasons["nanoGPT"] = "no checkout; give --nanogpt DIR or NANOGPT_DIR"
    for package in ("transformers", "accelerate"):
        if importlib.util.find_spec(package) is None:
            reasons["transformers"] = f"{package} is not installed; pip install limpid[bench]"
    reasons.pop("limpid", None)
    for system, reason in reasons.items():
        console.print(f"{system} is skipped: {reason}")
    present = [system for system in SYSTEMS if system not in reasons]
    rows = [row for dropout in args.dropout for row in compare(dropout, present, reasons, args)]
    show("Training speed, 6 x 384, context 256, 16,384 tokens a step, characters", rows, as_json=args.json)


if __name__ == "__main__":
    main()
