"""A live server for the black-box cases: somebody's, named by LIMPID_URL (and LIMPID_KEY), or else one started here.

    LIMPID_URL=http://127.0.0.1:8000 LIMPID_KEY=... python -m pytest tests/server/blackbox

The suite speaks HTTP only, and was written from what clients expect, not from the server's code. Cases that need to
start or stop a server, or to know its flags, are skipped for somebody else's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import torch
from bench.live_server import LiveServer, free_port, limpid_serve
from tests.conftest import random_llama
from tests.server.blackbox.asking import KEY, ORIGIN, Live

from limpid.checkpoint import store
from limpid.parallel.environment import World
from limpid.text.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def chat_runs(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> list[Path]:
    """Two runs with random weights, alpha and beta; with a temperature of 0 their answers never end by themselves."""
    folder = tmp_path_factory.mktemp("served")
    world = World(0, 1, torch.device("cpu"))
    for seed, name in enumerate(("alpha", "beta")):
        model = random_llama(seed, context=2048)
        with torch.no_grad():
            model.head.weight[sorted(tokenizer.special_ids)] = 0.0  # never the largest of the scores
        store.write(store.checkpoint_path(folder / name, 1), model, tokenizer, {"stage": "sft", "step": 1}, world)
    return [folder / "alpha", folder / "beta"]


def serve(runs: list[Path], *arguments: str) -> LiveServer:
    """A server of this tree's code, in float32, so that batch-mates cannot change a rounding that decides a token."""
    port = free_port()
    command = limpid_serve(runs, port, "--device", "cpu", "--dtype", "float32", *arguments)
    return LiveServer(command, port, environment={"OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    if url := os.environ.get("LIMPID_URL"):
        key = os.environ.get("LIMPID_KEY")
        yield Live(url.rstrip("/"), key, _models(url.rstrip("/"), key), None)
        return
    runs: list[Path] = request.getfixturevalue("chat_runs")
    with serve(runs, "--api-key", KEY, "--allow-origin", ORIGIN) as server:
        yield Live(server.url, KEY, _models(server.url, KEY), server)


def _models(url: str, key: str | None) -> list[str]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return [model["id"] for model in httpx.get(f"{url}/v1/models", headers=headers).raise_for_status().json()["data"]]


@pytest.fixture
def own(live: Live) -> LiveServer:
    """The server's process, where it is ours."""
    if live.server is None:
        pytest.skip("needs a server that the suite has started itself")
    return live.server


@pytest.fixture
def http(live: Live) -> Iterator[httpx.Client]:
    with live.http() as client:
        yield client


@pytest.fixture
def ai(live: Live) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, without its retries, which would hide failures."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.key or "none", max_retries=0, timeout=60) as client:
        yield client
