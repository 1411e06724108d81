"""``limpid translate``: lines in, their translations out, one line each, in the same order."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limpid.cli import answering
from limpid.core.errors import LimpidError

if TYPE_CHECKING:
    from limpid.inference.translator import Translated, Translator

LINES_AT_ONCE = 32
"""Lines of a file or a pipe that are translated together; a line typed in a terminal is answered at once."""


def translate(
    run: Annotated[str, typer.Argument(help="A run of limpid seq2seq (its folder, or its name under ./runs).")],
    lines: Annotated[list[str] | None, typer.Argument(help="The lines; without any, standard input is read.")] = None,
    file: Annotated[Path | None, typer.Option(help="Translate the lines of this file (UTF-8).")] = None,
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses kept at every step; 1 is greedy search.")] = 5,
    length_penalty: Annotated[
        float, typer.Option(min=0, help="Above 0 favours longer translations: score = log p / length^penalty.")
    ] = 1.0,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The most tokens of a translation; three times the source's and 16.")
    ] = None,
    show_probabilities: Annotated[
        bool, typer.Option("--show-probabilities", help="Show each token with the probability the model gave it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    device: answering.Device = "auto",
    dtype: answering.DType = "auto",
) -> None:
    """Translate lines with a trained translator: given here, from a file, or from standard input."""
    if lines and file:
        raise LimpidError("lines and --file are both given; give one of them.")
    translator = _open(run, device, dtype)
    wanted = iter(lines) if lines else _from_file(file) if file else _from_stdin()
    at_once = 1 if lines or (not file and sys.stdin.isatty()) else LINES_AT_ONCE
    answers = translator.stream(
        wanted, beam=beam, length_penalty=length_penalty, max_tokens=max_tokens, lines_at_once=at_once
    )
    for answer in answers:
        if as_json:
            print(json.dumps(_as_json(translator, answer), ensure_ascii=False), flush=True)
            continue
        text = " ".join(answer.text.split("\n"))  # one line of input, one line of output
        answering.write((answering.harmless(text) if sys.stdout.isatty() else text) + "\n")
        if show_probabilities:
            for token, logprob in answer.tokens:
                answering.write(
                    f"  {math.exp(logprob):7.1%}  {answering.visible(translator.tokenizer.token_text(token))}\n"
                )


def _open(run: str, device: str, dtype: str) -> Translator:
    from rich.console import Console

    with Console(stderr=True).status(f"loading {run}"):
        from limpid.stages.seq2seq import load_translator

        return load_translator(answering.run_path(run), device=device, dtype=dtype)


def _from_file(file: Path) -> Iterator[str]:
    from limpid.data.decode import lines

    return (line.removesuffix("\n") for line in lines(file))


def _from_stdin() -> Iterator[str]:
    return _decoded(sys.stdin.buffer)


def _decoded(stream: Iterable[bytes]) -> Iterator[str]:
    for number, raw in enumerate(stream, start=1):
        try:
            yield raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise LimpidError(
                f"line {number} of standard input is not UTF-8 (at byte {error.start} of the line); convert it first."
            ) from None


def _as_json(translator: Translator, answer: Translated) -> dict[str, object]:
    tokens = [
        {"text": translator.tokenizer.token_text(token), "token_id": token, "logprob": logprob}
        for token, logprob in answer.tokens
    ]
    return {"source": answer.source, "text": answer.text, "score": answer.score, "tokens": tokens}
