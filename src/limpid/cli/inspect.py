"""``limpid inspect``: a model opened on a text, on the terminal or as JSON, PNG or one HTML file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limpid.cli import answering
from limpid.cli.generate import read_prompt
from limpid.core.errors import LimpidError

if TYPE_CHECKING:
    from limpid.inspection.compare import Comparison
    from limpid.inspection.trace import Trace


def inspect(
    run: Annotated[str, typer.Argument(help="A run (its folder, or its name under ./runs), a checkpoint, or a demo.")],
    text: Annotated[str, typer.Option(help="What the model reads; - reads it from standard input.")] = "",
    target: Annotated[
        str | None, typer.Option(help="Of a translator: the translation; its own where not given.")
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
    wanted: dict[str, Any] = {
        "at": at, "count": count, "kind": "cross_attn" if cross else "attn", "stack": stack,
        "token": _token(token), "against": _token(against), "ablate": ablate or [], "how": "mean" if mean else "zero",
        "attention": _heads(trace, layer, head, "cross_attn" if cross else "attn", stack), "sections": asked,
    }  # fmt: skip
    other = None if compare is None else trace.compare(_open(compare, said, target, device))
    if as_json is None and png is None and html is None:
        from limpid.cli.inspect_tables import show

        show(trace, wanted, other)
        return
    nothing = not (asked or wanted["attention"] or ablate or compare)
    full = wanted | {"sections": ["lens", "attribution", "scores"]} if nothing else wanted
    if as_json is not None:
        _write_json(as_json, trace, full, other)
    if html is not None:
        _write_html(html, run, trace, full, other)
    if png is not None:
        _write_png(png, trace, wanted)


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


def _heads(trace: Trace, layer: int | None, head: int | None, kind: str, stack: str | None) -> list[tuple[int, int]]:
    if layer is None:
        return []
    chosen = trace.stack(stack)
    trace.check(chosen, layer, head or 0, kind)
    return [(layer, number) for number in ([head] if head is not None else range(chosen.heads(kind)))]


def _write_json(path: Path, trace: Trace, wanted: dict[str, Any], other: Comparison | None) -> None:
    from limpid.core.paths import atomic_write_text
    from limpid.inspection import export

    found = trace.to_dict(**wanted)
    if other is not None:
        found["comparison"] = export.comparison(other)
    written = json.dumps(found, ensure_ascii=False, allow_nan=False)
    if str(path) == "-":
        print(written)
    else:
        atomic_write_text(path, written + "\n")
        _told(path)


def _write_html(path: Path, run: str, trace: Trace, wanted: dict[str, Any], other: Comparison | None) -> None:
    from limpid.core.paths import atomic_write_text
    from limpid.inspection import html, markup

    sections = [("Tokens", html.token_strip(trace)), ("What comes next", html.next_table(trace, wanted["at"]))]
    kind, stack = wanted["kind"], wanted["stack"]
    for layer, head in wanted["attention"]:
        sections.append(
            (f"Attention, layer {layer}, head {head}", html.head_view(trace, layer, head, kind=kind, stack=stack))
        )
    if not wanted["attention"]:
        sections += html.grids(trace)
    if "lens" in wanted["sections"]:
        sections.append(("Logit lens", html.lens_table(trace.lens())))
    if "attribution" in wanted["sections"]:
        found = trace.attribution(wanted["token"], wanted["against"], wanted["at"])
        sections.append(("What adds to the logit", html.attribution_view(found)))
    if "scores" in wanted["sections"]:
        sections.append(("Heads by what they look at", html.head_score_tables(trace.head_scores())))
    if wanted["ablate"]:
        effect = trace.ablate(*wanted["ablate"], how=wanted["how"], at=wanted["at"])
        sections.append(("Ablation", html.effect_view(effect)))
    if other is not None:
        sections.append(("Beside the other checkpoint", html.comparison_view(other)))
    about = f"{len(trace)} tokens, {trace.n_layer} layers of {trace.n_head} heads; every number is the model's own"
    atomic_write_text(path, markup.page(f"limpid inspect {run}", about, sections))
    _told(path)


def _write_png(path: Path, trace: Trace, wanted: dict[str, Any]) -> None:
    from limpid.inspection import pictures

    kind, stack, attention = wanted["kind"], wanted["stack"], wanted["attention"]
    asked = [*wanted["sections"], *(["a head"] if attention else [])]
    if len(asked) > 1 or wanted["ablate"]:
        raise LimpidError(
            "--png holds one picture: of every head, of a --layer's --head, --lens, --attribution or --scores."
        )
    match asked:
        case ["lens"]:
            figure = pictures.lens_picture(trace.lens())
        case ["attribution"]:
            figure = pictures.attribution_picture(trace.attribution(wanted["token"], wanted["against"], wanted["at"]))
        case ["scores"]:
            figure = pictures.scores_picture(trace.head_scores())
        case ["a head"]:
            figure = pictures.layer_picture(trace, attention, kind=kind, stack=stack)
        case _:
            figure = pictures.grid_picture(trace, kind=kind, stack=stack)
    pictures.save(figure, path)
    _told(path)


def _told(path: Path) -> None:
    print(f"wrote {path}", file=sys.stderr)
