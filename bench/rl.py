"""Reinforcement learning on this machine: rollouts beside the bare engine, a whole step beside TRL, and sums.

    python -m bench.rl [--rounds 3] [--only rollout step longest addition] [--json]

rollout: answers drawn, judged and made into a batch, against the engine's `generate` on the same prompts and settings,
tokens a second, in one process, in turn. step: GRPO with one update a rollout, 16 prompts x 8 answers of at most 48
tokens, a decoder of the demo's shape with random weights (6 layers, 256 wide, vocabulary 1024), the same weights and
reward in TRL's GRPOTrainer with transformers' generate; every measurement is a fresh process, whose first step does not
count. The head leans to the end of the turn, so that answers end by themselves, after 20 tokens on average, as those of
a fine-tuned model do. longest: the same where none ends before the 48th token, which is as much as there can be to
compute. TRL first tries its dtypes once and keeps the faster. addition: the recipe of that name from nothing to RL,
GRPO and PPO from one fine-tuned model: the share of held-out sums that come out right.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.decode import SMALL
from bench.report import (
    Row,
    absent,
    answer,
    arguments,
    child_environment,
    console,
    fastest,
    fresh,
    in_turn,
    paired,
    show,
    single,
)

PROMPTS, SAMPLES, TOKENS, STEPS = 16, 8, 48, 4
ENDS_AFTER = 24
"""Tokens after which an answer ends on average, were none cut off at the limit."""
QUESTIONS = ("rollout", "step", "longest", "addition")
TRL_FLAGS: list[dict[str, Any]] = [{"dtype": "bfloat16"}, {"dtype": "float32"}]


def prepare(folder: Path, *, ends: bool) -> None:
    """A run of random weights, the same for transformers, and prompts. ends: the head leans to the end of the turn."""
    import math
    import sysconfig

    import torch

    from limpid.checkpoint import store
    from limpid.checkpoint.hugging_face.export import write_model
    from limpid.models.llama import LlamaConfig
    from limpid.models.registry import build
    from limpid.parallel.environment import enter
    from limpid.text.tokenizer import TokenizerSection, train

    texts = [p.read_text(errors="ignore") for p in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:100]]
    tokenizer = train(TokenizerSection(kind="bpe", vocab_size=1024), texts, exact=False)
    model = build(LlamaConfig(vocab_size=tokenizer.vocab_size, tie_embeddings=False, qk_norm=True, **SMALL), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.02, generator=generator)
        if ends:  # states get something in common, and by it the end a probability that hardly changes
            model.embedding.weight += torch.randn(model.config.d_model, generator=generator).sign()
            ids = torch.randint(len(model.embedding.weight), (64, TOKENS), generator=generator)
            common = model(ids).mean((0, 1))
            end = math.log(tokenizer.vocab_size / ENDS_AFTER) / common.square().sum()
            model.head.weight -= (model.head.weight @ common)[:, None] * common / common.square().sum()
            model.head.weight[tokenizer.end_of_turn] = common * end
    (folder / "end.json").write_text(json.dumps(tokenizer.end_of_turn), encoding="utf-8")
    store.write(folder / "run" / "checkpoints" / "step-00000001", model, tokenizer, {"step": 1}, enter("cpu"))
    (folder / "hf").mkdir()
    write_model(folder / "hf", model, tokenizer, torch.float32, 10**10)
    asked = [f"What does the function number {100 + i} of this module return?" for i in range(200)]
    rows = [{"prompt": [{"role": "user", "content": question}]} for question in asked]
    (folder / "text.jsonl").write_text("\n".join(json.dumps({"text": one}) for one in asked), encoding="utf-8")
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def section(folder: str, steps: int) -> dict[str, Any]:
    """The settings that TRL's defaults mean: group mean and deviation, token normalisation, no divergence."""
    return {
        "path": f"{folder}/prompts.jsonl", "rewards": [{"function": "length", "options": {"words": 12}}],
        "unfinished": "judged", "algorithm": "dapo", "kl": 0.0, "skip_equal": False, "draws": 1, "steps": steps,
        "prompts": PROMPTS, "samples": SAMPLES, "max_tokens": TOKENS, "demonstrations": 0, "lr": 1e-6, "max_kl": 1e9,
    }  # fmt: skip


# Workers: one measurement each, in a process of its own -------------------------------------------------------------


def measure_limpid(question: dict[str, Any]) -> dict[str, Any]:
    """Seconds of a step of `limpid grpo`: drawing, judging and the update."""
    import torch

    from limpid.core.recipe import parse
    from limpid.parallel.environment import World
    from limpid.stages.grpo import grpo
    from limpid.stages.recipe import Recipe
    from limpid.training.fit import StepReport

    folder = question["folder"]
    table = {
        "data": {"path": f"{folder}/text.jsonl"},
        "train": {"compile": False},
        "checkpoint": {"every": 0},
        "eval": {"every": 0, "questions": 4},
        "grpo": section(folder, STEPS),
    }
    with tempfile.TemporaryDirectory() as out:
        events = grpo(
            parse(Recipe, table, "bench"), Path(folder, "run"), Path(out, "rl"), World(0, 1, torch.device("cpu"))
        )
        seconds = [event.seconds for event in events if isinstance(event, StepReport)]
        lines = [json.loads(line) for line in Path(out, "rl", "metrics.jsonl").read_text("utf-8").splitlines()]
    lengths = [line["length"] for line in lines if "length" in line]
    return {"steps_per_second": 1 / statistics.median(seconds[1:]), "length": statistics.mean(lengths[1:])}


def measure_trl(question: dict[str, Any]) -> dict[str, Any]:
    """The same with TRL's GRPOTrainer and transformers' generate."""
    import datasets
    import torch
    import transformers
    import trl

    folder, dtype = question["folder"], question["flags"]["dtype"]
    taken: list[float] = []
    lengths: list[float] = []

    class Watch(transformers.TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            taken.append(time.perf_counter() - self.began)

    def reward(completions: list[Any], completion_ids: list[list[int]], **_: Any) -> list[float]:
        lengths.append(statistics.mean(map(len, completion_ids)))
        return [max(0.0, min(1.0, 2 - len(said[0]["content"].split()) / 12)) for said in completions]

    tokenizer = transformers.AutoTokenizer.from_pretrained(f"{folder}/hf")
    end = json.loads(Path(folder, "end.json").read_text("utf-8"))
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    with tempfile.TemporaryDirectory() as out:
        config = trl.GRPOConfig(
            output_dir=out, use_cpu=True, bf16=dtype == "bfloat16", max_steps=STEPS, learning_rate=1e-6,
            per_device_train_batch_size=PROMPTS * SAMPLES, num_generations=SAMPLES, max_completion_length=TOKENS,
            temperature=1.0, beta=0.0, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
            gradient_checkpointing=False,
        )  # fmt: skip
        trainer = trl.GRPOTrainer(
            model=transformers.AutoModelForCausalLM.from_pretrained(f"{folder}/hf", dtype=getattr(torch, dtype)),
            reward_funcs=reward,
            args=config,
            train_dataset=datasets.load_dataset("json", data_files=f"{folder}/prompts.jsonl", split="train"),
            processing_class=tokenizer,
            callbacks=[Watch()],
        )
        trainer.train()
    return {"steps_per_second": 1 / statistics.median(taken[1:]), "length": statistics.mean(lengths[1:])}


def measure_rollout(question: dict[str, Any]) -> dict[str, Any]:
    """Tokens a second of rollouts and of the bare engine, in turn on the same prompts."""
    import torch

    from limpid.checkpoint import store
    from limpid.data.questions import read_questions
    from limpid.inference.engine import Engine
    from limpid.inference.sampler import Sampling
    from limpid.inference.weights import inference_copy
    from limpid.parallel.environment import World
    from limpid.parallel.hardware import keep_memory
    from limpid.rollout.credit import GroupCredit
    from limpid.rollout.rewards.panel import Panel, RewardSection
    from limpid.rollout.rollouts import RolloutPlan, Rollouts
    from limpid.text.chat import prompt
    from limpid.training.objectives.algorithms import ALGORITHMS
    from limpid.training.objectives.kl import AdaptiveKl

    keep_memory()
    folder = question["folder"]
    checkpoint = store.read(Path(folder, "run"))
    engine = Engine(inference_copy(checkpoint.model, torch.bfloat16), rows=PROMPTS * SAMPLES)
    stream = read_questions(f"{folder}/prompts.jsonl", None, 0).training
    kl = AdaptiveKl(0.0)
    plan = RolloutPlan(PROMPTS, SAMPLES, 1.0, TOKENS, 0)
    panel = Panel([RewardSection(function="length", options={"words": 12})], "judged")

    def current() -> Engine:
        engine.refresh(checkpoint.model)
        return engine

    rollouts = Rollouts(
        stream, current, checkpoint.tokenizer, panel, GroupCredit(ALGORITHMS["limpid"], kl, None), plan, kl,
        World(0, 1, torch.device("cpu")),
    )  # fmt: skip
    speeds: dict[str, list[float]] = {"rollout": [], "engine": []}
    for turn in range(7):
        began = time.perf_counter()
        rollouts[turn]
        tokens = rollouts.measured["length"] * PROMPTS * SAMPLES
        speeds["rollout"].append(tokens / (time.perf_counter() - began))
        asked = [prompt(checkpoint.tokenizer, stream[turn * PROMPTS + i].messages) for i in range(PROMPTS)]
        engine.rows.forget()
        sampling = Sampling(temperature=1.0, max_tokens=TOKENS, seed=turn)
        began = time.perf_counter()
        said = engine.generate(asked, sampling, stop_ids=checkpoint.tokenizer.chat_stops, copies=SAMPLES)
        tokens = sum(len(events) for events in said)
        speeds["engine"].append(tokens / (time.perf_counter() - began))
    return {name: values[1:] for name, values in speeds.items()}


WORKERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "limpid": measure_limpid,
    "TRL": measure_trl,
    "rollout": measure_rollout,
}


# The comparison -----------------------------------------------------------------------------------------------------


def missing() -> str:
    """Why TRL is not here; empty where it is."""
    lacking = [name for name in ("transformers", "trl", "datasets") if importlib.util.find_spec(name) is None]
    return f"{lacking[0]} is not installed" if lacking else ""


def rollout_row(folder: Path) -> Row:
    speeds = fresh("bench.rl", {"system": "rollout", "folder": str(folder)})
    name = f"rollout of {PROMPTS} x {SAMPLES} answers of {TOKENS} tokens"
    return paired(name, "tok/s", speeds["rollout"], speeds["engine"], "the engine alone", at_least=0.85)


def step_row(folder: Path, rounds: int, what: str) -> Row:
    name = f"a GRPO step, {PROMPTS} x {SAMPLES} answers {what} {TOKENS} tokens"
    question: dict[str, Any] = {"folder": str(folder), "flags": {}}
    systems = {"limpid": lambda: fresh("bench.rl", question | {"system": "limpid"})}
    reason = missing()
    if reason:
        return absent(name, "steps/s", systems["limpid"]()["steps_per_second"], "TRL", reason, ">= 5 x")
    best = fastest("bench.rl", question | {"system": "TRL"}, TRL_FLAGS, "steps_per_second", "steps/s")
    systems["TRL"] = lambda: fresh("bench.rl", question | {"system": "TRL", "flags": best})
    found = in_turn(systems, rounds, "steps_per_second")
    speeds = {system: [one["steps_per_second"] for one in some] for system, some in found.items()}
    means = ", ".join(
        f"{system} {statistics.mean(one['length'] for one in some):.1f}" for system, some in found.items()
    )
    console.print(f"  mean length of answers in tokens: {means}")
    return paired(name, "steps/s", speeds["limpid"], speeds["TRL"], f"TRL {best['dtype']}", at_least=5)


def addition_rows(folder: Path) -> list[Row]:
    """The recipe ``addition`` through the command line."""
    summaries = {}
    for stage, source in (("pretrain", None), ("sft", "pretrain"), ("grpo", "sft"), ("ppo", "sft")):
        command = [sys.executable, "-m", "limpid", stage, "addition", "--out", str(folder / "addition" / stage)]
        command += [] if source is None else ["--from", str(folder / "addition" / source)]
        console.print(f"  {stage}")
        subprocess.run(command, check=True, env=child_environment(), stdout=subprocess.DEVNULL)
        summaries[stage] = json.loads((folder / "addition" / stage / "summary.json").read_text(encoding="utf-8"))
    before = summaries["grpo"]["measures"]["held-out exact before"]["value"]
    rows = [single("addition: held-out sums right after fine-tuning", "", before)]
    for stage in ("grpo", "ppo"):
        right = summaries[stage]["measures"]["held-out exact"]["value"]
        rows.append(single(f"addition: held-out sums right after {stage}", "", right, at_least=0.95))
        rows.append(single(f"addition: seconds of {stage}", "s", summaries[stage]["seconds"], at_most=900))
    return rows


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="paired rounds (default 3)")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        question = json.loads(args.worker)
        answer(WORKERS[question["system"]](question))
        return
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, ends in (("step", True), ("longest", False)):
            (folder / name).mkdir()
            prepare(folder / name, ends=ends)
        if "rollout" in args.only:
            rows.append(rollout_row(folder / "longest"))
        if "step" in args.only:
            rows.append(step_row(folder / "step", args.rounds, "of at most"))
        if "longest" in args.only:
            rows.append(step_row(folder / "longest", args.rounds, "of"))
        if "addition" in args.only:
            rows += addition_rows(folder)
    show("Reinforcement learning", rows, as_json=args.json)


if __name__ == "__main__":
    main()
