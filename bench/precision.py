"""What fewer bits cost: bits per byte of a run's held-out text with weights of 32, 16 and 8 bits.

    python -m bench.precision RUN/pretrain [--json]

The same text and windows for all; 8-bit weights are rounded as the C kernels round them (one scale an output), and
multiplied in float32. What they bring in speed, bench.decode measures.
"""

from __future__ import annotations

from pathlib import Path

import torch

from bench.report import Row, arguments, show
from limpid.checkpoint import store
from limpid.data.token_store import open_store
from limpid.evaluation.bits_per_byte import score_text
from limpid.inference.native.packing import quantised
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.parallel.hardware import keep_memory
from limpid.stages.corpus import SPLITS, test_split


def rounded(model: Decoder) -> Decoder:
    """A float32 copy whose matrices are what their 8-bit forms stand for; embeddings stay."""
    copy = inference_copy(model, torch.float32)
    table = copy.embedding.weight
    for parameter in copy.parameters():
        if parameter.dim() > 1 and parameter is not table:
            whole, scale = quantised(parameter)
            parameter.data = whole.float() * scale[:, None]
    return copy


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    args = parser.parse_args()
    keep_memory()
    checkpoint = store.read(args.run)
    folder = checkpoint.path.parent.parent / "tokens"
    name, text = test_split({s: open_store(folder / f"{s}.bin", checkpoint.tokenizer) for s in SPLITS})
    exact = inference_copy(checkpoint.model, torch.float32)
    scores = {
        "float32": score_text(exact, text, dtype=torch.float32),
        "bfloat16": score_text(inference_copy(checkpoint.model, torch.bfloat16), text, dtype=torch.bfloat16),
        "int8 weights": score_text(rounded(checkpoint.model), text, dtype=torch.float32),
    }
    base = scores["float32"].bits_per_byte.value
    rows = [
        Row(f"{name}, {label}", "bits/byte", s.bits_per_byte.value, base, "float32", s.bits_per_byte.value / base)
        for label, s in scores.items()
    ]
    show(f"Precision: {args.run}", rows, as_json=args.json)


if __name__ == "__main__":
    main()
