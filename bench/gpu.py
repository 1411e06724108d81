"""Generating on an NVIDIA GPU, with CUDA graphs and without, and beside what the GPU's memory allows.

    python -m bench.gpu [--rounds 5] [--json]

The model of bench.decode (110 million random weights of Llama's shape, bfloat16), prompts of 32 tokens, 128 new ones,
greedy, one row and 32. Every measurement is a fresh process; both kinds run in turn. Bandwidth is that of summing up a
gigabyte in the same process. Where there is no GPU, it says so and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from bench.decode import LARGE, NEW, PROMPT, ROWS, VOCABULARIES, ids_of, steady
from bench.report import ROUNDS, Row, answer, arguments, console, fresh, in_turn, paired, show, single


def measure(question: dict[str, Any]) -> dict[str, Any]:
    """limpid's engine on the GPU."""
    import torch

    from limpid.inference.engine import Engine
    from limpid.inference.sampler import Sampling
    from limpid.inference.weights import inference_copy
    from limpid.models.count import matmul_parameters
    from limpid.models.llama import LlamaConfig
    from limpid.models.registry import build

    config = LlamaConfig(vocab_size=VOCABULARIES["large"], tie_embeddings=True, **LARGE)
    model = build(config, seed=0).to("cuda")
    generator = torch.Generator("cuda").manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.02, generator=generator)
    engine = Engine(inference_copy(model, torch.bfloat16))

    def generate() -> int:
        engine.rows.forget()
        prompts = [ids_of(PROMPT, row) for row in range(question["rows"])]
        sampling = Sampling(temperature=0, max_tokens=NEW)
        return sum(len(events) for events in engine.generate(prompts, sampling, stop_ids=()))

    speed = steady(generate)
    numbers, taken = torch.zeros(2**28, device="cuda"), []
    for _ in range(5):
        torch.cuda.synchronize()
        began = time.perf_counter()
        numbers.sum().item()
        taken.append(time.perf_counter() - began)
    return {
        "tokens_per_second": speed,
        "of_bandwidth": speed / question["rows"] * matmul_parameters(model) * 2 * min(taken) / (numbers.numel() * 4),
        "forward": engine.forward.name,
        "gpu": torch.cuda.get_device_name(),
    }


def compare(rows: int, rounds: int) -> list[Row]:
    """With graphs and without, for so many rows together."""
    name = "greedy, one row, bf16" if rows == 1 else f"{rows} rows, bf16, together"
    console.print(name)
    systems = {
        label: lambda switch=switch: fresh("bench.gpu", {"rows": rows}, {"LIMPID_CUDA_GRAPHS": switch})
        for label, switch in (("CUDA graphs", "1"), ("without", "0"))
    }
    found = in_turn(systems, rounds, "tokens_per_second")
    console.print(f"  {found['CUDA graphs'][0]['gpu']}: {found['CUDA graphs'][0]['forward']}", markup=False)
    graphs, eager = ([one["tokens_per_second"] for one in found[label]] for label in systems)
    share = statistics.median(one["of_bandwidth"] for one in found["CUDA graphs"])
    return [
        paired(name, "tok/s", graphs, eager, "without CUDA graphs", at_least=None),
        single(f"{name}: share of (memory bandwidth / bytes of weights)", "", share),
    ]


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"paired rounds (default {ROUNDS})")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return answer(measure(args.worker))
    import torch

    rows: list[Row] = []
    if torch.cuda.is_available():
        rows = compare(1, args.rounds) + compare(ROWS, args.rounds)
    else:
        console.print("bench.gpu: no NVIDIA GPU is here; nothing is measured.")
    if rows or args.json:
        show("Generating on a GPU: 110M parameters, 32 + 128 tokens", rows, as_json=args.json)
    return None


if __name__ == "__main__":
    main()
