"""limpid serve beside transformers serve with continuous batching, and beside limpid's own engine without a server.

    python -m bench.serve [--rounds 5] [--clients 16] [--tokens 64] [--folder DIR] [--json]

A Llama-shaped model of 127 million random weights in bfloat16, the same in both servers, with an end token that cannot
win: every client gets all of its tokens, which is checked. In each round every system starts anew, answers one burst of
clients to warm up and then three timed ones, all clients at once, streamed, greedily, prompts of about 32 tokens that
are never the same twice. transformers first tries its kinds of attention once each and keeps the faster. Then systems
run in turn, and ratios are taken within a round. --folder keeps the model between runs.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.clients import ask_all, percentile
from bench.live_server import LiveServer, ServerFailed, free_port, limpid_serve
from bench.random_run import random_words, write_random_run
from bench.report import (
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

SHAPE = {
    "context": 512, "d_model": 768, "n_layer": 12, "n_head": 12, "n_kv_head": 6, "head_dim": 64, "d_ff": 2048,
    "qk_norm": False,
}  # fmt: skip
VOCABULARY = 32_000
PROMPT_WORDS = 10
BURSTS = 3
RIVAL = "transformers serve --continuous-batching"
RIVAL_FLAGS = [["--dtype", "bfloat16"], ["--dtype", "bfloat16", "--attn-implementation", "eager"]]
SPEED_TARGET, ENGINE_TARGET = 1.5, 0.9


def prompts(count: int, burst: int) -> list[str]:
    """``count`` texts that no other burst has."""
    return [random_words(PROMPT_WORDS, 1000 * (burst + 1) + number) for number in range(count)]


# One measurement each -----------------------------------------------------------------------------------------------


def measure_server(command: list[str], port: int, model: str, question: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Start a server, ask, stop it. Raises WorkerFailed where a client did not get all of its tokens."""
    speeds: list[float] = []
    first: list[float] = []
    between: list[float] = []
    try:
        with LiveServer(command, port) as server:
            for burst in range(-1, BURSTS):
                bodies = [
                    {
                        "model": model, "messages": [{"role": "user", "content": prompt}], "stream": True,
                        "max_tokens": question["tokens"], "temperature": 0, **more,
                    }
                    for prompt in prompts(question["clients"], burst)
                ]  # fmt: skip
                heard = asyncio.run(ask_all(server.url, "/v1/chat/completions", bodies))
                for one in heard:
                    if one.status != 200 or one.usage.get("completion_tokens") != question["tokens"]:
                        raise WorkerFailed(f"a client got {one.status} {one.usage} {one.error}; {server.said()}")
                if burst >= 0:
                    speeds.append(len(heard) * question["tokens"] / max(one.arrivals[-1] for one in heard))
                    first += [one.arrivals[0] for one in heard]
                    between += [b - a for one in heard for a, b in zip(one.arrivals, one.arrivals[1:], strict=False)]
    except ServerFailed as failure:
        raise WorkerFailed(f"{command[1:4]} {failure}") from None
    return {
        "tokens_per_second": statistics.median(speeds),
        "first_p50": percentile(first, 0.5), "first_p95": percentile(first, 0.95),
        "between_p50": percentile(between, 0.5), "between_p95": percentile(between, 0.95),
    }  # fmt: skip


def measure_limpid(folder: Path, question: dict[str, Any]) -> dict[str, Any]:
    port = free_port()
    command = limpid_serve([folder / "run"], port, "--device", "cpu", "--dtype", "bfloat16")
    return measure_server(command, port, "run", question, stream_options={"include_usage": True})


def measure_transformers(folder: Path, question: dict[str, Any], flags: list[str]) -> dict[str, Any]:
    port, model = free_port(), str(folder / "hf")
    program = str(Path(sys.executable).with_name("transformers"))
    command = [program, "serve", model, "--continuous-batching", "--device", "cpu", *flags, "--port", str(port)]
    return measure_server(command, port, model, question)


def measure_engine(question: dict[str, Any]) -> dict[str, Any]:
    """The same prompts, put into the engine by hand: what a server could reach at most."""
    import limpid
    from limpid.inference.sampler import Sampling
    from limpid.text.chat import prompt as render

    lm = limpid.load(question["run"], device="cpu", dtype="bfloat16")
    sampling = Sampling(temperature=0, max_tokens=question["tokens"])
    speeds = []
    for burst in range(-1, BURSTS):
        asked = prompts(question["clients"], burst)
        began, said = time.perf_counter(), 0
        ids = [render(lm.tokenizer, [{"role": "user", "content": text}]) for text in asked]
        for events in lm.engine.generate(ids, sampling, stop_ids=lm.tokenizer.chat_stops):
            said += len(events)
        if said != question["clients"] * question["tokens"]:
            raise RuntimeError(f"the engine gave {said} tokens")
        if burst >= 0:
            speeds.append(said / (time.perf_counter() - began))
    return {"tokens_per_second": statistics.median(speeds)}


# The comparison -----------------------------------------------------------------------------------------------------


def prepare(folder: Path, *, rival: bool) -> None:
    """Write the run and its export for transformers, unless they are there already. Raises WorkerFailed."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "run").exists():
        console.print("making the model")
        write_random_run(folder / "run", VOCABULARY, **SHAPE)
    if rival and not (folder / "hf").exists():
        fresh("bench.serve", {"system": "export", "run": str(folder / "run"), "out": str(folder / "hf")})


def export(question: dict[str, Any]) -> dict[str, Any]:
    """The run in Hugging Face's form; that it is the same model is checked by the export itself."""
    from limpid.stages.export_model import export_model

    results = list(export_model(Path(question["run"]), Path(question["out"]), "hf", dtype="bfloat16"))
    if not all(result.passed for result in results):
        raise RuntimeError(f"the exported model is another: {results}")
    return {"compared": len(results)}


def best_flags(folder: Path, question: dict[str, Any]) -> list[str]:
    """The flags transformers is fastest with. Raises WorkerFailed where it runs with none of them."""
    speeds: list[tuple[float, list[str]]] = []
    for flags in RIVAL_FLAGS:
        try:
            speeds.append((measure_transformers(folder, question, flags)["tokens_per_second"], flags))
            console.print(f"  transformers {' '.join(flags)}: {speeds[-1][0]:,.4g} tok/s")
        except WorkerFailed as failure:
            console.print(f"  transformers {' '.join(flags)}: failed, left out. {failure}", markup=False)
    if not speeds:
        raise WorkerFailed("transformers serve ran with none of its flags")
    return max(speeds)[1]


def compare(folder: Path, args: argparse.Namespace, missing: str | None) -> list[Row]:
    question = {"clients": args.clients, "tokens": args.tokens, "run": str(folder / "run")}
    systems: dict[str, Callable[[], dict[str, Any]]] = {
        "limpid serve": lambda: measure_limpid(folder, question),
        "the engine alone": lambda: fresh("bench.serve", question | {"system": "engine"}),
    }
    if missing is None:
        flags = best_flags(folder, question)
        systems[RIVAL] = lambda: measure_transformers(folder, question, flags)
    answers = in_turn(systems, args.rounds, "tokens_per_second")
    speeds = {name: [found["tokens_per_second"] for found in some] for name, some in answers.items()}
    name = f"{args.clients} streaming clients x {args.tokens} tokens"
    ours, engine = speeds["limpid serve"], f"limpid's engine, {args.clients} rows"
    if missing is None:
        rows = [paired(name, "tok/s", ours, speeds[RIVAL], RIVAL, at_least=SPEED_TARGET)]
    else:
        rows = [absent(name, "tok/s", statistics.median(ours), RIVAL, missing, f">= {SPEED_TARGET:g} x")]
    rows.append(paired(name, "tok/s", ours, speeds["the engine alone"], engine, at_least=ENGINE_TARGET))
    for key, label in (("first", "first token"), ("between", "between tokens")):
        for share in ("p50", "p95"):
            median = {
                system: statistics.median(found[f"{key}_{share}"] for found in some) * 1000
                for system, some in answers.items()
                if f"{key}_{share}" in some[0]
            }
            row = single(f"{label}, {share}", "ms", median["limpid serve"])
            rows.append(row._replace(rival=median[RIVAL], rival_name=RIVAL) if RIVAL in median else row)
    return rows


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"paired rounds (default {ROUNDS})")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--folder", type=Path, help="where the model is kept (default: made anew and deleted)")
    parser.add_argument("--no-rival", action="store_true", help="leave transformers out")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        question = json.loads(args.worker)
        answer(export(question) if question["system"] == "export" else measure_engine(question))
        return
    wanted = [name for name in ("transformers", "fastapi", "openai") if importlib.util.find_spec(name) is None]
    missing = "left out by --no-rival" if args.no_rival else None
    if wanted and missing is None:
        missing = f"{', '.join(wanted)} not installed; pip install limpid[bench]"
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        prepare(folder, rival=missing is None)
        rows = compare(folder, args, missing)
    show("Serving, Llama shape, 127M random weights, bfloat16", rows, as_json=args.json)


if __name__ == "__main__":
    main()
