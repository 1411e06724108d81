"""``limpid export``: a run in the forms that other programs read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from limpid.cli.answering import Run, run_path
from limpid.core.errors import LimpidError


def export(
    run: Run,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    to: Annotated[
        str,
        typer.Option(
            help="hf: transformers, vLLM. peft: LoRA adapters. gguf: llama.cpp. two-files: weights and a program."
        ),
    ],
    dtype: Annotated[
        str, typer.Option(help="float32, bfloat16 or float16; for gguf: f32, f16, bf16 or q8_0.")
    ] = "float32",
    shard_size: Annotated[str, typer.Option(help="hf: the largest file, for example 500MB or 5GB.")] = "5GB",
    as_json: Annotated[bool, typer.Option("--json", help="Print the results of the comparison as JSON.")] = False,
) -> None:
    """Write a run for transformers and vLLM, its LoRA adapters for peft, for llama.cpp, or as two files.

    Every export is read back by other code than wrote it: its logits and its tokens are compared with this model's, and
    the exit code is 1 where they differ.
    """
    from rich.console import Console

    from limpid.stages.export_model import export_model

    console = Console(highlight=False, soft_wrap=True)
    results = []
    for result in export_model(run_path(run), out, to, dtype=dtype, shard_bytes=_bytes(shard_size)):
        results.append(result)
        if not as_json:
            console.print(f"parity {result}", style=None if result.passed else "bold red", markup=False)
    files = sorted(path.name for path in out.iterdir())
    if as_json:
        comparisons = [result._asdict() | {"passed": result.passed} for result in results]
        print(json.dumps({"files": files, "parity": comparisons}, ensure_ascii=False, indent=2))
    else:
        parts = [name for name in files if re.fullmatch(r".+-\d{5}-of-\d{5}\.safetensors", name)]
        shown = [name for name in files if name not in parts[1:-1]]
        said = ", ".join(f"{name} ... ({len(parts)} parts)" if parts[:1] == [name] else name for name in shown)
        console.print(f"The model is in {out}: {said}", markup=False, soft_wrap=True)
    if not all(result.passed for result in results):
        raise LimpidError(f"what was written to {out} is not the same model; do not use it.")


def _bytes(size: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(|K|M|G)B?", size.strip(), re.IGNORECASE)
    if not found or float(found[1]) <= 0:
        raise LimpidError(f"--shard-size {size} is no size; write for example 500MB or 5GB.")
    return int(float(found[1]) * 1000 ** ["", "K", "M", "G"].index(found[2].upper()))
