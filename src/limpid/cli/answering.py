"""What `generate` and `chat` share: the options of sampling, finding and loading a run, and text made safe to show."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limpid.inference.language_model import LanguageModel

RUN = typer.Argument(help="A run (its folder, or its name under ./runs), a checkpoint, or a demo.", show_default=False)
Run = Annotated[str, RUN]
MaxTokens = Annotated[int, typer.Option(help="Stop after this many tokens.")]
Temperature = Annotated[float, typer.Option(help="0: always the most probable token; higher: more surprising.")]
TopK = Annotated[int, typer.Option(help="Draw from the k most probable tokens only (0: from all).")]
TopP = Annotated[float, typer.Option(help="Draw from the fewest tokens whose probabilities reach p.")]
MinP = Annotated[float, typer.Option(help="Leave out tokens less than this fraction as probable as the best.")]
RepetitionPenalty = Annotated[float, typer.Option(help="Above 1: tokens that were there before become less likely.")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same text.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
DType = Annotated[str, typer.Option(help="auto, float32, bfloat16, or int8 (matrices of 8-bit numbers).")]
Draft = Annotated[
    str | None, typer.Option(help="Guess ahead, with the same answers: lookup, or a smaller run of the same tokenizer.")
]


def run_path(run: str) -> Path:
    """The folder that ``run`` names: a path, or else a run under the runs folder."""
    from limpid.core.paths import runs_dir

    path = Path(run)
    return runs_dir() / run if not path.exists() and (runs_dir() / run).exists() else path


def draft_path(draft: str | None) -> str | Path | None:
    """What ``--draft`` names, as `limpid.load` takes it."""
    return draft if draft in (None, "lookup") else run_path(draft)


def open_model(run: str, device: str, dtype: str, draft: str | None = None) -> LanguageModel:
    """Load a run, with a sign of life on the terminal meanwhile."""
    from rich.console import Console

    with Console(stderr=True).status(f"loading {run}"):
        import limpid

        return limpid.load(run_path(run), device=device, dtype=dtype, draft=draft_path(draft))


def only_pretrained(run: str) -> bool:
    """Whether the checkpoint that ``run`` stands for has learnt to continue text but not to answer."""
    import json

    from limpid.checkpoint import store

    state = json.loads((store.find(run_path(run)) / "state.json").read_text(encoding="utf-8"))
    return bool(state.get("stage") == "pretrain")


def harmless(text: str) -> str:
    """``text`` without the power to steer a terminal: control characters but newline and tab as pictures (␛)."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else _picture(c) for c in text)


def visible(text: str) -> str:
    """A token as it can be read in a table: newlines ⏎, tabs ⇥, and ␣ for spaces at its ends."""
    core = text.strip(" ")
    if not core:
        return "␣" * len(text)
    start, end = len(text) - len(text.lstrip(" ")), len(text) - len(text.rstrip(" "))
    return harmless("␣" * start + core.replace("\n", "⏎").replace("\t", "⇥") + "␣" * end)


def colour(probability: float) -> str:
    """From red (surprising) to green (expected)."""
    steps = (0.01, 0.05, 0.2, 0.5)
    return ("red", "dark_orange", "yellow", "green_yellow", "green")[sum(probability >= step for step in steps)]


def write(text: str) -> None:
    """Send text out at once, whatever the encoding of the output can express."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def _picture(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else f"<0x{code:02X}>"
