"""Tokens streamed to the page, beside the bare engine with the same candidates: the server's share and the page's.

    python -m bench.streaming [--run RUN] [--rounds 5] [--json]

A random model of the demo's shape, one of 126 million parameters, and RUN, if one is named. A round measures, in turn
and each alone: the engine in a process without a server; the server, its stream read by a bare socket; the page in
Chromium, every token with its 20 candidates and drawn on the screen. A rate is that of the tokens after those that came
first, the median of a round's answers; ratios are taken within a round. Server and browser use the same cores. Root's
Chromium would put itself before every other program (nice -8), which nobody else's can: here it may not either.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from bench.live_server import LiveServer, free_port, limpid_serve
from bench.random_run import write_random_run
from bench.report import ROUNDS, Row, answer, arguments, console, fresh, in_turn, paired, show

TOKENS, ENOUGH, CANDIDATES = 200, 100, 20
PROMPT = "What does dedent do?"
SMALL = {"context": 256, "d_model": 256, "n_layer": 6, "n_head": 4, "n_kv_head": 4, "head_dim": 64, "d_ff": 768}
LARGE = {"context": 256, "d_model": 768, "n_layer": 16, "n_head": 12, "n_kv_head": 12, "head_dim": 64, "d_ff": 2048}
SETTINGS = {"mode": "text", "max_tokens": TOKENS, "temperature": 0.8}
ASK = """text => new Promise(done => {
    const box = document.querySelector("#say");
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    new MutationObserver((_, all) => {
        if (document.querySelectorAll(".answer[aria-busy=false]").length !== 1) return;
        all.disconnect();
        requestAnimationFrame(() => setTimeout(done));
    }).observe(document.body, { subtree: true, childList: true, attributeFilter: ["aria-busy"] });
    setTimeout(() => document.querySelector(".composer .go").click(), 200);
})"""
"""A question asked in a page that has rest, until its answer is drawn; the page is not looked at meanwhile."""


def rate_of(arrivals: list[tuple[float, int]]) -> float:
    """Tokens a second of those that came after the first arrival; arrivals: (when, tokens until then)."""
    (first, known), (last, count) = arrivals[0], arrivals[-1]
    return (count - known) / (last - first)


def answers_of(ask: Callable[[int], tuple[float, int]], seconds: float) -> float:
    """The median rate of answers, as many as fit into so much time, three at least; short ones do not count."""
    rates: list[float] = []
    began, number = time.perf_counter(), 0
    while len(rates) < 3 or time.perf_counter() - began < seconds:
        rate, tokens = ask(number)
        number += 1
        if tokens >= ENOUGH:
            rates.append(rate)
        if number == 60 and len(rates) < 3:
            raise SystemExit(
                f"bench.streaming: of 60 answers only {len(rates)} have {ENOUGH} tokens; take another model."
            )
    return statistics.median(rates)


def worker(question: dict[str, Any]) -> None:
    """The engine alone."""
    import limpid
    from limpid.inference.sampler import Sampling

    lm = limpid.load(question["run"])
    ids = lm.tokenizer.encode(PROMPT)

    def ask(number: int) -> tuple[float, int]:
        sampling = Sampling(temperature=0.8, max_tokens=TOKENS, alternatives=CANDIDATES, seed=number)
        steps = lm.engine.generate([ids], sampling, stop_ids=lm.tokenizer.text_stops)
        arrivals = [(time.perf_counter(), place) for place, _ in enumerate(steps, 1)]
        return rate_of(arrivals), len(arrivals)

    answer({"rate": answers_of(ask, question["seconds"])})


def read_by_socket(url: str, seconds: float) -> dict[str, float]:
    """The server's stream as the page asks for it, read and counted, and nothing else."""
    port = int(url.rsplit(":", 1)[1])

    def ask(number: int) -> tuple[float, int]:
        body = json.dumps({"prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0.8, "seed": number, "packed": True})
        head = f"POST /api/talk HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        parts: list[tuple[float, bytes]] = []
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.sendall((head + body).encode())
            while part := wire.recv(1 << 20):
                parts.append((time.perf_counter(), part))
        arrivals, tokens, text = [], 0, b""
        for when, part in parts:
            *whole, text = (text + part).split(b"\n\n")
            found = [json.loads(one[one.index(b"{") :]) for one in whole if b'"type":"tokens"' in one]
            if found:
                tokens += sum(len(one["rows"]) for one in found)
                arrivals.append((when, tokens))
        return (rate_of(arrivals) if len(arrivals) > 1 else 0.0), tokens

    return {"rate": answers_of(ask, seconds)}


def read_by_page(page: Page, url: str, seconds: float) -> dict[str, float]:
    """The pace that the page measures and keeps with each answer."""

    def ask(number: int) -> tuple[float, int]:
        page.evaluate("location.hash = '#/chat'")
        page.wait_for_selector(".welcome")
        page.evaluate(ASK, PROMPT)
        while True:  # it is kept once it is over
            listed = httpx.get(f"{url}/api/chats").json()["chats"]
            (chat,) = (
                httpx.get(f"{url}/api/export", params={"chat": listed[0]["id"]}).json()["chats"] if listed else [None]
            )
            for message in chat["messages"] if chat else ():
                if message["role"] == "assistant" and message["about"].get("finish") in ("stop", "length"):
                    httpx.delete(f"{url}/api/chats/{chat['id']}")
                    return float(message["about"].get("pace", 0)), len(message["tokens"]["rows"])
            time.sleep(0.1)

    return {"rate": answers_of(ask, seconds)}


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of Chromium that may not put itself before other programs."""
    path = os.environ.get("LIMPID_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        if os.geteuid() == 0 and path and shutil.which("setpriv"):
            modest = Path(folder) / "chromium"
            modest.write_text(f'#!/bin/sh\nexec setpriv --bounding-set=-sys_nice --inh-caps=-sys_nice {path} "$@"\n')
            modest.chmod(0o755)
            path = str(modest)
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        browser.close()


def measure(name: str, run: Path, rounds: int, seconds: float) -> list[Row]:
    """Two rows: what reaches a socket, and what reaches the page."""
    console.print(name)
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as keep,
        LiveServer(limpid_serve([f"run={run}"], port), port, environment={"LIMPID_KEEP_DIR": keep}) as server,
        browser_page() as page,
    ):
        page.goto(server.url)
        page.evaluate("x => localStorage.setItem('limpid.settings', x)", json.dumps(SETTINGS))
        page.reload()
        page.wait_for_selector(".welcome")
        read_by_page(page, server.url, 0)  # code and caches are warm
        found = in_turn(
            {
                "engine": lambda: fresh("bench.streaming", {"run": str(run), "seconds": seconds}),
                "socket": lambda: read_by_socket(server.url, seconds),
                "page": lambda: read_by_page(page, server.url, seconds),
            },
            rounds,
            "rate",
        )
    engine, wire, shown = ([one["rate"] for one in found[system]] for system in ("engine", "socket", "page"))
    return [
        paired(f"{name}: streamed to a socket", "tokens/s", wire, engine, "engine alone", at_least=None),
        paired(f"{name}: streamed to the page", "tokens/s", shown, engine, "engine alone", at_least=0.95),
    ]


def stream_rows(run: Path | None, rounds: int) -> list[Row]:
    """The rows of every model."""
    with tempfile.TemporaryDirectory() as folder:
        rows = measure("small random model", write_random_run(Path(folder) / "small", 1024, **SMALL), rounds, 4)
        if run is not None:
            rows += measure("the run named", run, rounds, 4)
        rows += measure("126M random weights", write_random_run(Path(folder) / "large", 8192, **LARGE), rounds, 4)
    return rows


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker)
    show("Tokens streamed to the page", stream_rows(args.run, args.rounds), as_json=args.json)
    return None


if __name__ == "__main__":
    main()
