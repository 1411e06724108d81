"""Generating on this machine beside transformers and llama.cpp, and beside what its memory and its products allow.

    python -m bench.decode [--rounds 5] [--only one int8 many prompt small] [--json]

A decoder of Llama's shape with 110 million random weights (12 layers, 768 wide, vocabulary 32,000), the same weights
for everyone: limpid's engine, transformers' generate on what `limpid export --to hf` writes, llama.cpp on what
`--to gguf` writes. Prompts of 32 tokens, 128 new ones, greedy; then 32 rows together, a prompt of 768 tokens, weights
of 8 bits, and a model of the demo's shape, where the work is so little that calling it is what takes time. Every
measurement is a fresh process that warms up first and gives the median of up to three runs; systems run in turn and
ratios are taken within a round.
transformers first tries its flags once for each question and keeps the fastest.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.report import (
    ROUNDS,
    Row,
    absent,
    answer,
    arguments,
    console,
    fastest,
    fresh,
    in_turn,
    paired,
    show,
    single,
)

PROMPT, NEW, ROWS, LONG = 32, 128, 32, 768
LARGE = {"context": 1024, "d_model": 768, "n_layer": 12, "n_head": 12, "n_kv_head": 12, "head_dim": 64, "d_ff": 2048}
SMALL = {"context": 256, "d_model": 256, "n_layer": 6, "n_head": 4, "n_kv_head": 2, "head_dim": 64, "d_ff": 704}
VOCABULARIES = {"large": 32_000, "small": 1024}
QUESTIONS = ("one", "int8", "many", "prompt", "small")
FLAGS: dict[str, list[dict[str, Any]]] = {
    "one": [{"dtype": "bfloat16"}, {"dtype": "bfloat16", "static": True}],
    "many": [{"dtype": "bfloat16"}],
    "prompt": [{"dtype": "bfloat16"}],
    "small": [{"dtype": "bfloat16"}, {"dtype": "float32"}, {"dtype": "float32", "static": True}],
}
"""What transformers is tried with. static: a cache of fixed size and a compiled forward."""


def prepare(folder: Path) -> None:
    """Models of random weights, as limpid, transformers and llama.cpp read them."""
    import torch

    from limpid.checkpoint import store
    from limpid.checkpoint.hugging_face.export import write_model
    from limpid.checkpoint.llama_cpp.file import write_gguf
    from limpid.models.llama import LlamaConfig
    from limpid.models.registry import build
    from limpid.parallel.environment import enter
    from limpid.text.tokenizer import TokenizerSection, train

    texts = [p.read_text(errors="ignore") for p in sorted(Path(sysconfig.get_path("stdlib")).glob("*/*.py"))[:900]]
    for size, shape in (("large", LARGE), ("small", SMALL)):
        tokenizer = train(TokenizerSection(kind="bpe", vocab_size=VOCABULARIES[size]), texts, exact=False)
        config = LlamaConfig(
            vocab_size=tokenizer.vocab_size, tie_embeddings=size == "large", qk_norm=size == "small", **shape
        )
        model = build(config, seed=0)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=0.02, generator=generator)
        store.write(folder / size / "checkpoints" / "step-00000001", model, tokenizer, {"step": 1}, enter("cpu"), {})
        (folder / f"{size}-hf").mkdir()
        write_model(folder / f"{size}-hf", model, tokenizer, torch.bfloat16, 10**10)
        if size == "large" and importlib.util.find_spec("gguf"):
            for dtype in ("bf16", "q8_0"):
                write_gguf(folder / f"large-{dtype}.gguf", model, tokenizer, dtype, "bench")


def steady(run: Callable[[], int]) -> float:
    """Tokens a second: the median of three runs, of fewer where they take long; the first does not count."""
    run()
    speeds: list[float] = []
    spent = 0.0
    while len(speeds) < 3 and spent < 6:
        began = time.perf_counter()
        tokens = run()
        took = time.perf_counter() - began
        speeds.append(tokens / took)
        spent += took
    return statistics.median(speeds)


def ids_of(count: int, row: int = 0) -> list[int]:
    return [17 + (31 * i + 7 * row) % 900 for i in range(count)]


# Workers: one measurement each, in a process of its own -------------------------------------------------------------


def measure_limpid(question: dict[str, Any]) -> dict[str, Any]:
    """limpid's engine."""
    import torch

    from limpid.checkpoint import store
    from limpid.inference.engine import Engine
    from limpid.inference.sampler import Sampling
    from limpid.inference.weights import inference_copy
    from limpid.models.count import matmul_parameters
    from limpid.parallel.hardware import keep_memory, matmul_rate

    keep_memory()
    size = "small" if question["what"] == "small" else "large"
    model = inference_copy(store.read(Path(question["folder"], size)).model, torch.bfloat16)
    engine = Engine(model, int8=question["what"] == "int8")
    rows = ROWS if question["what"] == "many" else 1

    def generate() -> int:
        engine.rows.forget()  # the prompts of the run before, which would not be read again
        prompts = [ids_of(PROMPT, row) for row in range(rows)]
        sampling = Sampling(temperature=0, max_tokens=NEW)
        return sum(len(events) for events in engine.generate(prompts, sampling, stop_ids=()))

    def read() -> int:
        engine.rows.forget()
        for _ in engine.generate([ids_of(LONG)], Sampling(temperature=0, max_tokens=1), stop_ids=()):
            pass
        return LONG

    speed = steady(read if question["what"] == "prompt" else generate)
    weights = matmul_parameters(model)
    head = model.head.weight.numel()
    attended = 2 * model.config.n_layer * model.config.n_head * model.config.head_dim * LONG  # of 4 x, causal half
    numbers = torch.randn(2**28)
    taken = []
    for _ in range(4):
        began = time.perf_counter()
        numbers.sum()
        taken.append(time.perf_counter() - began)
    return {
        "tokens_per_second": speed,
        "of_bandwidth": speed * weights * (1 if question["what"] == "int8" else 2) * min(taken) / (numbers.numel() * 4),
        "of_products": speed * (2 * (weights - head) + attended) / matmul_rate(torch.bfloat16),
        "parameters": weights,
        "forward": engine.forward.name,
    }


def measure_transformers(question: dict[str, Any]) -> dict[str, Any]:
    """transformers' generate."""
    import torch
    from transformers import AutoModelForCausalLM

    from limpid.parallel.hardware import keep_memory

    keep_memory()
    what, flags = question["what"], question["flags"]
    size = "small" if what == "small" else "large"
    dtype = getattr(torch, flags["dtype"])
    model = AutoModelForCausalLM.from_pretrained(Path(question["folder"], f"{size}-hf"), dtype=dtype)
    more: dict[str, Any] = {}
    if flags.get("static"):
        more["cache_implementation"] = "static"
        model.forward = torch.compile(model.forward, dynamic=False)
    if what == "prompt":
        ids = torch.tensor([ids_of(LONG)])

        def read() -> int:
            with torch.inference_mode():
                model(ids, use_cache=True, logits_to_keep=1)
            return LONG

        return {"tokens_per_second": steady(read)}
    ids = torch.tensor([ids_of(PROMPT, row) for row in range(ROWS if what == "many" else 1)])

    def generate() -> int:
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=NEW, max_new_tokens=NEW, **more
        )
        return (out.shape[1] - PROMPT) * len(ids)

    return {"tokens_per_second": steady(generate)}


def measure_llama_cpp(question: dict[str, Any]) -> dict[str, Any]:
    """llama.cpp through its Python package."""
    import os

    from llama_cpp import Llama

    threads = int(os.environ["OMP_NUM_THREADS"])
    dtype = "q8_0" if question["what"] == "int8" else "bf16"
    llama = Llama(
        str(Path(question["folder"], f"large-{dtype}.gguf")), n_ctx=1024, n_batch=1024, n_ubatch=1024, verbose=False,
        n_threads=threads, n_threads_batch=threads,
    )  # fmt: skip

    def generate() -> int:
        llama.reset()
        said = 0
        for _ in llama.generate(ids_of(PROMPT), temp=0.0):
            said += 1
            if said == NEW:
                break
        return said

    def read() -> int:
        llama.reset()
        llama.eval(ids_of(LONG))
        return LONG

    return {"tokens_per_second": steady(read if question["what"] == "prompt" else generate)}


WORKERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "limpid": measure_limpid,
    "transformers": measure_transformers,
    "llama.cpp": measure_llama_cpp,
}
RIVALS: dict[str, dict[str, float | None]] = {
    "one": {"llama.cpp": 1.2, "transformers": 2.2},
    "int8": {"llama.cpp": 1.3},
    "many": {"transformers": 4.0},
    "prompt": {"transformers": 1.2, "llama.cpp": None},
    "small": {"transformers": 8.0},
}
NAMES = {
    "one": "greedy, one row, bf16",
    "int8": "one row, int8 weights (llama.cpp: q8_0)",
    "many": f"{ROWS} rows, bf16, together",
    "prompt": f"reading a prompt of {LONG} tokens, bf16",
    "small": "the demo's shape, one row",
}


# The comparison -----------------------------------------------------------------------------------------------------


def missing() -> dict[str, str]:
    """Rivals that are not here, and why."""
    needs = {"transformers": ("transformers",), "llama.cpp": ("llama_cpp", "gguf")}
    return {
        rival: f"{package} is not installed"
        for rival, packages in needs.items()
        for package in packages
        if importlib.util.find_spec(package) is None
    }


def fastest_flags(question: dict[str, Any]) -> dict[str, Any]:
    """The flags that transformers is fastest with for this question."""
    asked = question | {"system": "transformers"}
    return fastest("bench.decode", asked, FLAGS[question["what"]], "tokens_per_second", "tok/s")


def compare(what: str, folder: Path, rounds: int, absentees: dict[str, str]) -> tuple[list[Row], list[float]]:
    """The rows of one question, and limpid's speeds."""
    console.print(NAMES[what])
    question: dict[str, Any] = {"what": what, "folder": str(folder)}
    systems: dict[str, Callable[[], dict[str, Any]]] = {}
    labels: dict[str, str] = {}
    for system in ("limpid", *(rival for rival in RIVALS[what] if rival not in absentees)):
        asked = question | {"system": system, "flags": {}}
        if system == "transformers":
            asked["flags"] = fastest_flags(question)
        labels[system] = " ".join([system, *(f"{k}={v}" for k, v in asked["flags"].items())])
        systems[system] = lambda asked=asked: fresh("bench.decode", asked)  # type: ignore[misc]
    answers = in_turn(systems, rounds, "tokens_per_second")
    speeds = {system: [found["tokens_per_second"] for found in some] for system, some in answers.items()}
    rows = []
    for rival, goal in RIVALS[what].items():
        if rival in absentees:
            target = f">= {goal:g} x" if goal else None
            mine = statistics.median(speeds["limpid"])
            rows.append(absent(NAMES[what], "tok/s", mine, rival, absentees[rival], target))
        else:
            rows.append(paired(NAMES[what], "tok/s", speeds["limpid"], speeds[rival], labels[rival], at_least=goal))
    rows += list(shares(what, answers["limpid"]))
    return rows, speeds["limpid"]


def shares(what: str, answers: list[dict[str, Any]]) -> Iterator[Row]:
    """How near limpid comes to the machine's limits, each measured in the same process."""
    if what in ("one", "int8"):
        share = statistics.median(found["of_bandwidth"] for found in answers)
        name = "share of (memory bandwidth / bytes of weights)"
        yield single(f"{NAMES[what]}: {name}", "", share, at_least=0.75 if what == "one" else None)
    if what == "prompt":
        share = statistics.median(found["of_products"] for found in answers)
        yield single(f"{NAMES[what]}: share of the bf16 matmul rate", "", share, at_least=0.5)


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"paired rounds (default {ROUNDS})")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        question = json.loads(args.worker)
        answer(WORKERS[question["system"]](question))
        return
    absentees = missing()
    for rival, reason in absentees.items():
        console.print(f"{rival} is skipped: {reason}; pip install limpid[bench,llama-cpp]", markup=False)
    rows: list[Row] = []
    speeds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        console.print("writing models of random weights")
        prepare(Path(place))
        for what in args.only:
            found, speeds[what] = compare(what, Path(place), args.rounds, absentees)
            rows += found
    if "one" in speeds and "many" in speeds:
        ratio = statistics.median(speeds["many"]) / statistics.median(speeds["one"])
        rows.append(single(f"{ROWS} rows over one row", "x", ratio, at_least=12))
    show("Generating: 110M parameters, 32 + 128 tokens", rows, as_json=args.json)


if __name__ == "__main__":
    main()
