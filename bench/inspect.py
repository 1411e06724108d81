"""What looking inside costs: traces, pictures and single heads; and that generating costs nothing more for it.

    python -m bench.inspect [--rounds 3] [--json]

Models of random weights: one of the demo's shape, and one of GPT-2's. Every time is the median of several in a fresh
process, weights in float32, all cores. "First picture" is what a page needs before it can draw: trace, next-token
table and every head as 64 x 64 bytes. "Head" is one head's whole matrix out of a trace that is there. Decoding is
measured in processes that never import inspection and in ones that have just taken a trace of 256 tokens, in turn.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.report import Row, answer, arguments, fresh, in_turn, paired, show, single

DEMO = {"vocab_size": 1024, "d_model": 256, "n_layer": 6, "n_head": 4, "n_kv_head": 2, "head_dim": 64, "d_ff": 704}
NEW = 192


def demo_model(context: int) -> Any:
    """A llama of the demo's shape, every matrix random."""
    import torch

    from limpid.models.llama import LlamaConfig
    from limpid.models.registry import build

    model = build(LlamaConfig.model_validate({**DEMO, "context": context}), seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.04, generator=generator)
    return model


def milliseconds(work: Callable[[], object], times: int) -> float:
    """Median of several, after one that is not counted."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def trace_worker(question: dict[str, Any]) -> dict[str, Any]:
    """Times of one model and length."""
    import torch

    from limpid.inspection.trace import trace
    from limpid.models.registry import build, preset_config

    length = question["length"]
    demo = question["model"] == "demo"
    model = demo_model(length) if demo else build(preset_config("gpt2"), seed=0).eval()
    ids = torch.randint(0, model.config.vocab_size, (length,), generator=torch.Generator().manual_seed(1)).tolist()
    times = 9 if demo else 3

    def first_picture() -> None:
        taken = trace(model, ids)
        taken.thumbnails()
        taken.next_tokens()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"trace": milliseconds(lambda: trace(model, ids), times)}
    found["picture"] = milliseconds(first_picture, times)
    taken, heads = trace(model, ids), iter(range(1000))
    places = [divmod(n, taken.n_head) for n in range(taken.n_layer * taken.n_head)]
    found["head"] = milliseconds(lambda: taken.pattern(*places[next(heads) * 7 % len(places)]), times)
    found["attribution"] = milliseconds(taken.attribution, times)
    found["thumbnail_bytes"] = taken.thumbnails().nbytes
    found["kept_bytes"] = taken.kept_bytes
    found["grown_bytes"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return found


def decode_worker(question: dict[str, Any]) -> dict[str, Any]:
    """Tokens a second of one answer, without inspection or after a trace."""
    import torch

    from limpid.inference.engine import Engine
    from limpid.inference.sampler import Sampling
    from limpid.inference.weights import inference_copy

    model = inference_copy(demo_model(256), torch.float32)
    engine = Engine(model)
    if question["traced"]:
        from limpid.inspection.trace import trace

        trace(model, list(range(256))).thumbnails()

    def run() -> None:
        for _ in engine.generate([list(range(32))], Sampling(temperature=0, max_tokens=NEW), stop_ids=set()):
            pass

    taken = milliseconds(run, 9)
    assert question["traced"] == ("limpid.inspection.trace" in sys.modules)
    return {"rate": NEW / taken * 1000}


def main() -> None:
    parser: argparse.ArgumentParser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker")
    args = parser.parse_args()
    if args.worker:
        question = json.loads(args.worker)
        answer(decode_worker(question) if "traced" in question else trace_worker(question))
        return
    rows: list[Row] = []
    for model, length in (("demo", 256), ("demo", 1024), ("gpt2", 1024)):
        found = fresh("bench.inspect", {"model": model, "length": length})
        name = f"{model}'s shape, {length:,} tokens"
        judged = {"picture": 300.0} if length == 256 else {"head": 300.0}
        words = {"trace": "trace", "picture": "first picture", "head": "one head", "attribution": "attribution"}
        rows += [single(f"{name}: {said}", "ms", found[key], at_most=judged.get(key)) for key, said in words.items()]
        rows.append(single(f"{name}: bytes of all thumbnails", "KiB", found["thumbnail_bytes"] / 1024, at_most=2048.0))
        rows.append(single(f"{name}: insides kept", "MB", found["kept_bytes"] / 1e6))
        rows.append(single(f"{name}: memory at the peak, above the model's", "MB", found["grown_bytes"] / 1e6))
    systems = {
        "after a trace": lambda: fresh("bench.inspect", {"traced": True}),
        "never imported": lambda: fresh("bench.inspect", {"traced": False}),
    }
    rates = {name: [one["rate"] for one in found] for name, found in in_turn(systems, args.rounds, "rate").items()}
    traced, bare = rates["after a trace"], rates["never imported"]
    rows.append(paired("decoding after a trace", "tokens/s", traced, bare, "inspection never imported", at_least=0.97))
    show("Looking inside", rows, as_json=args.json)


if __name__ == "__main__":
    main()
