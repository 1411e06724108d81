"""The lessons' pages: what stands there is what Python prints, for the reader's own values too."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from playwright.sync_api import expect
from tests.web.conftest import Visit
from tests.web.test_pages import all_by_tab, serious

from limpid.lessons.book import NAMES, find
from limpid.lessons.running import run


@pytest.fixture
def visit(visit: Callable[..., Visit]) -> Callable[..., Visit]:
    """Lessons that open a model first import torch, which takes its time on a busy machine."""

    def make(*args: Any, **options: Any) -> Visit:
        one = visit(*args, **options)
        one.context.set_default_timeout(60_000)
        return one

    return make


def printed(page: Any) -> list[str]:
    """What each step printed, once it is over."""
    expect(page.locator("main")).to_have_attribute("aria-busy", "false", timeout=60_000)
    return page.locator(".lesson-output").all_inner_texts()


def by_python(name: str, values: dict[str, Any] | None = None) -> list[str]:
    return [one.output.rstrip("\n") for one in run(find(name), values) if one.output]


def test_the_contents_name_every_lesson(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = one.open("#/lessons")
    expect(page.locator(".lessons-book li a")).to_have_count(len(NAMES))
    one.picture("lessons-contents")
    page.get_by_role("button", name="中文").click()
    expect(page.locator(".lessons-book")).to_contain_text(find(NAMES[-1]).summary.zh)
    assert serious(page) == []
    page.locator(".lessons-book li a").first.click()
    expect(page.locator("h1")).to_have_text(find(NAMES[0]).title.zh)


def test_own_scores_and_temperature(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = one.open("#/lessons/softmax")
    assert printed(page) == by_python("softmax")
    page.get_by_label("The scores, number 2").fill("3")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="One more").click()
    page.locator(".lesson-slide input[type=range]").fill("2")
    own = {"logits": [2, 3, 0.1, 0.1], "temperature": 2}
    expect(page.locator(".lesson-code").nth(1)).to_contain_text("temperature = 2.0")
    assert printed(page) == by_python("softmax", own)
    bars = list(run(find("softmax"), own))[1].pictures[0]
    shown = page.locator(".lesson-bars dd span").all_inner_texts()
    assert [float(text) for text in shown] == pytest.approx(bars.rows[0], abs=6e-4)
    address = page.url
    assert "logits=%5B2%2C3%2C0.1%2C0.1%5D&temperature=2" in address
    again = visit(language="zh-CN", theme="dark")
    page = again.open(address.split("/", 3)[3])
    assert printed(page) == by_python("softmax", own)
    page.get_by_role("button", name="恢复原来的数值").click()
    expect(page.locator(".lesson-output").first).to_have_text(by_python("softmax")[0])


def test_own_matrices(visit: Callable[..., Visit]) -> None:
    page = visit(width=390, height=844).open("#/lessons/attention")
    assert printed(page) == by_python("attention")
    page.get_by_label("X, the words, row 1, column 2").fill("3")
    page.keyboard.press("Tab")
    expect(page.locator(".lesson-code").first).to_contain_text("X = [[1.0, 3.0,")
    values = {"X": [[1, 3, 1, 0], [0, 2, 0, 2], [1, 1, 1, 1]]}
    assert printed(page) == by_python("attention", values)
    weights = list(run(find("attention"), values))[2].pictures[0].rows
    cells = page.locator(".lesson-table td.plus").all_inner_texts()
    assert [float(cell) for cell in cells] == pytest.approx([w for row in weights for w in row], abs=6e-4)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert serious(page) == []


def test_values_that_are_none_are_told(visit: Callable[..., Visit]) -> None:
    page = visit().open("#/lessons/softmax?temperature=900")
    expect(page.locator(".banner")).to_contain_text("'temperature' lies between 0.05 and 10, not at 900.")
    page.locator(".banner button").click()
    expect(page.locator(".lesson-output")).to_have_count(3)
    expect(page.locator(".banner")).to_have_count(0)
    page.goto(page.url.split("#")[0] + "#/lessons/no-such-lesson")
    expect(page.locator(".lessons-book")).to_be_visible()


def test_a_lesson_by_keyboard_and_in_the_dark(visit: Callable[..., Visit]) -> None:
    one = visit(language="zh-CN", theme="dark", width=390, height=844, has_touch=True)
    page = one.open("#/lessons/scaling")
    assert printed(page) == by_python("scaling")
    assert serious(page) == []
    all_by_tab(page)
    one.picture("lessons-scaling-390-zh-dark")


def test_it_is_taken_along(visit: Callable[..., Visit]) -> None:
    page = visit().open("#/lessons/softmax?temperature=4")
    printed(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Notebook").click()
    book = nbformat.read(saved.value.path(), as_version=4)
    nbformat.validate(book)
    assert "temperature = 4.0" in "".join(cell.source for cell in book.cells)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Program", exact=True).click()
    text = saved.value.path().read_text(encoding="utf-8")
    assert text == find("softmax").given({"temperature": 4}).program()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Values as CSV").first.click()
    assert saved.value.path().read_text().splitlines()[1].startswith("2.0,0.")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the picture").first.click()
    assert "temperature 4.0" in saved.value.path().read_text(encoding="utf-8")


def test_the_book_tells_what_a_reader_may_change(http: Any) -> None:
    book = http.get("/api/lessons").json()
    names = [lesson["name"] for chapter in book["chapters"] for lesson in chapter["lessons"]]
    assert names == list(NAMES)
    assert http.get("/api/lessons/softmax.ipynb?temperature=99").status_code == 400
    assert http.get("/api/lessons/nothing.ipynb").status_code == 400
    made = json.loads(http.get("/api/lessons/softmax.ipynb?lang=zh").text)
    assert made["cells"][0]["source"][0] == "# Softmax 与温度\n"
