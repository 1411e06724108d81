"""The embeddings page in a browser: what it shows against the checkpoint's own numbers, by mouse and by keyboard."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect
from safetensors.numpy import load_file
from tests.server.conftest import Served, served
from tests.web.conftest import Visit

from limpid.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def weights(talker_run: Path) -> dict[str, Any]:
    (file,) = talker_run.glob("checkpoints/*/model*.safetensors")
    return dict(load_file(file))


@pytest.fixture
def page(visit: Callable[..., Visit]) -> Any:
    return visit().open("#/embeddings?n=250")


def sight(page: Any) -> dict[str, float]:
    return json.loads(page.locator(".emb-canvas canvas").get_attribute("data-sight"))  # type: ignore[no-any-return]


def points(page: Any) -> list[dict[str, str]]:
    with page.expect_download() as caught:
        page.locator(".emb-out").get_by_role("button", name="CSV").click()
    return list(csv.DictReader(io.StringIO(Path(caught.value.path()).read_text(encoding="utf-8-sig"))))


def test_the_points_are_the_principal_components(page: Any, weights: dict[str, Any]) -> None:
    from sklearn.decomposition import PCA

    table = points(page)
    shown = np.array([[float(row["x"]), float(row["y"])] for row in table])
    rows = weights["embedding.weight"][[int(row["id"]) for row in table]].astype(np.float64)
    wanted = PCA(2).fit_transform(rows)
    wanted *= np.sign((wanted * shown).sum(0))
    assert len(table) == 250
    assert np.allclose(shown, wanted, atol=1e-5)


def test_a_click_chooses_the_point_and_marks_its_neighbours(page: Any, weights: dict[str, Any]) -> None:
    row = points(page)[0]
    canvas, at = page.locator(".emb-canvas canvas"), sight(page)
    box = canvas.bounding_box()
    x = box["width"] / 2 + (float(row["x"]) - at["x"]) * at["scale"]
    y = box["height"] / 2 - (float(row["y"]) - at["y"]) * at["scale"]
    canvas.hover(position={"x": x, "y": y})
    expect(page.locator(".emb-tip")).to_be_visible()
    canvas.click(position={"x": x, "y": y})
    page.wait_for_selector(".emb-near td[data-cosine]")
    chosen = int(page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('t')"))
    table = weights["embedding.weight"].astype(np.float64)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    found = page.locator(".emb-near tr:has(td[data-cosine])").evaluate_all(
        "all => all.map(x => [Number(x.querySelector('[data-id]').dataset.id), "
        "Number(x.querySelector('[data-cosine]').dataset.cosine)])"
    )
    assert len(found) == 20
    for i, cosine in found:
        assert cosine == pytest.approx(unit[i] @ unit[chosen], abs=1e-5)
    assert [i for i, _ in found] == [int(i) for i in np.argsort(-(unit @ unit[chosen])) if i != chosen][:20]


def test_dragging_and_zooming_move_the_map_and_the_address_keeps_it(page: Any) -> None:
    canvas, before = page.locator(".emb-canvas canvas"), sight(page)
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y + 50, steps=4)
    page.mouse.up()
    page.mouse.wheel(0, -300)
    page.wait_for_function("() => location.hash.includes('at=')")
    after = sight(page)
    assert after["scale"] > 1.3 * before["scale"]
    assert after["x"] < before["x"]
    assert after["y"] > before["y"]
    page.reload()
    page.wait_for_selector(".emb-canvas canvas[data-sight]")
    again = sight(page)
    assert again["x"] == pytest.approx(after["x"], rel=1e-3, abs=1e-3)
    assert again["scale"] == pytest.approx(after["scale"], rel=1e-3)
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("() => !location.hash.includes('at=')")


def test_labels_do_not_overlap(page: Any) -> None:
    overlaps = page.evaluate(
        """async () => {
            const { placeLabels } = await import("/static/embeddings/plot.js");
            const screen = Float64Array.from({ length: 4000 }, (_, i) => (Math.sin(i * 12.9898) * 43758.5453 % 1 + 1) % 1 * 700);
            const found = placeLabels(screen, [...Array(2000).keys()], (i) => 20 + i % 60, 700, 700);
            let bad = 0;
            for (const a of found) for (const b of found) if (a !== b && a.box[0] < b.box[2] && b.box[0] < a.box[2] && a.box[1] < b.box[3] && b.box[1] < a.box[3]) bad += 1;
            return [found.length, bad];
        }"""  # noqa: E501 - a program of another language
    )
    assert overlaps[0] > 100
    assert overlaps[1] == 0


def test_a_chinese_word_of_bytes_is_found_pinned_and_compared(
    page: Any, weights: dict[str, Any], tokenizer: Tokenizer
) -> None:
    page.fill("#emb-find", "床前")
    word = page.locator(".emb-found button").first
    expect(word).to_contain_text("床前")
    word.click()
    expect(page.locator(".big")).to_have_text("床前")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.fill("#emb-find", "<E5>")
    byte = page.locator(".emb-found button").first
    expect(byte).to_contain_text("e5")
    byte.click()
    page.get_by_role("button", name="One-hot and dense").click()
    page.wait_for_selector(".emb-item")
    first = page.locator(".emb-item").first
    expect(first.locator("h3")).to_have_text("床前")
    first.locator("summary").click()
    shown = [float(x) for x in first.locator(".emb-figures").inner_text().split()]
    ids = [i for i in tokenizer.encode(" 床前") if tokenizer.token_bytes(i).strip()]
    assert np.allclose(shown, weights["embedding.weight"][ids].mean(0), rtol=1e-3, atol=1e-3)
    assert first.locator(".one-hot i").count() == len(ids)
    cell = first.locator("canvas")
    cell.hover(position={"x": 2, "y": 5})
    value = float(first.locator("b[data-value]").get_attribute("data-value"))
    assert value == pytest.approx(float(weights["embedding.weight"][ids].mean(0)[0]), abs=1e-5)
    chosen = int(page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('t')"))
    rows = [weights["embedding.weight"][ids].mean(0), weights["embedding.weight"][chosen]]
    pixel, wanted = page.evaluate(
        """async ([value, most]) => {
            const { paint } = await import("/static/lib/heat.js");
            const canvas = document.querySelector(".emb-item canvas");
            const one = paint({ shape: [1, 1], data: [value] }, { signed: true, scale: "linear", most });
            return [canvas, one].map((x) => [...x.getContext("2d").getImageData(0, 0, 1, 1).data]);
        }""",
        [float(rows[0][0]), float(np.abs(rows).max())],
    )
    assert pixel == wanted
    cosines = page.locator(".cosines").last.locator("td[data-value]")
    assert float(cosines.first.get_attribute("data-value")) == pytest.approx(1, abs=1e-5)


def test_an_analogy_has_candidates(page: Any, weights: dict[str, Any]) -> None:
    for name, text in (("A", "cat"), ("B", "dog"), ("C", "mat")):
        page.get_by_label(name, exact=True).fill(text)
        page.get_by_label(name, exact=True).press("Enter")
    table = page.locator(".emb-analogy .emb-near tr:has(td[data-cosine])")
    expect(table).to_have_count(10)
    assert "a=cat&b=dog&c=mat" in page.url


def test_positions_turn_as_the_model_turns_them(page: Any) -> None:
    page.get_by_role("button", name="Positions").click()
    hands = page.locator(".hands svg")
    expect(hands).to_have_count(4)
    page.locator(".emb-place input").fill("5")
    expect(page.locator(".emb-place output")).to_have_text("5")
    angles = hands.evaluate_all("all => all.map(x => Number(x.dataset.angle))")
    frequencies = [1.0, angles[1] / 5, angles[2] / 5, angles[3] / 5]
    assert frequencies[1] / frequencies[2] == pytest.approx(frequencies[2] / frequencies[3], rel=1e-3)  # geometric
    assert np.cos(angles[0]) == pytest.approx(np.cos(5), abs=1e-5)
    canvas = page.locator(".heat canvas").first
    canvas.focus()
    page.keyboard.press("ArrowRight")
    said = float(page.locator(".heat-say b[data-value]").first.get_attribute("data-value"))
    assert said == pytest.approx(angles[1], abs=1e-5)


def test_by_keyboard_from_point_to_point(page: Any) -> None:
    page.focus(".emb-canvas canvas")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash.includes('t=')")
    first = page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => location.href !== before", arg=first)
    page.keyboard.press("+")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !location.hash.includes('t=')")


def test_tsne_shows_its_progress_and_comes(page: Any) -> None:
    page.get_by_role("button", name="t-SNE").click()
    expect(page.locator(".emb-making")).to_be_visible()
    expect(page.locator(".emb-making")).to_have_count(0, timeout=60_000)
    expect(page.locator(".emb-foot")).to_contain_text("keeps neighbours together")


def test_code_and_files(page: Any, talker_run: Path) -> None:
    page.locator(".emb-out .show-code").click()
    code = page.locator(".code-block").inner_text()
    assert "project(vectors" in code
    assert str(talker_run) in code
    scope: dict[str, Any] = {}
    exec(code.replace("print(", "result = ("), scope)
    assert scope["result"].shape == (250, 2)
    page.keyboard.press("Escape")
    shown = points(page)
    assert np.allclose(scope["result"][:, 0], [float(row["x"]) for row in shown], atol=1e-5)
    for kind, begins in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as caught:
            page.locator(".emb-out").get_by_role("button", name=kind).click()
        assert Path(caught.value.path()).read_bytes().startswith(begins)


def test_a_model_without_output_table_or_turns(
    visit: Callable[..., Visit], write_run: Callable[..., Path], tokenizer: Tokenizer
) -> None:
    from tests.models.variants import random_decoder

    tied = write_run("classic", random_decoder("gpt2", vocab_size=tokenizer.vocab_size), tokenizer)
    with served([tied]) as own:
        page = visit(own.url).open("#/embeddings/positions")
        expect(page.locator("h2")).to_have_text("Learned positions")
        expect(page.locator(".emb-choices")).to_contain_text("input and output share it")
        page.get_by_role("button", name="place by place").click()
        page.wait_for_selector(".heat b[data-value]")


def test_no_token_matches(visit: Callable[..., Visit], server: Served) -> None:
    one = visit()
    page = one.open("#/embeddings?only=nothing like this")
    expect(page.get_by_role("alert")).to_contain_text("Fewer than three")
    one.errors = [error for error in one.errors if "400" not in error]
