"""The playground: epochs and pictures a second, in the engine alone and on the page in a real browser.

    python -m bench.playground [--seconds 10] [--json]

The default net (4 and 2 neurons, 250 examples, batches of 10) as it runs at its usual pace, and as fast as it goes; a
large net beside it. Pictures are counted where they are drawn: the page says each one it has drawn, and what a browser
draws a second is counted by requestAnimationFrame. Needs Playwright and Chromium for the page (see tests/web).
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from bench.live_server import LiveServer, free_port, limpid_serve
from bench.random_run import write_random_run
from bench.report import Row, answer, arguments, fresh, show, single

NETS = {
    "default net": "seed=0.5",
    "default net, as fast as it goes": "speed=0&seed=0.5",
    "8 x 8, nine inputs, as fast as it goes": "speed=0&networkShape=8,8,8,8,8,8&xSquared=true&ySquared=true"
    "&xTimesY=true&sinX=true&sinY=true&cosX=true&cosY=true&seed=0.5",
}
COUNT = """seconds => new Promise(done => {
    const epoch = () => Number(document.querySelector(".play-epoch output").dataset.epoch);
    const began = performance.now(), first = epoch();
    let pictures = 0, last = first;
    const look = () => {
        const now = epoch();
        if (now !== last) { pictures += 1; last = now; }
        const passed = (performance.now() - began) / 1000;
        if (passed < seconds) return void requestAnimationFrame(look);
        done([pictures / passed, (last - first) / passed]);
    };
    requestAnimationFrame(look);
})"""


def worker(question: dict[str, Any]) -> None:
    """Epochs and whole pictures a second of the engine alone."""
    from limpid.lessons.playground import Playground
    from limpid.lessons.playground.frames import frame

    found = {}
    for name, address in NETS.items():
        playground = Playground.from_address(address)
        for _ in range(20):
            playground.step()
        began, epochs = time.perf_counter(), 0
        while time.perf_counter() - began < question["seconds"] / 4:
            playground.step()
            epochs += 1
        rate = epochs / (time.perf_counter() - began)
        times = []
        for number in range(30):
            began = time.perf_counter()
            frame(playground, number, 1, playground.history[-1:], None, running=True)
            times.append(time.perf_counter() - began)
        found[name] = {"epochs": rate, "picture": statistics.median(times) * 1000}
    answer(found)


def watch(page: Page, url: str, address: str, seconds: float) -> tuple[float, float]:
    """Pictures and epochs a second on the page."""
    page.goto(f"{url}/#/playground?{address}")
    page.reload()
    page.wait_for_selector("main[aria-busy='false']")
    page.keyboard.press("p")
    while int(page.locator(".play-epoch output").get_attribute("data-epoch") or 0) < 20:
        time.sleep(0.05)
    pictures, epochs = page.evaluate(COUNT, seconds)
    page.keyboard.press("p")
    return pictures, epochs


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--worker", type=json.loads)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker)
    rows: list[Row] = []
    alone = fresh("bench.playground", {"seconds": args.seconds})
    for name, found in alone.items():
        rows.append(single(f"engine alone, {name}: epochs", "/s", found["epochs"]))
        rows.append(single(f"engine alone, {name}: one picture", "ms", found["picture"]))
    with tempfile.TemporaryDirectory() as folder:
        run = write_random_run(Path(folder) / "run", 320, context=64, d_model=32, n_layer=2, n_head=2, n_kv_head=2,
                               head_dim=16, d_ff=64)  # fmt: skip
        port = free_port()
        with (
            LiveServer(limpid_serve([run], port), port, environment={"LIMPID_KEEP_DIR": folder}) as server,
            sync_playwright() as driver,
        ):
            httpx.get(f"{server.url}/health").raise_for_status()
            path = os.environ.get("LIMPID_CHROMIUM") or shutil.which("chromium")
            browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            for name, address in NETS.items():
                pictures, epochs = watch(page, server.url, address, args.seconds)
                usual = name == "default net"
                rows.append(single(f"page, {name}: pictures", "/s", pictures, at_least=30 if usual else None))
                rows.append(single(f"page, {name}: epochs", "/s", epochs, at_least=60 if usual else None))
            browser.close()
    show("Playground", rows, as_json=args.json)
    return None


if __name__ == "__main__":
    main()
