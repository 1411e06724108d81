"""The web app: its first load, when it can be used, a chat of 500 messages, how soon a text's attention is seen, and
its stream beside the bare engine (see `bench.streaming`).

    python -m bench.web [--run RUN] [--rounds 3] [--json]

A random model of the demo's shape unless a run is named. Needs Playwright and Chromium (see tests/web).
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

from bench.live_server import LiveServer, free_port, limpid_serve
from bench.random_run import write_random_run
from bench.report import arguments, show, single
from bench.streaming import SMALL, stream_rows

READY = """() => new Promise(done => {
    const look = () => document.querySelector("#say") ? done(performance.now()) : setTimeout(look, 2);
    look();
})"""
LOADED = """() => [...performance.getEntriesByType("resource"), ...performance.getEntriesByType("navigation")]
    .filter(x => !x.name.includes("/api/")).reduce((sum, x) => sum + x.encodedBodySize, 0)"""
OPENED = """() => new Promise(done => {
    const began = performance.now();
    location.hash = "#/chat/long";
    const look = () => document.querySelector("[data-node=m499] .living p")
        ? requestAnimationFrame(() => done(performance.now() - began)) : setTimeout(look, 5);
    look();
})"""
TRACED = """([ids, model]) => new Promise(done => {
    const before = document.querySelector(".grid canvas")?.dataset.drawn, began = performance.now();
    location.hash = `#/attention?model=${model}&ids=${ids.join(",")}`;
    const look = () => {
        const now = document.querySelector(".grid canvas")?.dataset.drawn;
        const another = now && now.split(" ")[1] !== before?.split(" ")[1] && !now.startsWith("0 ");
        if (another) requestAnimationFrame(() => done(performance.now() - began)); else setTimeout(look, 2);
    };
    look();
})"""
"""From the click to the first layer of heads, drawn."""
ALL_DRAWN = "layers => document.querySelector('.grid canvas')?.dataset.drawn?.startsWith(`${layers} `)"
HEAD = """([layer, head]) => new Promise(done => {
    const before = document.querySelector(".matrix-view canvas")?.dataset.drawn, began = performance.now();
    location.hash = location.hash.replace(/&layer=.*/, "") + `&layer=${layer}&head=${head}`;
    const look = () => {
        const now = document.querySelector(".matrix-view canvas")?.dataset.drawn;
        const another = now && now !== before;
        if (another) requestAnimationFrame(() => done(performance.now() - began)); else setTimeout(look, 2);
    };
    look();
})"""
"""From the click to one head, drawn."""


def long_chat() -> dict[str, Any]:
    """A conversation of 500 messages, as an export holds it."""
    text = "A paragraph with **marks**, `code` and some words more, as answers have them.\n\n" * 3
    messages = [
        {"id": f"m{i}", "parent": f"m{i - 1}" if i else None, "role": "assistant" if i % 2 else "user",
         "content": text, "about": {"finish": "stop"}, "tokens": None, "created": float(i)}
        for i in range(500)
    ]  # fmt: skip
    chat = {"id": "long", "title": "Long", "settings": {}, "current": "m499", "created": 1.0, "updated": 1.0}
    return {"limpid_chats": 1, "chats": [chat | {"messages": messages}]}


def visit(url: str, rounds: int) -> dict[str, list[float]]:
    """What the page says of itself, ``rounds`` times, each in a fresh browser context."""
    found: dict[str, list[float]] = {"bytes": [], "ready": [], "opened": [], "traced": [], "head": []}
    path = os.environ.get("LIMPID_CHROMIUM") or shutil.which("chromium")
    httpx.post(f"{url}/api/import", json=long_chat()).raise_for_status()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for number in range(rounds):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            page.goto(url)
            found["ready"].append(page.evaluate(READY) / 1e3)
            found["bytes"].append(page.evaluate(LOADED) / 1e3)
            found["opened"].append(page.evaluate(OPENED) / 1e3)
            _attention(page, number, found)
            context.close()
        browser.close()
    return found


def _attention(page: Any, number: int, found: dict[str, list[float]]) -> None:
    """256 tokens of the first model; one head of 1,024 tokens of the other. What is measured was not asked before."""
    ids = [5 + (i * 7 + number) % 200 for i in range(1024)]
    page.evaluate(TRACED, [ids[:8], "run"])  # the model's copy is loaded
    found["traced"].append(page.evaluate(TRACED, [ids[:256], "run"]) / 1e3)
    page.evaluate(TRACED, [ids, "long"])
    layers = page.evaluate("document.querySelector('.grid canvas').getAttribute('aria-label')").split()[0]
    page.wait_for_function(ALL_DRAWN, arg=layers, timeout=120_000)
    found["head"] += [page.evaluate(HEAD, [layer, 1]) / 1e3 for layer in (1, 2, 3)]


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shape = {name: size for name, size in SMALL.items() if name != "context"}
        run = args.run or write_random_run(Path(folder) / "run", 1024, context=256, **shape)
        long = write_random_run(Path(folder) / "long", 1024, context=1024, **shape)
        port = free_port()
        with LiveServer(
            limpid_serve([f"run={run}", f"long={long}"], port), port, environment={"LIMPID_KEEP_DIR": folder}
        ) as server:
            page = visit(server.url, args.rounds)
    rows = [
        single("first load, compressed", "kB", statistics.median(page["bytes"]), at_most=250),
        single("ready after the address is opened", "s", statistics.median(page["ready"]), at_most=1),
        single("a chat of 500 messages opens", "s", statistics.median(page["opened"]), at_most=1),
        single("256 tokens traced, first heads seen", "s", statistics.median(page["traced"]), at_most=0.3),
        single("one head of 1,024 tokens seen", "s", statistics.median(page["head"]), at_most=0.3),
        *stream_rows(args.run, args.rounds),
    ]  # fmt: skip
    show("The web app", rows, as_json=args.json)


if __name__ == "__main__":
    main()
