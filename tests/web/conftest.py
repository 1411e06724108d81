"""A real browser on a real server: Debian's Chromium through Playwright, models that were trained here in seconds."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from tests.conftest import TEXTS, random_llama
from tests.server.conftest import SMALL, Served, served, write_run  # noqa: F401 - a fixture
from torch.nn.functional import cross_entropy

from limpid.models.decoder import Decoder
from limpid.server.loading import Loader, place_of
from limpid.server.run_folder import RunFolder
from limpid.text.chat import render
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

if os.environ.get("CI"):
    import playwright.sync_api as playwright  # in CI its absence is a failure
else:
    playwright = pytest.importorskip("playwright.sync_api", reason="BROWSER TESTS SKIPPED: playwright is not installed")

VERSE = "床前明月光🙂，疑是地上霜。"
QUESTION = "李白？"
SCREENS = Path(__file__).parents[2] / "build" / "screens"
"""Pictures of the pages, for people; not kept in the repository."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    path = os.environ.get("LIMPID_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        why = "NO BROWSER: install Chromium (apt install chromium), or name one in LIMPID_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


class Visit:
    """A page in a browser of its own, with what went wrong on it. Whatever `ok` finds fails the test at its end."""

    def __init__(self, context: Any, url: str) -> None:
        self.context, self.url = context, url
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page = self.tab()

    def tab(self) -> Any:
        page = self.context.new_page()
        page.on("console", lambda m: m.type in ("error", "warning") and self.errors.append(f"console: {m.text}"))
        page.on("pageerror", lambda error: self.errors.append(f"page: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.add_init_script(_WATCH)
        return page

    def open(self, address: str = "") -> Any:
        """The page at an address, once it stands there: its view, and what it computes first (``aria-busy``)."""
        self.page.goto(f"{self.url}/{address}")
        self.wait(address)
        return self.page

    def wait(self, address: str = "") -> None:
        name = re.split(r"[/?]", address.removeprefix("#/"))[0] or "chat"
        self.page.wait_for_selector(f"body[data-page='{name}'] main:not([aria-busy='true'])", state="attached")
        if name == "chat":
            self.page.wait_for_selector("#say")

    def ask(self, text: str, *, wait: bool = True, answers: int = 1) -> Any:
        """Send ``text``; the last answer, when it is over."""
        before = self.page.locator(".answer").count()
        self.page.fill("#say", text)
        self.page.press("#say", "Enter")
        playwright.expect(self.page.locator(".answer")).to_have_count(before + answers)
        if wait:
            playwright.expect(self.page.locator(".answer.live")).to_have_count(0, timeout=30_000)
        return self.page.locator(".answer").last

    def picture(self, name: str) -> None:
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png")

    def check(self) -> None:
        own = (self.url, "data:", "blob:")
        assert [url for url in self.requests if not url.startswith(own)] == []
        assert self.page.evaluate("window.replacementSeen ?? 0") == 0
        assert self.errors == []


_WATCH = """
window.replacementSeen = 0;
new MutationObserver(() => { if (document.body?.textContent.includes("\\ufffd")) window.replacementSeen += 1; })
  .observe(document, { childList: true, subtree: true, characterData: true });
"""


@pytest.fixture
def visit(browser: Any, server: Served) -> Iterator[Callable[..., Visit]]:
    """Opens visits: (url=the server's, language, theme, width, height) -> Visit, checked when the test is over."""
    made: list[Visit] = []

    def make(
        url: str | None = None, *, language: str = "en-US", theme: str = "light", width: int = 1280, height: int = 800,
        **more: Any,
    ) -> Visit:  # fmt: skip
        context = browser.new_context(
            locale=language, color_scheme=theme, viewport={"width": width, "height": height}, **more
        )
        context.set_default_timeout(15_000)
        made.append(Visit(context, url or server.url))
        return made[-1]

    yield make
    for one in made:
        try:
            one.check()
        finally:
            one.context.close()


@pytest.fixture(scope="session")
def byte_tokenizer() -> Tokenizer:
    """Every token but one is a byte: Chinese characters come in three, emoji in four."""
    return train(TokenizerSection(kind="bpe", vocab_size=262), TEXTS)


def overfitted(tokenizer: Tokenizer, conversations: list[tuple[str, str]], *, context: int = 512) -> Decoder:
    """A model that answers each of the questions with its answer, all but surely."""
    model = random_llama(0, vocab_size=tokenizer.vocab_size, context=context, d_model=48, d_ff=96).train()
    turns = [
        render(tokenizer, [{"role": "user", "content": asked}, {"role": "assistant", "content": said}])
        for asked, said in conversations
    ]
    optim = torch.optim.Adam(model.parameters(), lr=4e-3)
    for _ in range(400):
        loss = torch.zeros(())
        for ids, weights in turns:
            logits = model.head(model(torch.tensor([ids[:-1]])))[0].float()
            each = cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
            loss = loss + (each * torch.tensor(weights[1:])).sum() / sum(weights)
        if loss.item() < 0.004:
            break
        optim.zero_grad()
        loss.backward()
        optim.step()
    return model.eval()


LONG = "\n".join(f"line {i} of 40" for i in range(40))


@pytest.fixture(scope="session")
def poet_run(write_run: Callable[..., Path], byte_tokenizer: Tokenizer) -> Path:  # noqa: F811
    return write_run("poet", overfitted(byte_tokenizer, [(QUESTION, VERSE)]), byte_tokenizer)


@pytest.fixture(scope="session")
def talker_run(write_run: Callable[..., Path], tokenizer: Tokenizer) -> Path:  # noqa: F811
    """Random, so that candidates have chances; it never ends by itself."""
    model = random_llama(0, context=1024)
    with torch.no_grad():
        model.head.weight[sorted(tokenizer.special_ids)] = 0.0
    return write_run("talker", model, tokenizer)


@pytest.fixture(scope="session")
def server(
    talker_run: Path, poet_run: Path, runs_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    chats = tmp_path_factory.mktemp("keep") / "chats.sqlite3"
    with served([talker_run, poet_run], chats=chats, max_body_bytes=4 * 2**20) as running:
        running.state.runs = RunFolder(runs_root)
        running.state.loader = Loader(SMALL, place_of("cpu", "float32"), running.state.metrics)
        yield running


@pytest.fixture(scope="session")
def runs_root(talker_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: a line of two stages with curves, the second with a checkpoint."""
    root = tmp_path_factory.mktemp("shown") / "runs"
    shutil.copytree(talker_run, root / "line" / "sft", ignore=shutil.ignore_patterns("tokens"))
    for stage, steps, rate in (("pretrain", 400, 1e-3), ("sft", 90, 3e-4)):
        folder = root / "line" / stage
        folder.mkdir(exist_ok=True)
        (folder / "recipe.toml").write_text(
            f"# limpid {stage}\n[optim]\nlr = {rate}\n[train]\nsteps = {steps}\nseed = 0\n"
        )
        lines = [
            {"step": i, "loss": 2 + 5 / i, "grad_norm": 1 / i, "learning_rate": 1 - i / steps, "tokens": 64,
             "seconds": 0.25, "tokens_per_second": 256.0, "memory_bytes": 10**9, "utilisation": 0.5}
            for i in range(1, steps + 1)
        ]  # fmt: skip
        lines += [{"step": i, "validation_bits_per_byte": 2 - i / 1000} for i in range(30, steps + 1, 30)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / "texts.jsonl").write_text(json.dumps({"step": 30, "prompt": "床前", "text": "明月光"}) + "\n")
        (folder / "summary.json").write_text(json.dumps({"stage": stage, "steps": steps, "measures": {}}))
    return root


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client


@pytest.fixture
def slowly(server: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a model of the server compute a token no faster than every so many seconds."""

    def slow(seconds: float, name: str = "talker") -> None:
        engine = server.model(name).runner.engine  # type: ignore[attr-defined]
        step = engine.step

        def slowed() -> Any:
            time.sleep(seconds)
            return step()

        monkeypatch.setattr(engine, "step", slowed)

    return slow


def settings(page: Any, **values: Any) -> None:
    """Fill fields of the panel: temperature=0, seed=5, max_tokens=20, ..."""
    page.locator(".under .ib").click()
    for name, value in values.items():
        label = {"seed": "Seed", "max_tokens": "Most tokens"}.get(name)
        field = (
            page.get_by_label(label, exact=True)
            if label
            else page.locator(f"#dial-{name}").locator("..").locator("input[type=number]")
        )
        field.fill(str(value))
        field.dispatch_event("change")


def kept(http: httpx.Client, title: str) -> dict[str, Any]:
    """The exported conversation of that title, once it is wholly kept."""
    for _ in range(100):
        chats = [chat for chat in http.get("/api/export").json()["chats"] if chat["title"] == title]
        if chats and all(m["about"].get("finish") != "open" for m in chats[-1]["messages"]):
            answers = [m for m in chats[-1]["messages"] if m["role"] == "assistant"]
            if answers and all(m["tokens"] for m in answers):
                return chats[-1]
        time.sleep(0.05)
    raise AssertionError(f"no chat {title!r} was kept")
