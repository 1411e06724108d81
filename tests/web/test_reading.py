"""The Reading page, in a browser: what an encoder puts in hidden places, which class a classifier names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from tests.server.conftest import Served, served
from tests.server.test_readers import random_classifier, random_encoder
from tests.web.conftest import Visit
from tests.web.test_pages import all_by_tab, serious

from limpid.checkpoint import store
from limpid.models.bidirectional import Encoder
from limpid.stages.classify import load_classifier
from limpid.text.task_inputs import with_task_tokens
from limpid.text.tokenizer import Tokenizer

TEXT = "the cat sat on the mat"


@pytest.fixture(scope="module")
def runs(write_run: Callable[..., Path], tokenizer: Tokenizer) -> dict[str, Path]:
    marked = with_task_tokens(tokenizer)
    sorter = random_classifier(marked.vocab_size, "single", outputs=3, labels=("good", "bad", "so so"))
    chooser = random_classifier(marked.vocab_size, "choice")
    return {
        "filler": write_run("filler", random_encoder(tokenizer.vocab_size), tokenizer, "pretrain"),
        "sorts": write_run("sorts", sorter, marked, "classify"),
        "chooses": write_run("chooses", chooser, marked, "classify"),
    }


@pytest.fixture(scope="module")
def readers(runs: dict[str, Path]) -> Iterator[Served]:
    with served(list(runs.values())) as running:
        yield running


@pytest.fixture
def here(visit: Callable[..., Visit], readers: Served) -> Callable[..., Visit]:
    return lambda **look: visit(readers.url, **look)


def address(model: str, **query: str) -> str:
    return f"#/reading?model={model}" + "".join(f"&{name}={quote(value)}" for name, value in query.items())


def shown(page: Any, place: int) -> tuple[list[int], list[float]]:
    """The candidates of a place: their ids, and the numbers beside them."""
    rows = page.locator(f".reading-place[data-at='{place}'] li")
    expect(rows).to_have_count(8)
    told = rows.evaluate_all("all => all.map(x => [Number(x.dataset.id), Number(x.dataset.probability)])")
    return [int(row[0]) for row in told], [row[1] for row in told]


def test_what_is_hidden_is_filled_in(here: Callable[..., Visit], runs: dict[str, Path], tokenizer: Tokenizer) -> None:
    one = here()
    page = one.open(address("filler", text=TEXT, hide="1,3"))
    model = store.read(runs["filler"], Encoder).model.eval()

    def expected(*hidden: int) -> torch.Tensor:
        ids = [*tokenizer.opening, *tokenizer.encode(TEXT)]
        for place in hidden:
            ids[place] = model.config.mask_id
        with torch.no_grad():
            return model.scores(model(torch.tensor([ids])))[0].softmax(-1)

    told = expected(1, 3)
    for place in (1, 3):
        ids, shares = shown(page, place)
        assert ids == told[place].topk(8).indices.tolist()
        np.testing.assert_allclose(shares, told[place].topk(8).values, atol=1e-5)
        was = tokenizer.encode(TEXT)[place]
        probability = float(page.locator(f".reading-place[data-at='{place}']").get_attribute("data-probability"))
        assert probability == pytest.approx(float(told[place, was]), abs=1e-5)
    one.picture("reading-encoder")
    page.locator(".reading-row button").nth(3).click()  # one is shown again
    expect(page.locator(".reading-place")).to_have_count(1)
    ids, shares = shown(page, 1)
    np.testing.assert_allclose(shares, expected(1)[1][ids], atol=1e-5)
    page.keyboard.press("ArrowRight")  # and another is hidden, by the keyboard
    page.keyboard.press("Enter")
    expect(page.locator(".reading-place")).to_have_count(2)
    assert "hide=1%2C4" in page.evaluate("location.hash")
    ids, shares = shown(page, 4)
    np.testing.assert_allclose(shares, expected(1, 4)[4][ids], atol=1e-5)
    page.get_by_role("button", name="Show code").click()
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.get_by_role("link", name="Attention").last.click()
    page.wait_for_selector("body[data-page='attention'] main:not([aria-busy='true'])")
    expect(page.locator(".reading .chip")).to_have_text(["[MASK]", "[MASK]"])


def test_the_shown_code_prints_the_candidates(here: Callable[..., Visit], capsys: pytest.CaptureFixture[str]) -> None:
    page = here().open(address("filler", text=TEXT, hide="2"))
    ids, _ = shown(page, 2)
    page.get_by_role("button", name="Show code").click()
    exec(page.locator("dialog pre").inner_text(), {})
    printed = capsys.readouterr().out
    assert [int(part.split(",")[0]) for part in printed.split("token_id=")[1:]] == ids


def test_a_text_of_ones_own_and_no_text(here: Callable[..., Visit]) -> None:
    one = here()
    page = one.open(address("filler"))
    page.fill(".reading-form textarea", "a dog")
    page.press(".reading-form textarea", "Enter")
    expect(page.locator(".reading-row button").first).to_have_text("a")
    assert "text=a+dog" in page.url
    page.fill(".reading-form textarea", "cat " * 200)
    page.press(".reading-form textarea", "Enter")
    expect(page.locator("[role=alert]")).to_contain_text("tokens too long")
    expect(page.locator(".reading-row button").first).to_have_text("a")  # what was there stays
    one.errors.clear()  # the refusal's own line in the console


def test_classes_with_their_probabilities(
    here: Callable[..., Visit], runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one = here()
    page = one.open(address("sorts", texts=TEXT))
    (told,) = load_classifier(runs["sorts"], device="cpu", dtype="float32").predict([[TEXT]])
    expect(page.locator(".reading-classes h2")).to_have_text(told.label)
    rows = page.locator(".reading-classes li").evaluate_all(
        "all => all.map(x => [x.dataset.label, x.dataset.probability])"
    )
    assert [row[0] for row in rows] == list(told.probabilities)
    np.testing.assert_allclose([float(row[1]) for row in rows], list(told.probabilities.values()), atol=1e-5)
    one.picture("reading-classifier")
    page.get_by_role("button", name="Show code").click()
    exec(page.locator("dialog pre").inner_text(), {})
    assert f"label='{told.label}'" in capsys.readouterr().out


def test_choices_are_lines(here: Callable[..., Visit], runs: dict[str, Path]) -> None:
    page = here().open(address("chooses"))
    page.fill("[name=context]", "The cat")
    page.fill("[name=choices]", "sat\nflew\nslept")
    page.get_by_role("button", name="Open", exact=True).click()
    (told,) = load_classifier(runs["chooses"], device="cpu", dtype="float32").predict(
        [["The cat", "sat", "flew", "slept"]]
    )
    expect(page.locator(".reading-classes li bdi")).to_have_text(["sat", "flew", "slept"])
    expect(page.locator(".reading-classes h2")).to_have_text(["sat", "flew", "slept"][int(told.label)])


def test_where_nothing_speaks_the_chat_says_so(here: Callable[..., Visit]) -> None:
    one = here()
    page = one.page
    page.goto(f"{one.url}/#/chat")
    expect(page.locator("main")).to_contain_text(
        "filler is an encoder: it fills hidden tokens in and generates no text."
    )
    expect(page.locator("main")).to_contain_text("sorts is a classifier: it sorts texts and generates no text.")
    page.locator("main").get_by_role("link", name="Reading").click()
    one.wait("#/reading")


def test_an_encoder_step_by_step(here: Callable[..., Visit]) -> None:
    one = here()
    page = one.open(f"#/steps/logits?model=filler&text={quote(TEXT)}")
    expect(page.locator(".prediction")).to_contain_text("In the place of")
    expect(page.locator(".rail li").last).to_contain_text("Logits")  # nothing is drawn
    expect(page.locator(".bars-list li").first).to_be_visible()
    assert serious(page) == []


def test_a_classifier_step_by_step(here: Callable[..., Visit], runs: dict[str, Path]) -> None:
    one = here()
    page = one.open(address("sorts", texts=TEXT))
    page.get_by_role("link", name="Step by step").last.click()
    one.wait("#/steps")
    classifier = load_classifier(runs["sorts"], device="cpu", dtype="float32")
    (expected,) = classifier.predict([[TEXT]])
    said = page.locator(".prediction .as-is li")
    expect(said).to_have_count(3)
    told = said.evaluate_all("all => all.map(x => [x.querySelector('.name').innerText, Number(x.dataset.probability)])")
    assert told[0][0] == expected.label
    for label, share in told:
        assert share == pytest.approx(expected.probabilities[label], abs=1e-5)
    page.locator(".rail li a").last.click()
    expect(page.locator(".step-title h2")).to_have_text("Classes")
    bars = page.locator(".bars-list button")
    expect(bars).to_have_count(3)
    bars.nth(1).click()  # and how that number came about
    share = expected.probabilities[bars.nth(1).locator(".name").inner_text()]
    expect(page.locator(".worked")).to_contain_text("probabilities")
    assert float(bars.nth(1).get_attribute("data-probability") or 0) == pytest.approx(share, abs=1e-5)
    assert serious(page) == []
    one.picture("steps-classifier-en")
    # A score is no choice: it is written as one number.
    page.goto(f"{one.url}/#/steps/logits?model=chooses&text=a+cat&target=sat")
    expect(page.locator(".prediction .as-is li")).to_have_count(1)
    expect(page.locator(".prediction .as-is li")).not_to_contain_text("%")


@pytest.mark.parametrize("model", ["filler", "sorts", "chooses"])
def test_on_a_phone_in_the_dark_in_chinese(here: Callable[..., Visit], model: str) -> None:
    one = here(language="zh-CN", theme="dark", width=390, height=844, has_touch=True)
    page = one.open(address(model))
    expect(page.locator(".reading-place").first).to_be_visible()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    one.picture(f"reading-{model}-390-zh-dark")
    all_by_tab(page)


def test_the_bar_names_it_only_where_something_reads(visit: Callable[..., Visit]) -> None:
    page = visit().open("#/attention")
    expect(page.locator("#pages-list a").first).to_be_visible()
    assert "Reading" not in page.locator("#pages-list a").all_inner_texts()
