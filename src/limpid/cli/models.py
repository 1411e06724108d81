"""``limpid models``: families and presets, how large they are and what memory they need. No weight is allocated."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from limpid.core.errors import LimpidError, did_you_mean


def models(
    names: Annotated[list[str] | None, typer.Argument(help="Presets or families; all unless given.")] = None,
    context: Annotated[
        int | None, typer.Option(min=1, help="Tokens in the cache; a preset's own unless given.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Texts in the cache at once.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: parameters, and bytes of memory.")] = False,
) -> None:
    """List model families and presets: parameters, and the memory they need."""
    from limpid.models.registry import FAMILIES, PRESETS

    known = {*FAMILIES, *PRESETS}
    for name in names or ():
        if name not in known:
            raise LimpidError(f"no preset and no family is called '{name}'.{did_you_mean(name, known)}")
    chosen = [p for p, family in PRESETS.items() if not names or p in names or family in names]
    found = [plan(preset, context, rows) for preset in chosen]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(found, context, rows)


def plan(preset: str, context: int | None, rows: int) -> dict[str, Any]:
    """A preset in plain values; bytes are those of limpid's own training and inference."""
    import torch

    from limpid.inference.cache import cache_bytes
    from limpid.models.count import matmul_parameters, parameters, weight_bytes
    from limpid.models.decoder import Decoder
    from limpid.models.registry import FAMILIES, PRESETS, assemble, preset_config
    from limpid.training.optim import training_bytes

    config = preset_config(preset)
    model = assemble(config)
    family = FAMILIES[PRESETS[preset]]
    slots = context or config.context
    return {
        "preset": preset,
        "family": PRESETS[preset],
        "kind": family.kind.noun.partition(" ")[2],
        "config": config.model_dump(mode="json"),
        "parameters": parameters(model),
        "parameters_multiplied_per_token": matmul_parameters(model),
        "weights_bfloat16_bytes": weight_bytes(model, torch.bfloat16),
        "weights_float32_bytes": weight_bytes(model, torch.float32),
        "training_adamw_bytes": training_bytes(model, "adamw"),
        "training_muon_bytes": training_bytes(model, "muon"),
        "cache_tokens": rows * slots,
        "cache_bfloat16_bytes": cache_bytes(config, rows, slots, torch.bfloat16)
        if issubclass(family.kind, Decoder)
        else None,
    }


def _print(found: Iterable[dict[str, Any]], context: int | None, rows: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    shapes = console.width >= 100
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("preset", *(("layers", "width") if shapes else ()), "parameters", "a token", "bf16", "fp32"):
        table.add_column(name, justify="left" if name == "preset" else "right", no_wrap=True)
    for name in ("training", "cache"):
        table.add_column(name, justify="right", no_wrap=True)
    family = ""
    for model in found:
        if model["family"] != family:
            family = model["family"]
            table.add_row(f"[bold cyan]{family}[/]")
        config = model["config"]
        table.add_row(
            model["preset"],
            *((str(config.get("n_layer", "-")), f"{config.get('d_model', 0):,}") if shapes else ()),
            f"{model['parameters']:,}",
            _short(model["parameters_multiplied_per_token"]),
            *(_gigabytes(model[key]) for key in ("weights_bfloat16_bytes", "weights_float32_bytes")),
            _gigabytes(model["training_muon_bytes"]),
            _gigabytes(model["cache_bfloat16_bytes"]),
        )
    console.print(table)
    where = "its context" if context is None else f"{context:,} tokens"
    console.print(
        "\na token: parameters that multiply it. Memory in GB (10^9 bytes): weights in two dtypes; training: float32\n"
        f"weights, gradients and optimizer, without activations; cache: {rows} x {where}, bfloat16.",
        style="dim",
        highlight=False,
    )


def _short(count: int) -> str:
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M"


def _gigabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e9:,.2f}" if count < 1e11 else f"{count / 1e9:,.0f}"
