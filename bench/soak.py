"""A live server under sixteen clients for a while: answers, cancellations and bad requests, and what must not happen.

    python -m bench.soak [--minutes 10] [--clients 16] [--json]

A small model of random weights in float32. Before the load each client asks its questions once, alone: its canary. Then
all of them ask without pause, in a random order of their own: canaries, greedy and seeded, streamed and whole, whose
answers must be the same to the letter (a token of somebody else's, or a dependence on who is beside, would show);
answers that they hang up on; requests that must be refused with their status. At the end all ask once more, and the
tokens they count are the tokens that the server counts. Exits with 1 where a check fails.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.clients import Heard, ask, ask_all
from bench.live_server import LiveServer, free_port, limpid_serve
from bench.prometheus import read_metrics
from bench.random_run import random_words, write_random_run
from bench.report import Row, arguments, console, show, single

SHAPE = {"context": 512, "d_model": 128, "n_layer": 4, "n_head": 4, "n_kv_head": 2, "head_dim": 32, "d_ff": 352}
VOCABULARY = 2048
CHAT = "/v1/chat/completions"
SETTLED_SECONDS = 120.0
"""Memory is compared from here on; in runs of less than four minutes, from half of the time on."""
SAMPLE_SECONDS = 2.0
CANCELLED, BAD = 0.15, 0.15
"""Shares of the requests that are hung up on, and that are wrong."""
IN_FLIGHT = 64
"""Tokens that may be computed for a client between the last it saw and the moment the server knows that it left."""


class Client:
    """One client: its own questions, the answers it knows, and what it has seen."""

    def __init__(self, number: int, url: str) -> None:
        self.url, self.rng = url, random.Random(number)
        system = {"role": "system", "content": "You are a soak test."}  # a beginning that all share
        talk = [system, {"role": "user", "content": f"{number} {random_words(8 + 3 * number, number)}"}]
        common = {"model": "run", "messages": talk, "max_tokens": 24 + 2 * number}
        self.canaries: list[dict[str, Any]] = [
            common | {"temperature": 0, "stream": True, "stream_options": {"include_usage": True}},
            common | {"temperature": 1, "seed": number, "stream": True, "stream_options": {"include_usage": True}},
            common | {"temperature": 0},
        ]
        self.known: list[Heard] = []
        self.long = common | {"temperature": 1, "max_tokens": 300, "stream": True}
        self.bad: list[tuple[int, bytes | dict[str, Any]]] = [
            (400, b'{"model": "run", "messages": ['),
            (400, b"[" * 10_000),
            (400, common | {"temperature": -1}),
            (400, common | {"messages": [{"role": "user", "content": "long " * 4000}]}),
            (400, common | {"logit_bias": {"999999": 1}}),
            (404, common | {"model": "../../etc/passwd"}),
        ]
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.tokens = self.least = self.most = 0

    async def learn(self) -> None:
        """Ask every canary while nobody else does."""
        self.known = [await ask(self.url, CHAT, body) for body in self.canaries]
        for heard in self.known:
            if heard.status != 200:
                raise RuntimeError(f"the canary was answered with {heard.status}: {heard.error}")

    async def run(self, until: float) -> None:
        while time.monotonic() < until:
            chance = self.rng.random()
            if chance < CANCELLED:
                await self.leave()
            elif chance < CANCELLED + BAD:
                await self.offend()
            else:
                await self.sing(self.rng.randrange(len(self.canaries)))

    async def sing(self, which: int) -> None:
        heard, known = await ask(self.url, CHAT, self.canaries[which]), self.known[which]
        self.statuses[heard.status] += 1
        if (heard.status, heard.text, heard.usage, heard.finish) != (200, known.text, known.usage, known.finish):
            self.wrong.append(
                f"canary {which}: {heard.status} {heard.error} {heard.text[:80]!r}, not {known.text[:80]!r}"
            )
        self.tokens += heard.usage.get("completion_tokens", 0)

    async def leave(self) -> None:
        wanted = self.rng.randrange(1, 20)
        heard = await ask(self.url, CHAT, self.long, leave_after=wanted)
        self.statuses[heard.status] += 1
        if heard.status != 200:
            self.wrong.append(f"before leaving: {heard.status} {heard.error}")
        self.least += len(heard.arrivals)
        self.most += len(heard.arrivals) + IN_FLIGHT

    async def offend(self) -> None:
        status, body = self.rng.choice(self.bad)
        heard = await ask(self.url, CHAT, body)
        self.statuses[heard.status] += 1
        if heard.status != status:
            self.wrong.append(f"a request for a {status} was answered with {heard.status} {heard.error}")


async def watch(server: LiveServer, until: float) -> list[tuple[float, int]]:
    """(seconds since the start, resident bytes), every now and then."""
    began, samples = time.monotonic(), []
    while (now := time.monotonic()) < until:
        samples.append((now - began, server.resident_bytes()))
        await asyncio.sleep(min(SAMPLE_SECONDS, max(0.0, until - now)))
    return samples


async def soak(server: LiveServer, count: int, seconds: float) -> tuple[list[Client], list[tuple[float, int]]]:
    clients = [Client(number, server.url) for number in range(count)]
    for client in clients:
        await client.learn()
    until = time.monotonic() + seconds
    samples, *_ = await asyncio.gather(watch(server, until), *[client.run(until) for client in clients])
    return clients, samples


def generated(server: LiveServer) -> float:
    return read_metrics(server.url)["limpid_generated_tokens_total"]


def left_over(server: LiveServer, patience_seconds: float = 10) -> float:
    """What still runs, waits or holds a row, when there has been time for it to go."""
    deadline = time.monotonic() + patience_seconds
    while True:
        metrics = read_metrics(server.url)
        names = ("limpid_requests_running", "limpid_requests_waiting", "limpid_cache_rows_in_use")
        if not (left := sum(metrics[name] for name in names)) or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def drift(samples: list[tuple[float, int]], settled: float) -> float:
    """How much more memory (a share of it) the last samples show than those after ``settled`` seconds.

    Each is the median of five samples, since single ones catch buffers that come and go.
    """
    late = [resident for seconds, resident in samples if seconds >= settled]
    return statistics.median(late[-5:]) / statistics.median(late[:5]) - 1


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=16)
    args = parser.parse_args()
    seconds = args.minutes * 60
    settled = min(SETTLED_SECONDS, seconds / 2)
    with tempfile.TemporaryDirectory() as folder:
        run, port = write_random_run(Path(folder, "run"), VOCABULARY, **SHAPE), free_port()
        with LiveServer(limpid_serve([run], port, "--device", "cpu", "--dtype", "float32"), port) as server:
            began = generated(server)
            clients, samples = asyncio.run(soak(server, args.clients, seconds))
            rows = judge(server, clients, samples, settled, began)
            said = server.said()
    show(f"Soak, {args.clients} clients, {args.minutes:g} minutes", rows, as_json=args.json)
    if failed := [row.name for row in rows if row.met is False]:
        console.print(f"failed: {'; '.join(failed)}", markup=False)
        for client in clients:
            for line in client.wrong[:2]:
                console.print(f"  {line}", markup=False)
        console.print(f"  the server said: {said}", markup=False)
        sys.exit(1)


def judge(
    server: LiveServer, clients: list[Client], samples: list[tuple[float, int]], settled: float, began: float
) -> list[Row]:
    """Every check as a row."""
    left = left_over(server)
    counted = generated(server) - began
    learnt = sum(heard.usage["completion_tokens"] for client in clients for heard in client.known)
    whole = learnt + sum(client.tokens for client in clients)
    least, most = whole + sum(c.least for c in clients), whole + sum(c.most for c in clients)
    outside = max(least - counted, counted - most, 0)

    before = generated(server)  # and once more with nobody leaving: then the counts must agree exactly
    last = asyncio.run(ask_all(server.url, CHAT, [body for client in clients for body in client.canaries]))
    changed = sum(
        heard.text != known.text
        for heard, known in zip(last, [known for client in clients for known in client.known], strict=True)
    )
    off = abs(generated(server) - before - sum(heard.usage.get("completion_tokens", 0) for heard in last))

    statuses = sum((client.statuses for client in clients), Counter())
    failures = sum(count for status, count in statuses.items() if status >= 500 or status == 0)
    wrong = sum(len(client.wrong) for client in clients)
    return [
        single("requests", "", statuses.total()),
        single("of them answered", "", statuses[200]),
        single("of them refused, as they should be", "", sum(n for s, n in statuses.items() if 400 <= s < 500)),
        single("tokens, with those nobody heard", "", counted),
        single("server errors and broken connections", "", failures, at_most=0),
        single("answers or statuses that differ from the quiet ones (cross-talk)", "", wrong + changed, at_most=0),
        single("memory drift", "", drift(samples, settled), at_most=0.02),
        single("resident memory at the end", "MB", samples[-1][1] / 1e6),
        single("running, waiting, rows in use at the end", "", left, at_most=0),
        single("tokens counted by the server beyond what clients can have caused", "", outside, at_most=0),
        single("tokens of the last round, server's count against the clients'", "", off, at_most=0),
    ]


if __name__ == "__main__":
    main()
