"""``limpid generate``: continue a text, and show what the model thought of at every token."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limpid.cli import answering
from limpid.cli.answering import colour, harmless, visible
from limpid.core.errors import LimpidError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from limpid.inference.language_model import Alternative, LanguageModel, TextEvent

BAR_CELLS = 32
TOKEN_CELLS = 20


def generate(
    run: answering.Run,
    prompt: Annotated[str, typer.Option(help="The text to continue; - reads it from standard input.")] = "",
    max_tokens: answering.MaxTokens = 200,
    temperature: answering.Temperature = 0.8,
    top_k: answering.TopK = 0,
    top_p: answering.TopP = 1.0,
    min_p: answering.MinP = 0.0,
    repetition_penalty: answering.RepetitionPenalty = 1.0,
    seed: answering.Seed = None,
    stop: Annotated[list[str] | None, typer.Option(help="End before this text; may be given several times.")] = None,
    show_probabilities: Annotated[
        bool, typer.Option("--show-probabilities", help="Show the candidates for each token with their probabilities.")
    ] = False,
    alternatives: Annotated[int, typer.Option(help="How many candidates to show for each token.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, tokens and candidates included.")] = (
        False
    ),
    device: answering.Device = "auto",
    dtype: answering.DType = "auto",
    draft: answering.Draft = None,
) -> None:
    """Continue a text.

    On a terminal the prompt is shown too, dim; a pipe or file receives the continuation alone, ended by a newline.
    A prompt read from standard input loses its last newline. Probabilities are the model's own: temperature 1, no
    filter.
    """
    text = read_prompt(prompt)
    lm = answering.open_model(run, device, dtype, draft)
    events = lm.stream(
        text, max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
        repetition_penalty=repetition_penalty, seed=seed, stop=tuple(stop or ()),
        alternatives=alternatives if as_json or show_probabilities else 0,
    )  # fmt: skip
    if as_json:
        print(json.dumps(_as_json(lm, text, events), ensure_ascii=False, indent=2))
    elif show_probabilities:
        _show(lm, text, events)
    else:
        _write(text, events)


def read_prompt(prompt: str) -> str:
    """The prompt, from standard input where it is "-"."""
    raw = sys.stdin.buffer.read() if prompt == "-" else prompt.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LimpidError(f"the prompt is not UTF-8 (at byte {error.start}); convert it first.") from None
    return text.removesuffix("\n").removesuffix("\r") if prompt == "-" else text


def _write(prompt: str, events: Iterator[TextEvent]) -> None:
    terminal = sys.stdout.isatty()
    if terminal:
        from rich.console import Console
        from rich.text import Text

        Console().print(Text(harmless(prompt), style="dim"), end="", soft_wrap=True)
    try:
        for event in events:
            answering.write(harmless(event.text) if terminal else event.text)
    finally:
        answering.write("\n")


def _as_json(lm: LanguageModel, prompt: str, events: Iterator[TextEvent]) -> dict[str, Any]:
    text, tokens, finish = "", [], None
    for event in events:
        text, finish = text + event.text, event.finish
        tokens.append(
            {
                "text": lm.tokenizer.token_text(event.token_id),
                "token_id": event.token_id,
                "logprob": event.logprob,
                "alternatives": [alternative._asdict() for alternative in event.alternatives],
            }
        )
    return {"prompt": prompt, "text": text, "tokens": tokens, "finish": finish}


def _show(lm: LanguageModel, prompt: str, events: Iterator[TextEvent]) -> None:
    """The candidates for the next token as bars, then every token with its own, then the text."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    written: list[tuple[str, float]] = []
    for event in events:
        if not written:
            console.print(Text.assemble((harmless(prompt), "bold"), " …\n"), soft_wrap=True)
            _bars(console, event.alternatives, lm.tokenizer.vocab_size)
            console.print("\nToken by token: its probability, and the candidates there\n", style="dim")
        probability = math.exp(event.logprob)
        token = lm.tokenizer.token_text(event.token_id)
        written.append((event.text, probability))
        line = Text.assemble("  ", _cell(token, probability), f"{probability:7.1%}   ")
        for candidate in event.alternatives:
            line.append_text(
                Text(visible(candidate.text), style="bold" if candidate.token_id == event.token_id else "")
            )
            line.append(f" {candidate.probability:.1%}  ", style="dim")
        line.rstrip()
        if console.is_terminal:
            console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            console.print(line, soft_wrap=True)
    text = Text(harmless(prompt), style="dim")
    for piece, probability in written:
        text.append(harmless(piece), style=colour(probability))
    console.print()
    console.print(text, soft_wrap=True)


def _bars(console: Console, candidates: list[Alternative], vocab_size: int) -> None:
    from rich.text import Text

    largest = max((c.probability for c in candidates), default=1.0)
    for candidate in candidates:
        bar = "█" * max(1, round(BAR_CELLS * candidate.probability / largest))
        console.print(
            Text.assemble(
                "  ", _cell(candidate.text, candidate.probability),
                (bar.ljust(BAR_CELLS), colour(candidate.probability)), f"{candidate.probability:7.1%}",
            )
        )  # fmt: skip
    rest = 1 - sum(candidate.probability for candidate in candidates)
    others = f"{vocab_size - len(candidates):,} others"
    console.print(Text(f"  {others.ljust(TOKEN_CELLS + BAR_CELLS)}{max(0.0, rest):7.1%}", style="dim"))


def _cell(token: str, probability: float) -> Text:
    """A token in a column of its own; Chinese characters are two cells wide."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    shown = visible(token)
    if cell_len(shown) >= TOKEN_CELLS:
        shown = set_cell_size(shown, TOKEN_CELLS - 2) + "…"
    return Text(set_cell_size(shown, TOKEN_CELLS), style=colour(probability))
