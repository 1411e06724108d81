"""The pictures of the web app in docs/images, taken anew from a running server.

    limpid serve demo=RUN/grpo pretrained=RUN/pretrain gpt2=IMPORT wide=IMPORT encoder=RUN sorter=RUN --runs RUNS
    python tools/pictures.py http://127.0.0.1:8000 [NAME ...]

demo, pretrained: of `limpid demo`, which lies in RUNS. gpt2: a small imported GPT-2; wide: one of 12 layers of 12
heads. encoder, sorter: of a masked language model, and of a classifier.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLOURS = 128
SETTINGS = {"max_tokens": 70, "temperature": 0.8, "seed": 5}
CAT = "The detective entered the dark room, and the detective saw the cat. The cat saw the detective."
LONG = (Path(__file__).parents[1] / "docs" / "inspecting.md").read_text(encoding="utf-8")[:2300]
ASKED = "What does dedent do?"


class Picture(NamedTuple):
    """address: where the page stands. then: what is done there first. zh, dark: else English, light."""

    address: str
    size: tuple[int, int]
    zh: bool = False
    dark: bool = False
    then: Callable[[Page], Any] = lambda page: None


def ask(*texts: str, open_one: bool = True, inside: bool = False, answers: int = 1) -> Callable[[Page], None]:
    """Say something, and open the token of the last answer that was least expected."""

    def work(page: Page) -> None:
        for number, text in enumerate(texts, start=1):
            page.fill("#say", text)
            page.press("#say", "Enter")
            page.wait_for_function(
                "n => document.querySelectorAll('.answer:not(.live) [data-at]').length"
                " && document.querySelectorAll('.answer:not(.live)').length === n && !document.querySelector('.live')",
                arg=number * answers,
            )
        if open_one:
            page.evaluate("""() => {
                const last = [...document.querySelectorAll(".answer")].at(-1);
                const all = last.querySelectorAll(".tok[data-at]:not(.control)");
                const odd = (one) => Number(one.style.getPropertyValue("--p"));
                [...all].reduce((a, b) => (odd(b) > odd(a) ? b : a)).click();
            }""")
        if inside:
            page.locator(".inside-open").click()
            page.locator("text=Where it looked").last.scroll_into_view_if_needed()
            page.locator("#panel-body").evaluate("x => { x.scrollTop = x.scrollHeight; }")

    return work


def two(page: Page) -> None:
    page.locator(".models select").nth(1).select_option("pretrained")
    ask(ASKED, answers=2)(page)


def text_mode(page: Page) -> None:
    page.locator(".models select").first.select_option("gpt2")
    page.locator(".modes button").last.click()
    ask("Return the", inside=True)(page)


CAT_, LONG_ = quote(CAT), quote(LONG)
PICTURES = {
    "chat": Picture("", (1360, 820), then=ask(ASKED, "Tell me what html.unescape does.", "What is ftplib for?")),
    "chat-two-models": Picture("", (1360, 820), zh=True, dark=True, then=two),
    "chat-phone": Picture("", (390, 844), then=ask("What is ftplib for?")),
    "chat-inside": Picture("", (1280, 800), then=ask("What is ftplib for?", inside=True)),
    "gpt2-chat": Picture("", (1280, 800), then=text_mode),
    "attention": Picture("#/attention?model=pretrained&layer=2&head=2&row=20&column=19&score=previous", (1280, 860)),
    "attention-lines": Picture(
        "#/attention?model=demo&layer=1&head=2&view=lines&heads=1,2&row=38", (1280, 860), dark=True
    ),
    "attention-vectors": Picture(
        f"#/attention?model=pretrained&layer=1&head=2&row=33&view=neuron&text={CAT_}", (1280, 860), zh=True
    ),
    "attention-phone": Picture(
        f"#/attention?model=demo&layer=2&head=2&row=20&text={quote(CAT[:4] + CAT[-49:])}",
        (390, 1240),
        zh=True,
        dark=True,
    ),
    "attention-gpt2": Picture(f"#/attention?model=wide&layer=3&head=5&row=500&text={LONG_}", (1280, 860)),
    "gpt2-attention": Picture(
        f"#/attention?model=gpt2&layer=2&head=1&text={quote('Return the mean of the data and the median of the data')}",
        (1280, 800),
    ),
    "steps": Picture(
        f"#/steps/attn.pattern?model=pretrained&layer=2&head=1&text={quote('Return the number of items in the')}",
        (1280, 800),
    ),
    "steps-phone": Picture("#/steps/mlp.neurons?model=pretrained&layer=2", (390, 844), zh=True, dark=True),
    "gpt2-steps": Picture(
        f"#/steps/position?model=gpt2&text={quote('Return the mean of the data')}", (1280, 800)
    ),
    "steps-classifier": Picture(
        f"#/steps/classes?model=sorter&text={quote('Which module is dedent in?')}", (1280, 800)
    ),
    "reading": Picture(f"#/reading?model=sorter&texts={quote('Which module is dedent in?')}", (1000, 480)),
    "reading-encoder": Picture(
        f"#/reading?model=encoder&hide=4,9&text={quote('To be, or not to be, that is it.')}", (1000, 480)
    ),
    "reading-phone": Picture(
        f"#/reading?model=sorter&texts={quote('What is 12 + 7?')}", (390, 480), zh=True, dark=True
    ),
    "runs": Picture("#/runs?run=demo/sft&sel=demo/sft|demo/pretrain", (1280, 800)),
    "gpt2-embeddings": Picture("#/embeddings?m=gpt2&n=500", (1280, 800)),
    "embeddings": Picture("#/embeddings?m=demo&method=tsne&n=1000&t=458", (1280, 800)),
}  # fmt: skip


def take(url: str, names: list[str]) -> None:
    with sync_playwright() as driver:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, picture in PICTURES.items():
            if names and name not in names:
                continue
            context = browser.new_context(
                locale="zh-CN" if picture.zh else "en-US", color_scheme="dark" if picture.dark else "light",
                viewport={"width": picture.size[0], "height": picture.size[1]},
            )  # fmt: skip
            context.add_init_script(f"localStorage.setItem('limpid.settings', '{json.dumps(SETTINGS)}')")
            page = context.new_page()
            page.set_default_timeout(120_000)
            page.goto(f"{url}/{picture.address}")
            page.wait_for_selector("body[data-page] main:not([aria-busy=true])", state="attached")
            picture.then(page)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(1500)
            image = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            image.save(IMAGES / f"{name}.png", optimize=True)
            print(name, flush=True)
            context.close()
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1], sys.argv[2:])
