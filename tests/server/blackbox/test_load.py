"""Many at once: nobody notices the others, who leaves is forgotten, who is too many is told so, all are counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
from tests.server import loops
from tests.server.blackbox.asking import CHAT, COMPLETIONS, Live, answer, deltas, idle, refused, said, stream, until
from tests.server.blackbox.conftest import serve

QUESTIONS = [
    "What is a cat?",
    "床前明月光",
    "12 + 30 =",
    "Smile 🙂",
    "The dog sat",
    "疑是地上霜",
    "Hi",
    "Who waves back?",
]
LONG = 1500
"""Tokens of an answer that is still under way while a test looks at it."""


def long_answer(live: Live) -> dict[str, object]:
    return live.greedy("A long story", max_tokens=LONG)


def test_an_answer_does_not_depend_on_who_else_is_there(live: Live) -> None:
    bodies = [live.greedy(question, max_tokens=40) for question in QUESTIONS]
    bodies += [live.chat(question, seed=3, temperature=1, max_tokens=40) for question in QUESTIONS[:4]]
    noise = [live.chat("noise " * size, temperature=1, max_tokens=30 + size) for size in (1, 4, 9, 30)]
    with live.http() as http:
        alone = [said(http, body) for body in bodies]

    def ask(body: dict[str, object]) -> str:
        with live.http() as http:
            return said(http, body) if len(str(body)) % 2 else deltas(stream(http, body))

    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(ask, [*bodies, *noise, *bodies[::-1]]))
    assert together[: len(bodies)] == alone
    assert together[-len(bodies) :] == alone[::-1]


def test_openais_asynchronous_client(live: Live) -> None:
    async def ask(client: openai.AsyncOpenAI, question: str) -> str:
        pieces = await client.chat.completions.create(**live.greedy(question), stream=True)
        return "".join([c.delta.content or "" async for chunk in pieces for c in chunk.choices])

    async def all_of_them() -> list[str]:
        address, key = f"{live.url}/v1", live.key or "none"
        async with openai.AsyncOpenAI(base_url=address, api_key=key, max_retries=0, timeout=60) as client:
            return list(await asyncio.gather(*[ask(client, question) for question in QUESTIONS]))

    with live.http() as http:
        assert loops.run(all_of_them()) == [said(http, live.greedy(question)) for question in QUESTIONS]


def test_who_closes_a_stream_frees_the_row(live: Live) -> None:
    with live.http() as http:
        until(lambda: idle(live))
        before = live.metrics()["limpid_generated_tokens_total"]
        with http.stream("POST", CHAT, json=long_answer(live) | {"stream": True}) as response:
            lines = response.iter_lines()
            for _ in range(20):
                next(lines)
            assert live.metrics()["limpid_requests_running"] == 1
            assert live.metrics()["limpid_cache_rows_in_use"] == 1
        until(lambda: idle(live))
        assert live.metrics()["limpid_generated_tokens_total"] - before < LONG - 100, "it was spoken to the end"


def test_who_hangs_up_before_the_answer_frees_the_row(live: Live) -> None:
    parts = urllib.parse.urlsplit(live.url)
    content = json.dumps(long_answer(live)).encode()
    key = f"Authorization: Bearer {live.key}\r\n" if live.key else ""
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: {parts.netloc}\r\n{key}Content-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    until(lambda: idle(live))
    before = live.metrics()["limpid_generated_tokens_total"]
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=30) as connection:
        connection.sendall(head.encode() + content)
        until(lambda: live.metrics()["limpid_requests_running"] == 1)
    until(lambda: idle(live))
    assert live.metrics()["limpid_generated_tokens_total"] - before < LONG - 100, "it was spoken to the end"


def test_one_of_many_leaves(live: Live) -> None:
    """Fifteen others hear what they would have heard alone."""
    with live.http() as http:
        alone = [said(http, live.greedy(question, max_tokens=60)) for question in QUESTIONS]

    def ask(number: int) -> str | None:
        with live.http() as http:
            if number % 16 == 0:
                with http.stream("POST", CHAT, json=long_answer(live) | {"stream": True}) as response:
                    next(response.iter_lines())
                return None
            return deltas(stream(http, live.greedy(QUESTIONS[number % 8], max_tokens=60)))

    with ThreadPoolExecutor(16) as pool:
        for number, text in enumerate(pool.map(ask, range(48))):
            assert text is None or text == alone[number % 8]
    until(lambda: idle(live))


def test_metrics_are_what_the_clients_counted(live: Live) -> None:
    until(lambda: idle(live))
    before = live.metrics()
    bodies: list[tuple[str, dict[str, object]]] = [
        (CHAT, live.greedy()),
        (CHAT, live.chat(n=3, temperature=1)),
        (CHAT, live.chat(stop="a", temperature=1)),
        (COMPLETIONS, live.text(["one", "two"])),
        (COMPLETIONS, live.text(echo=True)),
    ]
    with live.http() as http:
        usages = [answer(http, body, path)["usage"] for path, body in bodies]
        for path, body in bodies:
            usages.append(stream(http, body | {"stream_options": {"include_usage": True}}, path)[-1]["usage"])
        refused(http.post(CHAT, json=live.chat(max_tokens=0)), 400)
    until(lambda: idle(live))
    after = live.metrics()
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown["limpid_generated_tokens_total"] == sum(usage["completion_tokens"] for usage in usages)
    assert grown["limpid_prompt_tokens_total"] == sum(usage["prompt_tokens"] for usage in usages)
    requests = grown["limpid_request_seconds_count"]
    assert requests in (10, 10 + 2 * 2 + 2 * 1), "a request, or each of its answers"
    assert grown["limpid_time_to_first_token_seconds_count"] == requests
    assert grown["limpid_queue_seconds_count"] == requests
    assert 0 < grown["limpid_time_to_first_token_seconds_sum"] <= grown["limpid_request_seconds_sum"]
    assert grown["limpid_inter_token_seconds_count"] > 100


@pytest.fixture(scope="module")
def narrow(chat_runs: list[Path], live: Live) -> Iterator[Live]:
    """A server with two rows and room for two to wait."""
    if live.server is None:
        pytest.skip("needs a server that the suite has started itself")
    with serve(chat_runs[:1], "--rows", "2", "--queue", "2") as server:
        yield Live(server.url, None, ["alpha"], server)


def test_who_is_too_many_is_told_when_to_come_back(narrow: Live) -> None:
    with narrow.http() as http, ThreadPoolExecutor(2) as pool:
        with contextlib.ExitStack() as speaking:
            for number in range(2):  # fill the rows
                speaking.enter_context(http.stream("POST", CHAT, json=long_answer(narrow) | {"stream": True}))
                until(lambda number=number: narrow.metrics()["limpid_requests_running"] == number + 1)
            patient = [pool.submit(said, http, narrow.greedy(max_tokens=3)) for _ in range(2)]
            until(lambda: narrow.metrics()["limpid_requests_waiting"] == 2)
            for streamed in (False, True):
                response = http.post(CHAT, json=narrow.chat(stream=streamed))
                refused(response, 429)
                assert int(response.headers["retry-after"]) >= 1
            assert http.get("/health").status_code == 200, "busy is not ill"
        texts = [waited.result(timeout=60) for waited in patient]  # the speakers have left
        assert texts == [said(http, narrow.greedy(max_tokens=3))] * 2
    until(lambda: idle(narrow))


def test_more_answers_than_there_are_rows(narrow: Live) -> None:
    """n is served row after row, or refused as too much; it never hangs."""
    with narrow.http() as http:
        response = http.post(CHAT, json=narrow.chat(n=4, seed=1, temperature=1))
        assert response.status_code == 200, response.text
        assert len({choice["message"]["content"] for choice in response.json()["choices"]}) == 4
        response = http.post(CHAT, json=narrow.chat(n=100))
        assert response.status_code in (400, 429)
    until(lambda: idle(narrow))


def test_a_server_that_is_full_serves_again(narrow: Live) -> None:
    def ask(number: int) -> int:
        with narrow.http() as http:
            return http.post(CHAT, json=narrow.chat(max_tokens=60)).status_code

    with ThreadPoolExecutor(24) as pool:
        codes = list(pool.map(ask, range(48)))
    assert set(codes) <= {200, 429}
    assert codes.count(200) >= 4
    until(lambda: idle(narrow))
    with httpx.Client(base_url=narrow.url) as http:
        assert said(http, narrow.greedy(max_tokens=3)) is not None
