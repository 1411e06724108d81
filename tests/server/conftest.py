"""Servers in this very process: uvicorn on a thread and a port of its own, tiny random models behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from tests.conftest import random_llama
from tests.models.encoder_decoders import random_transformer

from limpid.checkpoint import store
from limpid.parallel.environment import World
from limpid.server.app import make_app
from limpid.server.chats import Chats
from limpid.server.guard import LOOPBACK_HOSTS, Guard
from limpid.server.loading import Sizes, make_ready, open_runs, place_of
from limpid.server.models import Catalogue, ServedModel
from limpid.server.process import Server, bind, run_loop, url_of
from limpid.server.state import State
from limpid.text.tokenizer import Tokenizer

SMALL = Sizes(rows=4, queue=8)


class Served:
    """A running server: where it is, what it serves, and its insides."""

    def __init__(self, url: str, state: State, process: Server) -> None:
        self.url, self.state, self.process = url, state, process

    def model(self, name: str) -> ServedModel:
        assert self.state.models is not None
        return self.state.models.find(name)

    def http(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)


@contextmanager
def served(
    runs: Collection[Path | str],
    *,
    sizes: Sizes = SMALL,
    key: str | None = None,
    hosts: Collection[str] | None = LOOPBACK_HOSTS,
    origins: Collection[str] = (),
    max_body_bytes: int = 2**20,
    drain_seconds: float = 5,
    chats: Path | None = None,
    port: int = 0,
) -> Iterator[Served]:
    """A server of ``runs``, once they answer."""
    place = place_of("cpu", "float32")
    opened = open_runs([str(run) for run in runs], Path, sizes, place)
    state = State(max_body_bytes=max_body_bytes, chats=Chats(chats) if chats else None)
    app = Guard(make_app(state), key=key, hosts=hosts, origins=origins, count=state.metrics.count_response)
    server = Server(app, state, drain_seconds=drain_seconds)
    ready = threading.Event()

    async def load() -> None:
        loop = asyncio.get_running_loop()
        state.models = Catalogue(make_ready(one, loop, state.metrics, place) for one in opened)
        ready.set()

    with bind("127.0.0.1", port) as sock:
        url = url_of(sock)
        thread = threading.Thread(target=lambda: run_loop(server.run_with(sock, load)), daemon=True)
        thread.start()
        assert ready.wait(30)
        try:
            yield Served(url, state, server)
        finally:
            server.drain()
            server.force_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture(scope="session")
def write_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a run of one checkpoint: (name, model, tokenizer) -> its folder."""
    folder = tmp_path_factory.mktemp("served")

    def write(name: str, model: Any, tokenizer: Tokenizer, stage: str = "sft") -> Path:
        world = World(0, 1, torch.device("cpu"))
        store.write(store.checkpoint_path(folder / name, 1), model, tokenizer, {"stage": stage, "step": 1}, world)
        return folder / name

    return write


@pytest.fixture(scope="session")
def run(write_run: Callable[..., Path], tokenizer: Tokenizer) -> Path:
    """A decoder whose most probable tokens never end an answer, of a context of 1024."""
    model = random_llama(0, context=1024)
    with torch.no_grad():
        model.head.weight[sorted(tokenizer.special_ids)] = 0.0
    return write_run("tiny", model, tokenizer)


@pytest.fixture(scope="session")
def translator_run(write_run: Callable[..., Path], tokenizer: Tokenizer) -> Path:
    return write_run("translator", random_transformer(0, vocab_size=tokenizer.vocab_size), tokenizer, "seq2seq")


@pytest.fixture(scope="session")
def server(run: Path, translator_run: Path) -> Iterator[Served]:
    with served([run, translator_run]) as running:
        yield running


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client
