"""From the command line to the port, and from SIGTERM to the end. These start servers of their own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from bench.live_server import LiveServer, free_port, limpid_serve
from bench.report import child_environment
from tests.server.blackbox.asking import CHAT, Live, events, refused, said, until
from tests.server.blackbox.conftest import serve


def lone(server: LiveServer) -> Live:
    return Live(server.url, None, ["alpha"], server)


@pytest.fixture
def leaving(chat_runs: list[Path]) -> Iterator[Live]:
    """A server that the test sends away."""
    with serve(chat_runs[:1]) as server:
        yield lone(server)


def drains(live: Live) -> bool:
    """Whether newcomers are sent away: with 503, or because nobody listens any more."""
    try:
        with httpx.Client(base_url=live.url) as http:
            if http.get("/health").status_code != 503:
                return False
            refused(http.post(CHAT, json=live.chat()), 503)
            return True
    except httpx.TransportError:
        return True


def test_sigterm_lets_answers_end(leaving: Live) -> None:
    assert leaving.server is not None
    with leaving.http() as http:
        body = leaving.greedy(max_tokens=1200, stream=True)
        with http.stream("POST", CHAT, json=body) as response:
            lines = response.iter_lines()
            first = [next(lines) for _ in range(10)]
            leaving.server.terminate()
            until(lambda: drains(leaving))
            chunks = list(events(iter([*first, *lines])))
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert len(chunks) > 600
    assert leaving.server.process.wait(timeout=20) in (0, 143)
    assert "Traceback" not in leaving.server.said()


def test_sigterm_when_idle(leaving: Live) -> None:
    assert leaving.server is not None
    with leaving.http() as http:  # whose connection stays open and idle
        assert said(http, leaving.greedy(max_tokens=2)) is not None
        leaving.server.terminate()
        assert leaving.server.process.wait(timeout=20) in (0, 143)


def test_ctrl_c_leaves_no_traceback(leaving: Live) -> None:
    assert leaving.server is not None
    leaving.server.process.send_signal(signal.SIGINT)
    assert leaving.server.process.wait(timeout=20) in (0, 130)
    assert "Traceback" not in leaving.server.said()


def test_a_second_sigterm_stops_at_once(leaving: Live) -> None:
    assert leaving.server is not None
    with leaving.http() as http:
        body = leaving.greedy(max_tokens=2000, n=8, stream=True)
        with http.stream("POST", CHAT, json=body) as response:
            next(response.iter_lines())
            leaving.server.terminate()
            until(lambda: drains(leaving))
            leaving.server.terminate()
            leaving.server.process.wait(timeout=5)


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`limpid serve` that must refuse: it ends by itself, with one clear line and no traceback."""
    command = [sys.executable, "-m", "limpid", "serve", *arguments, "--no-browser", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=child_environment())
    assert done.returncode not in (0, None), done.stdout
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done


def test_a_port_in_use(chat_runs: list[Path]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        complaint = start(str(chat_runs[0]), "--port", port).stderr
    assert port in complaint
    assert "in use" in complaint


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_public_bind_needs_a_key(chat_runs: list[Path], host: str) -> None:
    complaint = start(str(chat_runs[0]), "--host", host, "--port", str(free_port())).stderr
    assert "key" in complaint


def test_with_a_key_others_may_come(chat_runs: list[Path]) -> None:
    port = free_port()
    command = limpid_serve(chat_runs[:1], port, "--device", "cpu", "--host", "0.0.0.0", "--api-key", "sk-x")
    with LiveServer(command, port) as server:
        refused(httpx.get(f"{server.url}/v1/models"), 401)
        key = {"Authorization": "Bearer sk-x"}
        assert httpx.get(f"{server.url}/v1/models", headers=key).status_code == 200
        assert "sk-x" not in server.said()


def test_prompts_and_keys_stay_out_of_the_log(chat_runs: list[Path]) -> None:
    port = free_port()
    command = limpid_serve(chat_runs[:1], port, "--device", "cpu", "--api-key", "sk-secret")
    with LiveServer(command, port) as server:
        live = Live(server.url, "sk-secret", ["alpha"], server)
        with live.http() as http:
            answer = said(http, live.greedy("MY-DIARY"))
            http.post(CHAT, json=live.greedy("MY-DIARY", temperature=-1))
            http.post(CHAT, content=b'{"MY-DIARY"')
        logged = server.said()
    assert "MY-DIARY" not in logged
    assert "sk-secret" not in logged
    assert answer[:12] not in logged


@pytest.fixture
def damaged(chat_runs: list[Path], tmp_path: Path) -> Path:
    shutil.copytree(chat_runs[0], tmp_path / "run")
    return tmp_path / "run"


def test_no_such_run(tmp_path: Path) -> None:
    assert "nowhere" in start(str(tmp_path / "nowhere")).stderr


def test_a_run_that_is_half_written(damaged: Path) -> None:
    (weights,) = damaged.rglob("model*.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert weights.name in start(str(damaged)).stderr
    weights.unlink()
    assert weights.name in start(str(damaged)).stderr


def test_a_run_of_another_version(damaged: Path) -> None:
    import hashlib
    import json

    (state,) = damaged.rglob("state.json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"format": 999}))
    sums = state.parent / "checksums.json"
    known = json.loads(sums.read_text()) | {"state.json": hashlib.sha256(state.read_bytes()).hexdigest()}
    sums.write_text(json.dumps(known))
    assert "999" in start(str(damaged)).stderr


def test_two_runs_of_one_name(chat_runs: list[Path], damaged: Path) -> None:
    twin = damaged.rename(damaged.parent / "alpha")
    assert "alpha" in start(str(chat_runs[0]), str(twin)).stderr


def test_nothing_is_opened_for_a_run_that_cannot_be_loaded(chat_runs: list[Path], tmp_path: Path) -> None:
    port = free_port()
    start(str(chat_runs[0]), str(tmp_path / "nowhere"), "--port", str(port))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
