"""What is shown: tokens, HTML, pictures, JSON and raw buffers."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.models.encoder_decoders import MARIAN, random_transformer
from tests.models.variants import random_decoder

from limpid.core.errors import LimpidError
from limpid.inspection import export, markup, pictures
from limpid.inspection.surgery import patch_each
from limpid.inspection.tokens import MASK, label, shown_tokens, token_label
from limpid.inspection.trace import Trace, trace
from limpid.text.tokenizer import Tokenizer

IDS = [3, 5, 9, 2, 7, 11, 3, 5, 40, 41, 2, 7]
HOSTILE = "</style><script>alert(1)</script>\"'& 霜 🙂 \u200b\u202e\x07 שלום"


# Tokens --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b" the", "␣the"), (b"  ", "␣␣"), (b"a\n\tb", "a⏎⇥b"), (b"\x1b[0m", "␛[0m"), (b"", ""), (b"a b", "a b"),
        ("霜".encode(), "霜"), ("霜".encode()[:2], "<0xE9><0x9C>"), ("霜".encode() + b"\xe4", "霜<0xE4>"),
        ("\u200b".encode(), "<U+200B>"), ("\u202e".encode(), "<U+202E>"), (b"\x7f", "␡"), ("\x85".encode(), "<U+0085>"),
        ("\u00a0".encode(), "<U+00A0>"), ("ש".encode(), "ש"), ("🙂".encode(), "🙂"),
    ],
)  # fmt: skip
def test_labels(raw: bytes, shown: str) -> None:
    assert label(raw) == shown


def test_parts_of_a_character_stand_with_the_character(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a霜🙂")
    shown = shown_tokens(ids, tokenizer)
    assert b"".join(token.raw for token in shown).decode() == "a霜🙂"
    assert (shown[0].label, shown[0].character) == ("a", "")
    for character in "霜🙂":
        mine = [token for token in shown if token.character == character]
        assert len(mine) > 1
        assert [token.completes for token in mine] == [False] * (len(mine) - 1) + [True]
        assert b"".join(token.raw for token in mine).decode() == character
        assert all(re.fullmatch(r"(<0x[0-9A-F]{2}>)+", token.label) for token in mine)
        assert mine[-1].text == f"{mine[-1].label} {character}"


@given(st.text(max_size=30))
@settings(max_examples=150, deadline=None)
def test_tokens_of_any_text(tokenizer: Tokenizer, text: str) -> None:
    shown = shown_tokens(tokenizer.encode(text), tokenizer)
    assert b"".join(token.raw for token in shown).decode() == tokenizer.normalised(text)
    for token in shown:
        assert token.label.isprintable() or "�" in token.label
        assert not re.search("[\u200b-\u200f\u202a-\u202e\x00-\x1f]", token.text)


def test_tokens_without_a_vocabulary_and_control_tokens(tokenizer: Tokenizer) -> None:
    assert [token.label for token in shown_tokens([5, 7], None)] == ["#5", "#7"]
    assert token_label(10_000, tokenizer) == MASK  # a row behind the vocabulary
    assert [token.label for token in shown_tokens([7, 10_000], tokenizer)] == [token_label(7, tokenizer), MASK]
    (end,) = shown_tokens([tokenizer.end_of_text], tokenizer)
    assert end.raw == b""
    assert end.label == tokenizer.token_text(tokenizer.end_of_text)


# HTML ----------------------------------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """Every tag and attribute, with the balance of what is opened and closed."""

    void = ("meta", "link", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def harmless(text: str) -> _Page:
    page = _Page(text)
    assert "script" not in page.tags
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert (value or "").startswith("data:")
    assert not re.search(r"url\(|@import", text)
    assert not re.search(r"https?://", text)
    return page


def hostile_trace(tokenizer: Tokenizer) -> Trace:
    """A model that reads all of it: a byte takes a token at most."""
    model = random_decoder("qwen3", vocab_size=tokenizer.vocab_size, context=256)
    return trace(model, HOSTILE, tokenizer)


def every_view(mine: Trace) -> dict[str, Any]:
    other = trace(mine.subject.original, [*mine.ids[:-1], 4], mine.tokenizer)
    return {
        "trace": mine, "next": mine.next_tokens(), "lens": mine.lens(), "attribution": mine.attribution(4, 5),
        "scores": mine.head_scores(), "effect": mine.ablate("head:1.2"), "comparison": mine.compare(mine),
        "sweep": patch_each(mine, other, 4, 5, kind="head"),
    }  # fmt: skip


def test_every_notebook_view_is_of_one_piece_and_escaped(tokenizer: Tokenizer) -> None:
    mine = hostile_trace(tokenizer)
    for name, view in every_view(mine).items():
        html = view._repr_html_()
        harmless(html)
        assert html.startswith('<div class="limpid">'), name
    assert "<bdi>" in mine._repr_html_()
    assert "霜" in mine._repr_html_()


def test_views_of_an_encoder_decoder() -> None:
    mine = trace(random_transformer(**MARIAN), IDS, target=[4, 5, 6])
    html = mine._repr_html_()
    harmless(html)
    assert html.count("<img") == 2 * 4 + 3 * 4 + 3 * 4
    assert "Cross-attention of the decoder" in html


def test_a_cells_tint_is_its_number(tokenizer: Tokenizer) -> None:
    mine = hostile_trace(tokenizer)
    html = mine._repr_html_()
    chances = [token.probability for token in mine.read()]
    tinted = re.findall(r"probability ([\d.]+), rank (\d+)[^>]*--plus\) / ([\d.]+)", html)
    assert len(tinted) == len(mine) - 1
    for (said, _, tint), chance in zip(tinted, chances[1:], strict=True):
        assert float(said) == pytest.approx(chance, abs=6e-5)
        assert float(tint) == pytest.approx(0.75 * float(chance or 0), abs=6e-4)


def test_a_pixel_is_its_value() -> None:
    values = np.array([[0, 0.5, 1], [-0.5, -1, np.nan]])
    pixels = np.asarray(Image.open(BytesIO(markup.png(values))).convert("RGBA"))
    assert pixels.shape == (2, 3, 4)
    assert np.abs(pixels[..., 3] / 255 - np.abs(np.nan_to_num(values))).max() <= 0.5 / 127 + 0.5 / 255
    assert tuple(pixels[0, 2, :3]) == markup.PLUS
    assert tuple(pixels[1, 1, :3]) == markup.MINUS
    weights = trace(random_decoder("qwen3"), IDS).pattern(1, 2)
    drawn = np.asarray(Image.open(BytesIO(markup.png(weights))).convert("RGBA"))[..., 3] / 255
    assert np.abs(drawn - weights).max() <= 0.5 / 127 + 0.5 / 255


def test_a_long_text_has_one_image_and_no_labels() -> None:
    model = random_decoder("qwen3", context=200)
    from limpid.inspection.html import head_view, lens_table

    mine = trace(model, (IDS * 20)[:200])
    assert len(head_view(mine, 0, 0)) < 60_000
    assert "<text" not in head_view(mine, 0, 0)
    assert "the last 64 of 200 places" in lens_table(mine.lens())


# Pictures ------------------------------------------------------------------------------------------------------------


def test_pictures(tokenizer: Tokenizer, tmp_path: Path) -> None:
    mine = hostile_trace(tokenizer)
    figures = {
        "head": pictures.head_picture(mine, 1, 2), "grid": pictures.grid_picture(mine),
        "layer": pictures.layer_picture(mine, [(0, 0), (0, 1)]), "lens": pictures.lens_picture(mine.lens()),
        "attribution": pictures.attribution_picture(mine.attribution()),
        "scores": pictures.scores_picture(mine.head_scores()),
    }  # fmt: skip
    for name, figure in figures.items():
        pictures.save(figure, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert min(image.size) > 100
    (axes, _) = figures["head"].axes
    assert np.array_equal(np.asarray(axes.images[0].get_array()), mine.pattern(1, 2))
    assert len(figures["grid"].axes) == 12
    bars = [bar.get_width() for bar in figures["attribution"].axes[0].patches]
    assert np.allclose(bars[::-1], [share for _, share in mine.attribution().ranked()[:20]])


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(LimpidError, match=r"pip install 'limpid\[pictures\]'"):
        pictures.grid_picture(trace(random_decoder("qwen3"), IDS))


# JSON and buffers ----------------------------------------------------------------------------------------------------


def test_json_holds_the_librarys_numbers(tokenizer: Tokenizer) -> None:
    mine = hostile_trace(tokenizer)
    told = json.loads(
        json.dumps(
            mine.to_dict(
                at=-2, count=4, sections=("lens", "attribution", "scores"), layer=1, head=2, ablate=["mlp:0"],
                token=4, against=5,
            ),
            allow_nan=False,
        )
    )  # fmt: skip
    assert [token["id"] for token in told["tokens"]] == mine.ids
    assert b"".join(bytes(token["bytes"]) for token in told["tokens"]).decode() == HOSTILE
    assert {name: tuple(shape) for name, shape in told["names"].items()} == mine.names()
    assert np.allclose(told["attention"][0]["weights"], mine.pattern(1, 2))
    found = mine.next_tokens(4, -2)
    assert [c["probability"] for c in told["next"]["candidates"]] == [c.probability for c in found.candidates]
    assert told["attribution"]["logit"] == mine.attribution(4, 5, -2).logit
    assert told["lens"]["depths"][3][0][0]["token_id"] == mine.lens(4).ids[3, 0, 0]
    assert np.allclose(told["head_scores"]["first"], mine.head_scores().first)
    assert told["ablation"]["divergence"] == mine.ablate("mlp:0", at=-2).divergence


def test_buffers() -> None:
    mine = trace(random_decoder("qwen3"), IDS)
    weights, scores = mine.pattern(1, 2), mine.pattern(1, 2, stage="masked")
    half = np.frombuffer(export.half_buffer(weights), "<f2").reshape(weights.shape)
    assert np.abs(half - weights).max() <= 2.5e-4
    raw, low, high = export.byte_buffer(scores)
    seen = np.isfinite(scores)
    back = low + np.frombuffer(raw, np.uint8).reshape(scores.shape) / 255 * (high - low)
    assert np.abs(back[seen] - scores[seen]).max() <= (high - low) / 510 + 1e-6
    assert (back[~seen] == low).all()
    packed = export.triangle(weights)
    assert len(packed) == 12 * 13 // 2
    assert all(packed[t * (t + 1) // 2 + s] == weights[t, s] for t in range(12) for s in range(t + 1))
    flat, low, high = export.byte_buffer(np.full((2, 2), 3.0))
    assert (flat, low, high) == (b"\0" * 4, 3.0, 3.0)


def test_torch_is_all_that_a_trace_needs() -> None:
    """Views need matplotlib only where a picture is asked for."""
    import subprocess
    import sys

    code = "import sys, limpid.inspection.trace, limpid.inspection.html; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert torch.is_grad_enabled()
