"""``limpid inspect``: a model opened on a text, on the terminal or as JSON, PNG or one HTML file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limpid.cli import answering
from limpid.cli.generate import read_prompt
from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_write_text

if TYPE_CHECKING:
    from limpid.inspection.findings import Findings
    from limpid.inspection.trace import Trace


def inspect(
    run: Annotated[str, typer.Argument(help="A run (its folder, or its name under ./runs), a checkpoint, or a demo.")],
    text: Annotated[str, typer.Option(help="What the model reads; - reads it from standard input.")] = "",
    target: Annotated[
        str | None,
        typer.Option(help="A translator's translation (else its own); the second text of a classifier of pairs."),
    ] = None,
    at: Annotated[int, typer.Option(help="The place whose next token is looked at; -1: the last.")] = -1,
    count: Annotated[int, typer.Option(min=1, help="How many candidates to show.")] = 10,
    layer: Annotated[int | None, typer.Option(help="Attention of this layer.")] = None,
    head: Annotated[int | None, typer.Option(help="Of this head of the layer; all of them where not given.")] = None,
    cross: Annotated[bool, typer.Option("--cross", help="Attention over the source instead, in a translator.")] = False,
    stack: Annotated[str | None, typer.Option(help="encoder or decoder, in a translator.")] = None,
    lens: Annotated[bool, typer.Option("--lens", help="The logit lens.")] = False,
    attribution: Annotated[bool, typer.Option("--attribution", help="What each part adds to a logit.")] = False,
    token: Annotated[
        str | None, typer.Option(help="Whose logit: a token's text, or its id after #; else the best.")
    ] = None,
    against: Annotated[str | None, typer.Option(help="Minus the logit of this one.")] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Previous-token, first-token and induction heads.")] = False,
    ablate: Annotated[
        list[str] | None, typer.Option(help="Take out head:L.H, neuron:L.N, attn:L, mlp:L or layer:L; again for more.")
    ] = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="Ablated parts give their mean over the text, not zero.")
    ] = False,
    compare: Annotated[str | None, typer.Option(help="Another run of the same tokenizer, on the same text.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write JSON here (-: standard output).")] = None,
    png: Annotated[
        Path | None, typer.Option(help="Write one picture here: the head, the lens, ... that is asked for.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write one HTML file here, which needs nothing else.")] = None,
    device: answering.Device = "auto",
) -> None:
    """Open a model on a text.

    Shows the tokens with the probability each had, the candidates for the next, and what is asked for; where nothing
    is, --json and --html hold the lens, the attribution and the scores of heads as well. All numbers are the model's
    own, in float32.
    """
    if head is not None and layer is None:
        raise LimpidError("--head is a head of a layer: give --layer too.")
    said = read_prompt(text)
    trace = _open(run, said, target, device)
    asked = [name for name, wanted in (("lens", lens), ("attribution", attribution), ("scores", scores)) if wanted]
    nothing = not (asked or layer is not None or ablate or compare)
    findings = trace.find(
        at=at, count=count, layer=layer, head=head, kind="cross_attn" if cross else "attn", stack=stack,
        sections=_all(trace) if nothing and (as_json or html) else asked, token=_token(token), against=_token(against),
        ablate=ablate or [], how="mean" if mean else "zero",
        other=None if compare is None else _open(compare, said, target, device),
    )  # fmt: skip
    if as_json is not None:
        _write_json(as_json, findings)
    if html is not None:
        from limpid.inspection.html import whole_page

        atomic_write_text(html, whole_page(f"limpid inspect {run}", findings))
        _told(html)
    if png is not None:
        from limpid.inspection import pictures

        some = findings._replace(lens=None, attribution=None, scores=None) if nothing else findings
        pictures.save(pictures.picture(some), png)
        _told(png)
    if as_json is None and png is None and html is None:
        from limpid.cli.inspect_tables import show

        show(findings)


def _open(run: str, text: str, target: str | None, device: str) -> Trace:
    from rich.console import Console

    with Console(stderr=True).status(f"loading {run}"):
        from limpid.inference.translator import Translator
        from limpid.inspection.trace import trace
        from limpid.models.encoder_decoder import EncoderDecoder
        from limpid.stages.load import load_subject

        model, tokenizer = load_subject(answering.run_path(run), device=device)
        if isinstance(model, EncoderDecoder) and text:
            return Translator(model, tokenizer).trace(text, target)
        return trace(model, text, tokenizer, target=target)


def _token(given: str | None) -> int | str | None:
    """A token by its text, or by its id where it is written #123."""
    return int(given[1:]) if given and given[0] == "#" and given[1:].isdecimal() else given


def _all(trace: Trace) -> list[str]:
    """Every section that the model has an answer for: an encoder's logits are not shared out."""
    from limpid.inspection.findings import SECTIONS

    shared = trace.subject.head is not None and not trace.subject.pools
    return [name for name in SECTIONS if shared or name != "attribution"]


def _write_json(path: Path, findings: Findings) -> None:
    from limpid.inspection.export import as_dict

    written = json.dumps(as_dict(findings), ensure_ascii=False, allow_nan=False)
    if str(path) == "-":
        print(written)
    else:
        atomic_write_text(path, written + "\n")
        _told(path)


def _told(path: Path) -> None:
    print(f"wrote {path}", file=sys.stderr)
