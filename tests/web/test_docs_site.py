"""The documentation in a browser, opened from the file system: search works, and nothing is asked of other machines."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tools.docs.__main__ import stage


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(stage(folder))]
    subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=120)
    return folder / "site"


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1400, "light")])
def test_pages_are_read_and_searched_without_a_network(browser: Any, site: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    try:
        page, asked, errors = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        for name in ("reference/keys.html", "README.zh.html", "index.html"):
            page.goto((site / name).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.wait_for_load_state("networkidle")
        page.keyboard.press("/")
        page.wait_for_function("document.activeElement !== document.body")  # the field of the search has it
        page.keyboard.type("completion")
        page.get_by_text(re.compile(r"\d+ results")).first.wait_for(timeout=10_000)
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert errors == []
    finally:
        context.close()
