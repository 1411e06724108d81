"""``limpid import``: a model in Hugging Face's form comes in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_(
    source: Annotated[str, typer.Argument(help="A folder with config.json and safetensors, or a hub id OWNER/NAME.")],
    out: Annotated[Path, typer.Argument(help="The run's new folder.")],
    revision: Annotated[str | None, typer.Option(help="A branch, tag or commit of a hub id.")] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Of a LoRA adapter of peft's: the model it is for; unless given, the one it names."),
    ] = None,
    ignore_field: Annotated[
        list[str] | None, typer.Option(help="A field of config.json that is known to change nothing here.")
    ] = None,
) -> None:
    """Bring a model in Hugging Face's form into a run.

    GPT-1 and GPT-2, Llama, Mistral and Qwen decoders, encoder-decoders of Marian's and BART's kind, and peft's LoRA
    adapters on any of the former. Weights are
    read from safetensors files only, never from pickles, and kept in float32.
    """
    from rich.console import Console

    from limpid.stages.import_model import import_model

    console = Console(highlight=False)
    with Console(stderr=True).status(f"reading {source}"):
        done = import_model(source, out, revision=revision, base=base, ignored_fields=tuple(ignore_field or ()))
    console.print(
        f"{done.architecture} came in as a {done.family} model: {done.parameters:,} parameters, "
        f"{done.vocab_size:,} tokens, context {done.context:,}."
    )
    if not done.own_template:
        console.print("It brought no chat template: conversations are written plainly (User: ... Assistant: ...).")
    console.print(f"The run is in {out}", soft_wrap=True)
